"""What every call costs, measured by playing a job on an embedded chain (docs/guides/cli.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from web3 import Web3
from web3.contract.contract import ContractConstructor, ContractFunction
from web3.types import TxReceipt

from zkpfl.crypto.bls import (
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.generators import generators
from zkpfl.crypto.merkle import commitment_root, keccak256, share_root
from zkpfl.crypto.scalars import random_scalars
from zkpfl.crypto.signatures import AccountKey
from zkpfl.crypto.transcript import Context
from zkpfl.errors import LedgerError
from zkpfl.ledger.client import LedgerClient, deploy
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.in_process import InProcessConnection
from zkpfl.ledger.judge import Judge
from zkpfl.ledger.records import MPC, DeploymentTerms, Durations, JobTerms
from zkpfl.ledger.rules import score_commitment, slice_keys
from zkpfl.params import Layout
from zkpfl.protocol.evidence import openings, row_pieces
from zkpfl.protocol.messages import MessageKind, ShareMessage

CHAIN_ID = 31337
NOW = 1_800_000_000
ACCURACY_PPM = 700_000
PURSE = 10**6 * MPC
DIGEST = b"\x01" * 32
LAST_SLICE_KEY = b"\x02" * 32
LAYOUT = Layout(dimension=1024 * 1024, norm_bound=50_000, value_bits=12, max_trainers=256, columns=1024)
"""A model of a million weights: a row is three pieces."""


@dataclass(frozen=True)
class GasUse:
    """Gas of a call over all times that it occurred, and its largest calldata in bytes."""

    call: str
    least: int
    most: int
    calldata: int


@dataclass
class _Meter:
    """Gas and calldata of each transaction, in order."""

    entries: list[tuple[str, int, int]]

    def uses(self) -> list[GasUse]:
        found: dict[str, list[tuple[int, int]]] = {}
        for name, gas, size in self.entries:
            found.setdefault(name, []).append((gas, size))
        return [
            GasUse(name, min(gas for gas, _ in all_), max(gas for gas, _ in all_), max(s for _, s in all_))
            for name, all_ in found.items()
        ]


class _MeteredConnection(InProcessConnection):
    def __init__(self, ledger: EmbeddedLedger, meter: _Meter) -> None:
        self.key = AccountKey.generate()
        super().__init__(ledger, self.key)
        self._meter = meter

    def transact(self, function: ContractFunction | ContractConstructor, value: int = 0) -> TxReceipt:
        receipt = super().transact(function, value)
        size = len(Web3.to_bytes(hexstr=self._request(function, value)["data"]))  # type: ignore[arg-type]
        name = getattr(function, "fn_name", "deploy")
        self._meter.entries.append((name, int(receipt["gasUsed"]), size))
        return receipt


class Stage:
    """A deployed ledger with registered parties, who play jobs: for reports and benchmarks.

    Parameters
    ----------
    chain
        An empty one.
    nodes, threshold, trainers
        How many; all zk-nodes are drawn.
    """

    def __init__(self, chain: EmbeddedLedger, nodes: int, threshold: int, trainers: int) -> None:
        self.meter = _Meter([])
        self._chain = chain
        self.treasury = deploy(InProcessConnection(chain, AccountKey.generate()), DeploymentTerms())
        self.threshold = threshold
        self.bls = [BlsSecretKey.generate() for _ in range(nodes)]
        self.nodes = [self._party() for _ in range(nodes)]
        self.trainers = [self._party() for _ in range(trainers)]
        self.owner = self._party()
        self.keys = {node.account: key for node, key in zip(self.nodes, self.bls, strict=True)}
        for node, key in zip(self.nodes, self.bls, strict=True):
            digest = possession_digest(CHAIN_ID, node.contract, node.account, key.public)
            possession = signature_to_ledger(key.prove_possession(digest))
            node.register_node(key.public.to_ledger(), possession, DIGEST, "127.0.0.1:7001", 500 * MPC)
        for trainer in self.trainers:
            trainer.register_trainer(DIGEST, 500 * MPC)

    def _party(self) -> LedgerClient:
        connection = _MeteredConnection(self._chain, self.meter)
        client = LedgerClient(connection, self.treasury.contract)
        self.treasury.token.transfer(client.account, PURSE)
        return client

    def terms(self, rounds: int) -> JobTerms:
        """Terms of a job of so many training rounds, each with a slice of the test set."""
        return JobTerms(
            training_rounds=rounds,
            statistics=False,
            target=900_000,
            baseline=500_000,
            threshold=self.threshold,
            quorum=2,
            max_trainers=len(self.trainers),
            durations=Durations(*[1000] * 7),
            deadline=NOW + 100_000,
            manifest=DIGEST,
            member_key=DIGEST,
            statistics_layout=0,
            training_layout=LAYOUT.shape,
            slices=rounds,
            slice_records=10_000,
            slice_anchor=keccak256(slice_keys(LAST_SLICE_KEY, rounds)[0]),
            node_stake=500 * MPC,
            trainer_stake=500 * MPC,
        )

    def create(self, rounds: int = 2) -> int:
        """Create a job of so many training rounds, and let everybody join."""
        job = self.owner.create_job(self.terms(rounds), len(self.nodes))
        self.owner.advance(job)
        committee = {node.account: node for node in self.nodes}
        self.nodes = [committee[account] for account in self.owner.job(job).committee]
        self.bls = [self.keys[node.account] for node in self.nodes]
        for trainer in self.trainers:
            trainer.join(job)
        self.owner.share_keys(job, DIGEST)
        return job

    def play(self, job: int, number: int) -> int:
        """Play a round; returns the gas of all its transactions."""
        before = len(self.meter.entries)
        everyone, committee = (1 << len(self.trainers)) - 1, (1 << len(self.nodes)) - 1
        for trainer in self.trainers:
            trainer.submit(job, number, DIGEST, DIGEST)
        for node in self.nodes:
            node.report(job, number, everyone)
        for node in self.nodes:
            node.post_aggregate(job, number, DIGEST, DIGEST)
        terms = self.owner.job(job).terms
        self.owner.open_slice(job, number, slice_keys(LAST_SLICE_KEY, terms.slices)[number - 1])
        context = Context(CHAIN_ID, self.owner.contract, job, number)
        posts = self.owner.round(job, number).posts
        digest = attestation_digest(context, everyone, DIGEST, committee, posts)
        signature = signature_to_ledger(aggregate_signatures([key.sign(digest) for key in self.bls]))
        self.nodes[0].attest(job, number, DIGEST, committee, committee, signature)
        accuracy = ACCURACY_PPM + 1000 * number
        for trainer in self.trainers:
            trainer.contribute(job, number, DIGEST)
            trainer.score(job, number, score_commitment(context, trainer.account, DIGEST, accuracy, DIGEST))
        for trainer in self.trainers:
            trainer.attest_factors(job, number, dict.fromkeys(range(len(self.trainers)), 100))
            trainer.reveal(job, number, DIGEST, accuracy, DIGEST)
        return sum(gas for _, gas, _ in self.meter.entries[before:])

    def dispute(self, job: int) -> None:
        """Accuse a trainer of a row that has nothing to do with the commitments."""
        rows, width = LAYOUT.packed_rows, LAYOUT.columns + 1
        share = random_scalars((rows, width))
        count = LAYOUT.lane_rows + (self.threshold - 1) * rows
        points = generators(2 * LAYOUT.columns).G[:count]
        trainer = self.trainers[0].connection
        message = ShareMessage(
            context=Context(CHAIN_ID, self.owner.contract, job, 1),
            trainer=self.trainers[0].account,
            node=len(self.nodes),
            commitment_root=commitment_root(points),
            share_root=share_root(share),
            blob_hash=DIGEST,
        )
        signed = message.sign(MessageKind.SHARE, trainer.key)  # type: ignore[attr-defined]  # a metered one
        case = Judge(self.owner).accuse_share(signed, 0)
        for piece in row_pieces(share, 0):
            case.add_piece(piece)
        first = LAYOUT.lane_rows
        leaves = [*range(LAYOUT.lanes), *range(first, count, rows)]
        case.add_openings(openings(points, leaves))
        if not case.guilty:
            raise LedgerError("the judge acquitted a false row", party="judge")


@dataclass(frozen=True)
class GasReport:
    """Gas of each call, and of whole rounds (the first writes what later ones only change)."""

    nodes: int
    trainers: int
    calls: tuple[GasUse, ...]
    rounds: tuple[int, ...]


def measure(nodes: int, threshold: int, trainers: int, *, dispute: bool = False) -> GasReport:
    """Play a job of two rounds on a chain of its own, and on request a dispute of one row before it ends."""
    with (
        TemporaryDirectory() as folder,
        EmbeddedLedger(Path(folder) / "chain.db", CHAIN_ID, clock=lambda: NOW) as chain,
    ):
        stage = Stage(chain, nodes, threshold, trainers)
        job = stage.create()
        rounds = tuple(stage.play(job, number) for number in (1, 2))
        if dispute:
            stage.dispute(job)
        return GasReport(nodes, trainers, tuple(stage.meter.uses()), rounds)
