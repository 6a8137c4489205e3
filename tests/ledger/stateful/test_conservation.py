"""Random calls by everyone: money is conserved in every state, and every job settles (docs/spec.md §9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.ledger.conftest import CHAIN_ID
from tests.ledger.direct import DirectLedger, Refused, probe_contract
from tests.ledger.world import LAYOUT
from web3 import Web3

from zkpfl.crypto.bls import (
    BlsPublicKey,
    BlsSecretKey,
    aggregate_signatures,
    attestation_digest,
    possession_digest,
    signature_to_ledger,
)
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.transcript import Context
from zkpfl.ledger.client import MPC, DeploymentTerms, Durations, JobStatus, JobTerms, Phase
from zkpfl.ledger.factors import packed_factors
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.rules import score_commitment, slice_keys
from zkpfl.ledger.settlement import explain
from zkpfl.protocol.plan import members_of

UNBONDING_S, CHALLENGE_S, PHASE_S, LIFETIME_S = 40, 30, 20, 2000
ADMIN, STRANGER = b"\x01" * 20, b"\x02" * 20
OWNERS = [bytes([16 + i]) * 20 for i in range(2)]
NODES = [bytes([32 + i]) * 20 for i in range(4)]
TRAINERS = [bytes([64 + i]) * 20 for i in range(4)]
EVERYONE = [*OWNERS, *NODES, *TRAINERS, STRANGER]
KEYS = {node: BlsSecretKey.from_bytes((7 + i).to_bytes(32, "big")) for i, node in enumerate(NODES)}
FUNDS = 10**6 * MPC
TOTALS = {"calls": 0, "accepted": 0, "closed": 0, "ended": 0, "convicted": 0}

accounts = st.sampled_from(EVERYONE)
jobs = st.sampled_from([1, 1, 1, 2, 2, 3])
subsets = st.integers(0, 15)
seconds = st.sampled_from([0, 1, PHASE_S // 2, PHASE_S, UNBONDING_S])
coins = st.sampled_from([0, 0, 1])
amounts = st.sampled_from([500 * MPC, 777 * MPC + 1, 5000 * MPC])
accuracies = st.sampled_from([0, 500_000, 640_001, 800_000, 900_000, 1_000_000])
salts = st.sampled_from([b"s" * 32, b"s" * 32, b"t" * 32])
most = st.sampled_from([15, 15, 15, 14, 7, 11, 3]) | subsets
varieties = st.tuples(st.booleans(), accuracies, st.integers(0, 9), st.sampled_from([3, 5, 6, 7, 9]))
MOST_JOBS = 3
BANK_DOORS = ("open", "draw", "bind", "credit", "settle", "release", "fine", "confiscate")
"""What only the ledger may call."""
SLICE_KEYS = slice_keys(b"k" * 32, 3)
NOISE = (
    "register_trainer",
    "unstake",
    "withdraw_stake",
    "join",
    "cancel_job",
    "claim",
    "advance",
    "share_keys",
    "leave",
    "submit",
    "report",
    "post_aggregate",
    "attest",
    "open_slice",
    "score",
    "reveal",
    "convict",
    *BANK_DOORS,
)


def hexadecimal(address: bytes) -> str:
    return Web3.to_checksum_address(address)


class Ledger(RuleBasedStateMachine):
    """Everybody may call everything; the helpers only make deep states likely."""

    direct: DirectLedger
    start: Any

    def __init__(self) -> None:
        super().__init__()
        self.direct.revert(self.start)
        self.changed = True
        self.cases: list[tuple[int, Any]] = []
        self.scores: dict[int, list[tuple[bytes, int]]] = {}

    def call(self, sender: bytes, name: str, *arguments: Any, contract: Any = None) -> Any:
        """Call; a refusal must have a reason and leave the money where it was."""
        TOTALS["calls"] += 1
        try:
            result = self.direct.call(sender, name, *arguments, contract=contract)
        except Refused as refusal:
            assert refusal.args[0].replace("_", "").isalnum()
            return None
        TOTALS["accepted"] += 1
        self.changed = True
        return result

    # Anybody calls anything

    @rule(
        account=accounts,
        name=st.sampled_from(NOISE),
        job=jobs,
        number=st.integers(0, 3),
        amount=amounts,
        coin=coins,
    )
    def call_anything(self, account: bytes, name: str, job: int, number: int, amount: int, coin: int) -> None:
        who = hexadecimal(account)
        arguments: dict[str, tuple[Any, ...]] = {
            "register_trainer": (b"e" * 32, coin, amount // (10**12 if coin else 1)),
            "unstake": (),
            "withdraw_stake": (),
            "join": (job,),
            "cancel_job": (job,),
            "claim": (job, coin),
            "advance": (job,),
            "share_keys": (job, b"g" * 32),
            "leave": (job,),
            "submit": (job, number, b"r" * 32, b"m" * 32),
            "report": (job, number, 3),
            "post_aggregate": (job, number, b"s" * 32, b"m" * 32),
            "attest": (job, number, b"a" * 32, 3, 3, bytes(128), bytes(768)),
            "open_slice": (job, number, SLICE_KEYS[number % 3]),
            "score": (job, number, b"\x05" * 32),
            "reveal": (job, number, b"\x05" * 32, number, b"s" * 32),
            "convict": (job, number, who, who, 1),
            "open": (job, who, coin, amount),
            "draw": (b"s" * 32, 3, 1),
            "bind": (who, 1),
            "credit": (job, [who], [amount]),
            "settle": (job, who),
            "release": ([who],),
            "fine": (job, who, who),
            "confiscate": (job, who, who, who),
        }
        contract = self.direct.bank if name in BANK_DOORS else None
        done = self.call(account, name, *arguments[name], contract=contract)
        assert done is None or name not in (*BANK_DOORS, "convict")

    @rule(price=st.sampled_from([0, 1, 250_000_000, 10**12, -5]), age=st.sampled_from([0, 0, 10**10]))
    def the_oracle_says(self, price: int, age: int) -> None:
        """Whatever it says, nobody's money moves, and nobody is kept from what is theirs."""
        told = (price, max(0, self.direct.time - age))
        self.call(ADMIN, "tell", *told, contract=self.direct.feed)

    @rule(node=st.sampled_from(NODES), amount=amounts)
    def register_node(self, node: bytes, amount: int) -> None:
        register_node(self, node, 0, amount)

    # Jobs

    @rule(job=jobs, account=accounts, wait=seconds)
    def advance(self, job: int, account: bytes, wait: int) -> None:
        self.direct.time += wait
        self.call(account, "advance", job)

    @initialize(rounds=st.integers(1, 3), statistics=st.booleans(), trainers=st.integers(2, 4))
    def first_job(self, rounds: int, statistics: bool, trainers: int) -> None:
        self.new_job(OWNERS[0], 4, rounds, statistics, trainers, 0, 100 * MPC, 15, 1000)

    @rule(
        owner=st.sampled_from(OWNERS),
        size=st.sampled_from([3, 4]),
        rounds=st.integers(0, 3),
        statistics=st.booleans(),
        trainers=st.integers(2, 4),
        coin=coins,
        fee=st.sampled_from([100 * MPC, 123 * MPC + 7]),
        joining=most,
        records=st.sampled_from([0, 99, 100, 5000]),
    )
    def new_job(
        self,
        owner: bytes,
        size: int,
        rounds: int,
        statistics: bool,
        trainers: int,
        coin: int,
        fee: int,
        joining: int,
        records: int,
    ) -> None:
        job = self.direct.call(ADMIN, "job_count") + 1
        if job > MOST_JOBS:
            return
        terms = JobTerms(
            training_rounds=rounds,
            statistics=statistics or rounds == 0,
            target=900_000,
            baseline=500_000,
            threshold=2,
            quorum=2,
            max_trainers=trainers,
            durations=Durations(*[PHASE_S] * 7),
            deadline=self.direct.time + LIFETIME_S,
            manifest=b"m" * 32,
            member_key=b"k" * 32,
            statistics_layout=LAYOUT.shape,
            training_layout=LAYOUT.shape,
            slices=rounds,
            slice_records=records,
            slice_anchor=keccak256(slice_keys(SLICE_KEYS[-1], max(rounds, 1))[0]),
            node_stake=500 * MPC,
            trainer_stake=500 * MPC,
        )
        self.call(owner, "create_job", astuple(terms), size, coin, fee // (10**12 if coin else 1))
        self.call(STRANGER, "advance", job)
        self.each(TRAINERS, joining, "join", job)

    def committee(self, job: int) -> list[bytes]:
        return [Web3.to_bytes(hexstr=node) for node in self.direct.call(ADMIN, "committee", job)]

    # Rounds

    def each(self, parties: Sequence[bytes], who: int, name: str, *arguments: Any) -> None:
        """Those of ``parties`` whose bit is set call the same."""
        for index, party in enumerate(parties):
            if who >> index & 1:
                self.call(party, name, *arguments)

    @rule(job=jobs, who=most, reports=st.lists(most, min_size=4, max_size=4), vary=varieties, salt=salts)
    def act(
        self,
        job: int,
        who: int,
        reports: Sequence[int],
        vary: tuple[bool, int, int, int],
        salt: bytes = b"s" * 32,
    ) -> None:
        """Some do what the present phase asks for."""
        honest, accuracy, wait, signers = vary
        if job > self.direct.call(ADMIN, "job_count"):
            return
        state, terms, _, _, current = self.direct.call(ADMIN, "job", job)
        number, phase = state[7], current[1]
        nodes = self.committee(job)
        if phase == Phase.COLLECT:
            self.direct.time += wait
            self.each(TRAINERS, who, "submit", job, number, b"r" * 32, b"m" * 32)
        elif phase == Phase.CHECK:
            for node, report in zip(nodes, reports, strict=False):
                self.call(node, "report", job, number, current[5] & (15 if honest else report))
        elif phase == Phase.AGGREGATE:
            self.each(nodes, who, "post_aggregate", job, number, b"s" * 32, b"m" * 32)
        elif phase == Phase.ATTEST:
            if honest and terms[13]:
                keys = slice_keys(SLICE_KEYS[-1], terms[13])
                self.call(OWNERS[0], "open_slice", job, number, keys[min(state[13], len(keys) - 1)])
            self.attest(job, number, current, current[9] if honest else current[9] & who, signers)
        elif phase == Phase.SCORE:
            self.scores[job] = [
                (bytes([5 + (0 if honest else reports[index] & 1)]) * 32, max(0, accuracy - 1001 * index))
                for index in range(len(TRAINERS))
            ]
            context = Context(CHAIN_ID, self.direct.address, job, number)
            self.say(TRAINERS[: 2 + accuracy % 3], "contribute", job, number, b"\x07" * 32)
            for trainer, score in zip(TRAINERS, self.scores[job], strict=True):
                self.call(
                    trainer, "score", job, number, score_commitment(context, trainer, *score, b"s" * 32)
                )
        elif phase == Phase.REVEAL:
            self.say(TRAINERS[: accuracy % 5], "attest_factors", job, number, self.factors(current, accuracy))
            for trainer, score in zip(TRAINERS, self.scores.get(job, []), strict=False):
                self.call(trainer, "reveal", job, number, *score, salt)

    def say(self, trainers: list[bytes], name: str, *arguments: Any) -> None:
        """Call the contract of contributions for this ledger."""
        ledger = hexadecimal(self.direct.address)
        for trainer in trainers:
            self.call(trainer, name, ledger, *arguments, contract=self.direct.contributions)

    def factors(self, current: tuple[Any, ...], seed: int) -> tuple[int, ...]:
        """Some factor for each trainer of the accepted set."""
        accepted = current[7] & ((1 << len(TRAINERS)) - 1)
        return packed_factors({i: 80 + (seed + 17 * i) % 46 for i in members_of(accepted)})

    def attest(self, job: int, number: int, current: tuple[Any, ...], valid: int, signers: int) -> None:
        context = Context(CHAIN_ID, self.direct.address, job, number)
        nodes = self.committee(job)
        digest = attestation_digest(context, current[7], b"a" * 32, valid, current[13])
        signed = [KEYS[node].sign(digest) for j, node in enumerate(nodes) if signers >> j & 1]
        signature = signature_to_ledger(aggregate_signatures(signed))
        keys = b"".join(KEYS[node].public.to_ledger() for node in nodes)
        self.call(STRANGER, "attest", job, number, b"a" * 32, valid, signers, signature, keys)

    # Evidence

    @rule(job=jobs, node=st.integers(1, 5), accuser=accounts, two=st.sampled_from([True, True, True, False]))
    def equivocate(self, job: int, node: int, accuser: bytes, two: bool) -> None:
        """A node signs two sets, or only one; somebody shows both signatures."""
        context = Context(CHAIN_ID, self.direct.address, job, 1)
        committee = self.committee(job) or NODES
        key = KEYS[committee[(node - 1) % len(committee)]]
        statements = []
        for accepted in (3, 7 if two else 3):
            digest = attestation_digest(context, accepted, b"a" * 32, 3, b"p" * 32)
            signature = signature_to_ledger(key.sign(digest))
            statements.append((accepted, b"a" * 32, 3, b"p" * 32, signature, key.public.to_ledger()))
        arguments = (hexadecimal(self.direct.address), job, 1, node, *statements)
        self.call(accuser, "prove_equivocation", *arguments, contract=self.direct.judge)

    @rule(job=jobs, node=st.integers(1, 5), accuser=accounts, wait=seconds)
    def accuse(self, job: int, node: int, accuser: bytes, wait: int) -> None:
        """Somebody accuses, and does not go through with it."""
        judge = self.direct.judge
        committee = [hexadecimal(one) for one in self.committee(job)]
        posts = [
            (
                committee.index(event["args"]["node"]) + 1,
                event["args"]["share_root"],
                event["args"]["manifest"],
            )
            for event in self.direct.posted(job, 1)
        ]
        arguments = (hexadecimal(self.direct.address), job, 1, node, 0, posts)
        number = self.call(accuser, "accuse_aggregate_share", *arguments, contract=judge)
        if number is not None:
            case = self.direct.last_case()
            self.direct.time += wait
            self.cases.append((number, case))
            self.call(STRANGER, "dismiss", number, case, contract=judge)

    @rule(job=jobs, accuracy=accuracies, deadlines=subsets)
    def whole_round(self, job: int, accuracy: int, deadlines: int) -> None:
        """Two honest rounds at most, in some phases with one party missing until the deadline."""
        for phase in (*range(6), *range(6)):
            late = deadlines >> phase & 1
            self.act(job, 0b1110 if late else 0b1111, [15] * 4, (True, accuracy, 1, 3))
            self.advance(job, STRANGER, PHASE_S if late else 0)

    # Laws

    @invariant()
    def the_contract_holds_what_it_owes(self) -> None:
        if not self.changed:
            return
        self.changed = False
        parties = [hexadecimal(account) for account in EVERYONE]
        jobs = self.direct.call(ADMIN, "job_count")
        for coin in (0, 1):
            promised = self.direct.call(ADMIN, "probe_promised", parties, jobs, coin)
            assert self.direct.balance(self.direct.bank_address, coin) == promised

    def teardown(self) -> None:
        """Everything ends, everybody is paid, nothing is left."""
        self.the_contract_holds_what_it_owes()
        for job in range(1, self.direct.call(ADMIN, "job_count") + 1):
            self.finish(job)
        self.direct.time += CHALLENGE_S
        for number, case in self.cases:
            self.call(STRANGER, "dismiss", number, case, contract=self.direct.judge)
        assert self.direct.balance(Web3.to_bytes(hexstr=self.direct.judge.address)) == 0
        for account in EVERYONE:
            self.call(account, "unstake")
        self.direct.time += UNBONDING_S
        for account in EVERYONE:
            self.call(account, "withdraw_stake")
        for coin in (0, 1):
            burnt = self.direct.call(ADMIN, "burnt", coin, contract=self.direct.bank)
            assert self.direct.balance(self.direct.bank_address, coin) == burnt

    def finish(self, job: int) -> None:
        for _ in range(60):
            state = self.direct.call(ADMIN, "job", job)[0]
            if state[1] > JobStatus.RUNNING:
                break
            self.direct.time += PHASE_S
            self.call(STRANGER, "advance", job)
        assert state[1] > JobStatus.RUNNING
        self.direct.time = max(self.direct.time, state[18] + CHALLENGE_S)
        settlement = explain(self.direct.events(job))
        for account in (*EVERYONE, *EVERYONE):  # the second claim must give nothing
            for coin in (0, 1):
                self.call(account, "claim", job, coin)
        self.the_contract_holds_what_it_owes()
        assert discrepancies(self.direct.events(job)) == []
        for coin in (0, 1):
            paid = settlement.fee if settlement.coin == coin else 0
            paid += sum(slash.amount for slash in settlement.slashes if slash.coin == coin)
            paid += sum(one.bounty for one in settlement.convictions if one.coin == coin)
            assert paid == sum(settlement.owed(account, coin) for account in EVERYONE)
        TOTALS["convicted"] += len(settlement.convictions)
        TOTALS["ended"] += 1
        TOTALS["closed"] += sum(result.closed for result in settlement.rounds)


def register_node(machine: Ledger, node: bytes, coin: int, amount: int) -> None:
    public: BlsPublicKey = KEYS[node].public
    digest = possession_digest(CHAIN_ID, machine.direct.address, node, public)
    possession = signature_to_ledger(KEYS[node].prove_possession(digest))
    machine.call(node, "register_node", public.to_ledger(), possession, b"e" * 32, "host:1", coin, amount)


@pytest.fixture(scope="module")
def direct() -> DirectLedger:
    """A ledger where everyone is funded, and nodes and trainers are registered."""
    terms = DeploymentTerms(unbonding_s=UNBONDING_S, challenge_s=CHALLENGE_S)
    ledger = DirectLedger(ADMIN, terms, probe_contract())
    for account in EVERYONE:
        ledger.call(ADMIN, "transfer", hexadecimal(account), FUNDS, contract=ledger.token)
        ledger.call(ADMIN, "transfer", hexadecimal(account), FUNDS, contract=ledger.coin)
        for token in (ledger.token, ledger.coin):
            ledger.call(account, "approve", ledger.bank.address, 2**255, contract=token)
    for index, trainer in enumerate(TRAINERS):
        stake = (1, 200 * 10**6) if index == 1 else (0, 500 * MPC)
        ledger.call(trainer, "register_trainer", b"e" * 32, *stake)
    Ledger.direct = ledger
    Ledger.start = ledger.snapshot()
    machine = Ledger.__new__(Ledger)
    for index, node in enumerate(NODES):
        register_node(machine, node, *((1, 2000 * 10**6) if index == 2 else (0, 5000 * MPC)))
    Ledger.start = ledger.snapshot()
    return ledger


def play(examples: int) -> None:
    """Random sequences, the same ones each time."""
    TOTALS.update(dict.fromkeys(TOTALS, 0))
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_money_is_conserved_whatever_anyone_calls(direct: DirectLedger) -> None:
    play(18)
    assert TOTALS["calls"] > 1500
    assert TOTALS["accepted"] > 600
    assert TOTALS["ended"] > 20
    assert TOTALS["closed"] > 3
    assert TOTALS["convicted"] > 1


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_money_is_conserved_in_twenty_thousand_calls(direct: DirectLedger) -> None:
    play(180)
    assert TOTALS["calls"] > 20_000
    assert TOTALS["closed"] > 50
    assert TOTALS["convicted"] > 20
