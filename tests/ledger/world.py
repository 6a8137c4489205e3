"""A deployed ledger with registered parties, and the moves of a job as one-liners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.ledger.conftest import CHAIN_ID, FREE_GAS, advance_time, anvil, running

from zkpfl.crypto.bls import (
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.signatures import AccountKey
from zkpfl.crypto.transcript import Context
from zkpfl.errors import TransactionFailed
from zkpfl.ledger.client import (
    MPC,
    Coin,
    DeploymentTerms,
    Durations,
    Job,
    JobTerms,
    LedgerClient,
    Phase,
    Round,
    RoundKind,
    deploy,
)
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.rules import score_commitment, slice_due, slice_keys
from zkpfl.params import Layout

UNBONDING_S = 500
CHALLENGE_S = 300
PHASE_S = 100
STAKE = 500 * MPC
NODE_STAKE = 10 * STAKE  # above the minimum also after many slashes
FEE = 100 * MPC
EXACT = 1 << 62
"""So many test records that an accuracy is its own lower bound."""
LAYOUT = Layout(dimension=700, norm_bound=1000, value_bits=8, max_trainers=4, columns=256)
SLICE_SECRET = b"\x05" * 32
SALT = b"\x06" * 32
ROOT, MANIFEST, AGGREGATE, CHECKPOINT = (bytes([value]) * 32 for value in (1, 2, 3, 4))


@contextmanager
def node_url(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a node of one of the kinds in `ENGINES`, on an empty chain."""
    if kind != "embedded":
        with anvil(*FREE_GAS, hardfork=kind) as url:
            yield url
    else:
        path = tmp_path_factory.mktemp("chain") / "chain.db"
        with EmbeddedLedger(path, CHAIN_ID) as ledger, running(ledger) as url:
            yield url


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """Expect the contract to refuse for exactly this reason."""
    with pytest.raises(TransactionFailed) as caught:
        yield
    assert caught.value.reason == reason


