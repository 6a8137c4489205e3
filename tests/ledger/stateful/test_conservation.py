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
from zkpfl.ledger.client import MPC, Durations, JobStatus, JobTerms, Phase
from zkpfl.ledger.reconciliation import discrepancies
from zkpfl.ledger.settlement import explain

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
amounts = st.sampled_from([500 * MPC, 777 * MPC + 1, 5000 * MPC])
accuracies = st.sampled_from([0, 500_000, 640_001, 800_000, 900_000, 1_000_000])
most = st.sampled_from([15, 15, 15, 14, 7, 11, 3]) | subsets
varieties = st.tuples(st.booleans(), accuracies, st.integers(0, 9), st.sampled_from([3, 5, 6, 7, 9]))
MOST_JOBS = 3
NOISE = (
    "register_trainer",
    "unstake",
    "withdraw_stake",
    "join",
    "cancel_job",
    "claim",
    "advance",
    "grant_keys",
    "submit",
    "report",
    "post_aggregate",
    "attest",
    "score",
    "convict",
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

    @rule(account=accounts, name=st.sampled_from(NOISE), job=jobs, number=st.integers(0, 3), amount=amounts)
    def call_anything(self, account: bytes, name: str, job: int, number: int, amount: int) -> None:
        arguments: dict[str, tuple[Any, ...]] = {
            "register_trainer": (b"e" * 32, amount),
            "unstake": (),
            "withdraw_stake": (),
            "join": (job,),
            "cancel_job": (job,),
            "claim": (job,),
            "advance": (job,),
            "grant_keys": (job, [hexadecimal(account)], [b"g" * 32]),
            "submit": (job, number, b"r" * 32, b"m" * 32),
            "report": (job, number, 3),
            "post_aggregate": (job, number, b"s" * 32, b"m" * 32),
            "attest": (job, number, b"a" * 32, 3, 3, bytes(128)),
            "score": (job, number, b"\x05" * 32, number),
            "convict": (job, number, hexadecimal(account), hexadecimal(account), 1),
        }
        self.call(account, name, *arguments[name])

    @rule(node=st.sampled_from(NODES), amount=amounts)
    def register_node(self, node: bytes, amount: int) -> None:
        register_node(self, node, amount)

    # Jobs

    @rule(job=jobs, account=accounts, wait=seconds)
    def advance(self, job: int, account: bytes, wait: int) -> None:
        self.direct.time += wait
        self.call(account, "advance", job)

    @initialize(rounds=st.integers(1, 3), statistics=st.booleans(), trainers=st.integers(2, 4))
    def first_job(self, rounds: int, statistics: bool, trainers: int) -> None:
        self.new_job(OWNERS[0], 4, rounds, statistics, trainers, 100 * MPC, 15, 1000)

    @rule(
        owner=st.sampled_from(OWNERS),
        size=st.sampled_from([3, 4]),
        rounds=st.integers(0, 3),
        statistics=st.booleans(),
        trainers=st.integers(2, 4),
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
            durations=Durations(*[PHASE_S] * 6),
            deadline=self.direct.time + LIFETIME_S,
            manifest=b"m" * 32,
            member_key=b"k" * 32,
            statistics_layout=LAYOUT.shape,
            training_layout=LAYOUT.shape,
            test_records=records,
        )
        self.call(owner, "create_job", astuple(terms), [hexadecimal(node) for node in NODES[:size]], fee)
        self.each(TRAINERS, joining, "join", job)

    # Rounds

    def each(self, parties: Sequence[bytes], who: int, name: str, *arguments: Any) -> None:
        """Those of ``parties`` whose bit is set call the same."""
        for index, party in enumerate(parties):
            if who >> index & 1:
                self.call(party, name, *arguments)

    @rule(job=jobs, who=most, reports=st.lists(most, min_size=4, max_size=4), vary=varieties)
    def act(self, job: int, who: int, reports: Sequence[int], vary: tuple[bool, int, int, int]) -> None:
        """Some do what the present phase asks for."""
        honest, accuracy, wait, signers = vary
        state, _, _, _, current = self.direct.call(ADMIN, "job", job)
        number, phase = state[5], current[1]
        if phase == Phase.COLLECT:
            self.direct.time += wait
            self.each(TRAINERS, who, "submit", job, number, b"r" * 32, b"m" * 32)
        elif phase == Phase.CHECK:
            for node, report in zip(NODES, reports, strict=True):
                self.call(node, "report", job, number, current[5] & (15 if honest else report))
        elif phase == Phase.AGGREGATE:
            self.each(NODES, who, "post_aggregate", job, number, b"s" * 32, b"m" * 32)
        elif phase == Phase.ATTEST:
            self.attest(job, number, current, current[9] if honest else current[9] & who, signers)
        elif phase == Phase.SCORE:
            for index, trainer in enumerate(TRAINERS):
                checkpoint = bytes([5 + (0 if honest else reports[index] & 1)]) * 32
                self.call(trainer, "score", job, number, checkpoint, max(0, accuracy - 1001 * index))

    def attest(self, job: int, number: int, current: tuple[Any, ...], valid: int, signers: int) -> None:
        context = Context(CHAIN_ID, self.direct.address, job, number)
        posts = [(b"s" * 32, b"m" * 32)] * valid.bit_count()
        digest = attestation_digest(context, current[7], b"a" * 32, valid, posts)
        signed = [KEYS[node].sign(digest) for j, node in enumerate(NODES) if signers >> j & 1]
        signature = signature_to_ledger(aggregate_signatures(signed))
        self.call(STRANGER, "attest", job, number, b"a" * 32, valid, signers, signature)

    # Evidence

    @rule(job=jobs, node=st.integers(1, 5), accuser=accounts, two=st.sampled_from([True, True, True, False]))
    def equivocate(self, job: int, node: int, accuser: bytes, two: bool) -> None:
        """A node signs two sets, or only one; somebody shows both signatures."""
        context = Context(CHAIN_ID, self.direct.address, job, 1)
        statements = []
        for accepted in (3, 7 if two else 3):
            digest = attestation_digest(context, accepted, b"a" * 32, 3, [(b"s" * 32, b"m" * 32)] * 2)
            signature = signature_to_ledger(KEYS[NODES[(node - 1) % 4]].sign(digest))
            statements.append((accepted, b"a" * 32, 3, keccak256((b"s" * 32 + b"m" * 32) * 2), signature))
        arguments = (hexadecimal(self.direct.address), job, 1, node, *statements)
        self.call(accuser, "prove_equivocation", *arguments, contract=self.direct.judge)

    @rule(job=jobs, node=st.integers(1, 5), accuser=accounts, wait=seconds)
    def accuse(self, job: int, node: int, accuser: bytes, wait: int) -> None:
        """Somebody accuses, and does not go through with it."""
        judge = self.direct.judge
        arguments = (hexadecimal(self.direct.address), job, 1, node, 0)
        number = self.call(accuser, "accuse_aggregate_share", *arguments, contract=judge)
        if number is not None:
            case = self.direct.last_case()
            self.direct.time += wait
            self.cases.append((number, case))
            self.call(STRANGER, "dismiss", number, case, contract=judge)

    @rule(job=jobs, accuracy=accuracies, deadlines=subsets)
    def whole_round(self, job: int, accuracy: int, deadlines: int) -> None:
        """Two honest rounds at most, in some phases with one party missing until the deadline."""
        for phase in (*range(5), *range(5)):
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
        assert self.direct.balance(self.direct.address) == self.direct.call(ADMIN, "probe_promised", parties)

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
        assert self.direct.balance(self.direct.address) == 0

    def finish(self, job: int) -> None:
        for _ in range(60):
            state = self.direct.call(ADMIN, "job", job)[0]
            if state[1] > JobStatus.RUNNING:
                break
            self.direct.time += PHASE_S
            self.call(STRANGER, "advance", job)
        assert state[1] > JobStatus.RUNNING
        self.direct.time = max(self.direct.time, state[13] + CHALLENGE_S)
        settlement = explain(self.direct.events(job))
        for account in (*EVERYONE, *EVERYONE):  # the second claim must give nothing
            self.call(account, "claim", job)
        self.the_contract_holds_what_it_owes()
        assert discrepancies(self.direct.events(job)) == []
        paid = settlement.fee + sum(slash.amount for slash in settlement.slashes)
        paid += sum(one.bounty for one in settlement.convictions)
        TOTALS["convicted"] += len(settlement.convictions)
        assert paid == sum(settlement.owed(account) for account in EVERYONE)
        TOTALS["ended"] += 1
        TOTALS["closed"] += sum(result.closed for result in settlement.rounds)


def register_node(machine: Ledger, node: bytes, amount: int) -> None:
    public: BlsPublicKey = KEYS[node].public
    digest = possession_digest(CHAIN_ID, machine.direct.address, node, public)
    possession = signature_to_ledger(KEYS[node].prove_possession(digest))
    machine.call(node, "register_node", public.to_ledger(), possession, b"e" * 32, "host:1", amount)


@pytest.fixture(scope="module")
def direct() -> DirectLedger:
    """A ledger where everyone is funded, and nodes and trainers are registered."""
    ledger = DirectLedger(ADMIN, probe_contract(), UNBONDING_S, CHALLENGE_S, 500 * MPC, 500 * MPC, 100 * MPC)
    for account in EVERYONE:
        ledger.call(ADMIN, "transfer", hexadecimal(account), FUNDS, contract=ledger.token)
        ledger.call(account, "approve", hexadecimal(ledger.address), 2**255, contract=ledger.token)
    for trainer in TRAINERS:
        ledger.call(trainer, "register_trainer", b"e" * 32, 500 * MPC)
    Ledger.direct = ledger
    Ledger.start = ledger.snapshot()
    machine = Ledger.__new__(Ledger)
    for node in NODES:
        register_node(machine, node, 5000 * MPC)
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
def test_money_is_conserved_in_twenty_thousand_calls(direct: DirectLedger) -> None:
    play(180)
    assert TOTALS["calls"] > 20_000
    assert TOTALS["closed"] > 50
    assert TOTALS["convicted"] > 20