class World:
    """A ledger, its parties and their keys.

    Parameters
    ----------
    url
        Node with free gas and time travel.
    nodes, trainers
        How many to register.
    """

    def __init__(self, url: str, nodes: int = 5, trainers: int = 4) -> None:
        self.url = url
        self.connections: list[Connection] = []
        self.keys: dict[bytes, AccountKey] = {}
        admin, terms = self.connect(), DeploymentTerms(unbonding_s=UNBONDING_S, challenge_s=CHALLENGE_S)
        self.admin = deploy(admin, terms, coins=self.made_coins(admin))
        self.bls: dict[bytes, BlsSecretKey] = {}
        self.registered: dict[bytes, LedgerClient] = {}
        self.pending: dict[int, list[tuple[int, bytes, int]]] = {}
        self.owner = self.party()
        self.nodes = [self.register_node() for _ in range(nodes)]
        self.trainers = [self.register_trainer() for _ in range(trainers)]

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def made_coins(self, admin: Connection) -> list[Coin]:
        """Coins to list beside MPC; tests of coins make some."""
        return []

    def connect(self) -> Connection:
        key = AccountKey.generate()
        connection = Connection(self.url, key, chain_id=CHAIN_ID, timeout_s=30)
        self.connections.append(connection)
        self.keys[key.address] = key
        return connection

    def party(self, amount: int = 100_000 * MPC) -> LedgerClient:
        """A new account with tokens."""
        client = LedgerClient(self.connect(), self.admin.contract, first_block=self.admin.first_block)
        self.admin.token.transfer(client.account, amount)
        return client

    def possession(self, client: LedgerClient, key: BlsSecretKey) -> bytes:
        digest = possession_digest(client.chain_id, client.contract, client.account, key.public)
        return signature_to_ledger(key.prove_possession(digest))

    def register_node(self, stake: int = NODE_STAKE) -> LedgerClient:
        client = self.party()
        self.bls[client.account] = BlsSecretKey.generate()
        self.registered[client.account] = client
        self.enroll(client, stake)
        return client

    def register_in_coin(self, stake: int) -> LedgerClient:
        """A zk-node whose stake is in coin 1."""
        client = self.party()
        self.bls[client.account] = key = BlsSecretKey.generate()
        self.registered[client.account] = client
        possession = self.possession(client, key)
        client.register_node(key.public.to_ledger(), possession, b"e" * 32, "127.0.0.1:1", stake, coin=1)
        return client

    def enroll(self, client: LedgerClient, stake: int | None = None) -> None:
        """Register an account, as a zk-node if it has a BLS key."""
        key = self.bls.get(client.account)
        if key is None:
            client.register_trainer(b"e" * 32, stake or STAKE)
        else:
            possession = self.possession(client, key)
            public = key.public.to_ledger()
            client.register_node(public, possession, b"e" * 32, "127.0.0.1:1", stake or NODE_STAKE)

    def register_trainer(self, stake: int = STAKE) -> LedgerClient:
        client = self.party()
        self.enroll(client, stake)
        return client

    # Time

    def now(self) -> int:
        return self.admin.connection.timestamp()

    def wait(self, seconds: int) -> None:
        advance_time(self.url, seconds)

    def pass_deadline(self, job: int) -> None:
        """Let the present phase run out and move the job on; who has scored reveals."""
        self.wait(max(0, self.admin.job(job).phase_deadline - self.now()))
        self.admin.advance(job)
        self.reveal(job)

    # A job

    def terms(self, **changes: object) -> JobTerms:
        terms = JobTerms(
            training_rounds=2,
            statistics=False,
            target=900_000,
            baseline=500_000,
            threshold=2,
            quorum=2,
            max_trainers=4,
            durations=Durations(*[PHASE_S] * 7),
            deadline=self.now() + 100_000,
            manifest=MANIFEST,
            member_key=b"k" * 32,
            statistics_layout=LAYOUT.shape,
            training_layout=LAYOUT.shape,
            slices=2,
            slice_records=EXACT,
            slice_anchor=bytes(32),
            node_stake=STAKE,
            trainer_stake=STAKE,
        )
        made = replace(terms, **({"slices": changes.get("training_rounds", 2)} | changes))  # type: ignore[arg-type]
        return replace(made, slice_anchor=keccak256(self.slice_key(made, 1)) if made.slices else bytes(32))

    def slice_key(self, terms: JobTerms, number: int) -> bytes:
        return slice_keys(SLICE_SECRET, terms.slices)[number - 1]

    def create(self, nodes: int = 3, fee: int = FEE, **changes: object) -> int:
        """A job that recruits; its committee comes first among the nodes from now on, in order."""
        job = self.owner.create_job(self.terms(**changes), nodes, fee)
        self.draw(job)
        return job

    def draw(self, job: int) -> None:
        self.admin.advance(job)
        committee = self.state(job).committee
        rest = [node for node in self.nodes if node.account not in committee]
        self.nodes = [*(self.registered[account] for account in committee), *rest]

    def start(self, trainers: int = 3, **changes: object) -> int:
        """A job in Collect of its first round."""
        job = self.create(max_trainers=trainers, **changes)
        for trainer in self.trainers[:trainers]:
            trainer.join(job)
        return job

    def state(self, job: int) -> Job:
        return self.admin.job(job)

    def round(self, job: int) -> Round:
        return self.admin.round(job, self.state(job).current_round)

    def collect(self, job: int, trainers: Iterable[int] = range(3)) -> None:
        number = self.state(job).current_round
        for index in trainers:
            self.trainers[index].submit(job, number, ROOT, MANIFEST)

    def check(self, job: int, reports: dict[int, int] | None = None) -> None:
        """Report; node numbers from 1."""
        round_ = self.round(job)
        if reports is None:
            reports = dict.fromkeys(range(1, len(self.state(job).committee) + 1), round_.submitted)
        for node, accepted in reports.items():
            self.nodes[node - 1].report(job, round_.number, accepted)

    def aggregate(self, job: int, nodes: Iterable[int] | None = None) -> None:
        round_ = self.round(job)
        members = [j for j in range(1, 11) if round_.quorum >> (j - 1) & 1] if nodes is None else nodes
        for node in members:
            self.nodes[node - 1].post_aggregate(job, round_.number, bytes([node]) * 32, MANIFEST)

    def signature(self, job: int, valid: int, signers: Iterable[int], **changes: int) -> bytes:
        """The nodes' summed signature over the attestation of the current round."""
        round_ = self.round(job)
        digest = attestation_digest(
            Context(
                changes.get("chain_id", CHAIN_ID),
                self.admin.contract,
                changes.get("of_job", job),
                changes.get("of_round", round_.number),
            ),
            changes.get("accepted", round_.accepted),
            AGGREGATE,
            valid,
            round_.posts,
        )
        signed = [self.bls[self.nodes[node - 1].account].sign(digest) for node in signers]
        return signature_to_ledger(aggregate_signatures(signed))

    def attest_root(self, job: int, root: bytes, signers: Iterable[int]) -> None:
        """Attest an aggregate root, true or not."""
        round_, chosen = self.round(job), list(signers)
        context = Context(CHAIN_ID, self.admin.contract, job, round_.number)
        digest = attestation_digest(context, round_.accepted, root, round_.delivered, round_.posts)
        signed = [self.bls[self.nodes[node - 1].account].sign(digest) for node in chosen]
        signature = signature_to_ledger(aggregate_signatures(signed))
        bitmap = sum(1 << (node - 1) for node in chosen)
        self.admin.attest(job, round_.number, root, round_.delivered, bitmap, signature)

    def open_slice(self, job: int) -> None:
        """Open the slice that is due, if one is."""
        state, round_ = self.state(job), self.round(job)
        due = slice_due(state.trained, state.slices_opened, state.terms)
        if due and round_.kind is RoundKind.TRAINING and not round_.slice_opened:
            key = self.slice_key(state.terms, state.slices_opened + 1)
            self.owner.open_slice(job, round_.number, key)

    def attest(self, job: int, valid: int | None = None, signers: Iterable[int] = (1, 2)) -> None:
        self.open_slice(job)
        round_ = self.round(job)
        chosen, claimed = list(signers), round_.delivered if valid is None else valid
        bitmap = sum(1 << (node - 1) for node in chosen)
        signature = self.signature(job, claimed, chosen)
        self.admin.attest(job, round_.number, AGGREGATE, claimed, bitmap, signature)

    def end(self, job: int) -> None:
        """Let an ended job's challenge window pass."""
        self.wait(max(0, self.admin.pays_at(self.state(job)) - self.now()))

    def commit(
        self, job: int, index: int, accuracy: int, checkpoint: bytes = CHECKPOINT, salt: bytes = SALT
    ) -> None:
        trainer, number = self.trainers[index], self.state(job).current_round
        context = Context(CHAIN_ID, self.admin.contract, job, number)
        commitment = score_commitment(context, trainer.account, checkpoint, accuracy, salt)
        trainer.score(job, number, commitment)

    def score(self, job: int, accuracies: dict[int, int], checkpoint: bytes = CHECKPOINT) -> None:
        """Commit to scores; once nobody is waited for any more, all are revealed."""
        for index, accuracy in accuracies.items():
            self.commit(job, index, accuracy, checkpoint)
            self.pending.setdefault(job, []).append((index, checkpoint, accuracy))
        self.reveal(job)

    def reveal(self, job: int) -> None:
        if self.state(job).phase is Phase.REVEAL:
            number = self.state(job).current_round
            for index, checkpoint, accuracy in self.pending.pop(job, []):
                self.trainers[index].reveal(job, number, checkpoint, accuracy, SALT)

    def to_check(self, **changes: object) -> int:
        job = self.start(**changes)
        self.collect(job, range(len(self.state(job).trainers)))
        return job

    def to_aggregate(self, **changes: object) -> int:
        job = self.to_check(**changes)
        self.check(job)
        return job

    def to_attest(self, **changes: object) -> int:
        job = self.to_aggregate(**changes)
        self.aggregate(job)
        return job

    def to_score(self, **changes: object) -> int:
        job = self.to_attest(**changes)
        self.attest(job)
        return job

    # Money

    def burnt(self) -> int:
        return self.admin.burnt()

    def held(self) -> int:
        """What the bank holds, in MPC."""
        return self.admin.token.balance(self.admin.bank)

    def promised(self, parties: Iterable[LedgerClient] | None = None) -> int:
        """Stakes, pools, unclaimed rewards and what is burnt: what it must hold."""
        accounts = [party.account for party in parties or [self.owner, *self.nodes, *self.trainers]]
        records = [self.admin.node(account) or self.admin.trainer(account) for account in accounts]
        stakes = sum(record.stake for record in records if record)
        jobs = range(1, self.admin.job_count() + 1)
        escrow = sum(self.state(job).escrow for job in jobs)
        return (
            self.burnt()
            + stakes
            + escrow
            + sum(self.admin.owed(job, account) for job in jobs for account in accounts)
        )
