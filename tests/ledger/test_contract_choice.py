"""The contract's choices against brute force: accepted set, checkpoint, median (docs/spec.md §6, §9.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import CHAIN_ID, running
from vyper.compiler import compile_code
from vyper.compiler.settings import OptimizationLevel, Settings
from web3 import Web3

import zkpfl.ledger
from zkpfl.crypto.signatures import AccountKey
from zkpfl.ledger import contracts
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.records import Durations, JobTerms
from zkpfl.ledger.rules import FeeSplit, choose_accepted, leading_checkpoint, lower_bound, weighted_median

PROBES = """

@external
def probe_scores(trainers: DynArray[address, 256], checkpoints: DynArray[bytes32, 256],
                 accuracies: DynArray[uint256, 256], stakes: DynArray[uint256, 256]) -> (bytes32, uint256):
    head: Head = empty(Head)
    head.trainers = len(trainers)
    self._accepted[0][0] = self._everyone(len(trainers))
    for i: uint256 in range(len(trainers), bound=256):
        self._trainers[0][i] = (convert(trainers[i], uint256) << 96) | stakes[i]
        self._scores[0][0][i] = self._packed_score(checkpoints[i], accuracies[i])
        self._support_checkpoint(0, 0, checkpoints[i], stakes[i])
    return self._verdict(0, head)


@external
def probe_count(members: uint256) -> uint256:
    return self._count(members)
"""

TERMS = JobTerms(
    1,
    True,
    900_000,
    500_000,
    2,
    2,
    4,
    Durations(*[1] * 7),
    10**9,
    bytes(32),
    bytes(32),
    0,
    0,
    1,
    1,
    bytes(32),
    1,
    1,
    0,
)
SLOW = settings(deadline=None, derandomize=True, max_examples=100)


def address(index: int) -> str:
    return Web3.to_checksum_address((index + 1).to_bytes(20, "big"))


Probe = Callable[..., Any]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Calls a function of the rules or a probe of the ledger's internals, which leaves no trace."""
    source = (Path(zkpfl.ledger.__file__).parent / "zkpfl.vy").read_text()
    # A contract has no room for both: what only other contracts read makes way.
    kept, _, rest = source.partition("# What the judge and the contributions read")
    source = kept + rest[rest.index("# Life of a job") :] + PROBES
    options = Settings(evm_version="prague", optimize=OptimizationLevel.CODESIZE)
    compiled = compile_code(source, output_formats=["abi", "bytecode"], settings=options)
    path = tmp_path_factory.mktemp("chain") / "chain.db"
    with (
        EmbeddedLedger(path, CHAIN_ID) as ledger,
        running(ledger) as url,
        Connection(url, AccountKey.generate()) as connection,
    ):
        own = contracts.compiled("rules")
        rules = connection.deploy(own.abi, own.bytecode)
        token = contracts.compiled("mpc_token")
        mpc = connection.deploy(token.abi, token.bytecode, 1)
        bank = contracts.compiled("bank")
        ledger_address = Web3.to_checksum_address(connection.next_contract(after=1))
        coins = [(Web3.to_checksum_address(mpc), address(-1), 0)]
        held = connection.deploy(bank.abi, bank.bytecode, ledger_address, address(1), coins, 0, 0, 1, 1, 1, 0)
        code = bytes.fromhex(compiled["bytecode"].removeprefix("0x"))
        parts = [Web3.to_checksum_address(held), Web3.to_checksum_address(rules), *map(address, (1, 2, 3))]
        deployed = connection.deploy(compiled["abi"], code, *parts, 0)
        functions = connection.contract(compiled["abi"], deployed).functions
        pure = connection.contract(own.abi, rules).functions

        def call(name: str, *arguments: Any) -> Any:
            return connection.call((functions if name.startswith("probe") else pure)[name](*arguments))

        yield call


def brute_force(reports: list[int | None], threshold: int) -> tuple[int, int]:
    """All groups, sorted by the words of the specification."""
    nodes = [j for j, report in enumerate(reports) if report is not None]
    groups = chain.from_iterable(combinations(nodes, size) for size in range(threshold, len(nodes) + 1))

    def common(group: tuple[int, ...]) -> set[int]:
        return set.intersection(*({i for i in range(256) if (reports[j] or 0) >> i & 1} for j in group))

    def bitmap(members: set[int]) -> int:
        return sum(1 << member for member in members)

    best = min(groups, key=lambda group: (-len(common(group)), -len(group), bitmap(set(group))))
    return bitmap(common(best)), bitmap(set(best))


@st.composite
def reported_sets(draw: st.DrawFn, bits: int = 8) -> tuple[int, list[int | None]]:
    size = draw(st.integers(3, 6))
    few = st.sampled_from([0, 1, (1 << bits) - 1, 0b1010, 0b0101]) | st.integers(0, (1 << bits) - 1)
    reports = draw(st.lists(st.none() | few | few, min_size=size, max_size=size))
    reporting = sum(report is not None for report in reports)
    return draw(st.integers(2, max(2, min(5, reporting)))), reports


def choice(probe: Probe, threshold: int, reports: list[int | None]) -> tuple[int, int]:
    reported = sum(1 << j for j, report in enumerate(reports) if report is not None)
    accepted, quorum = probe("choose_accepted", [report or 0 for report in reports], reported, threshold)
    return accepted, quorum


@SLOW
@given(case=reported_sets())
def test_the_accepted_set_is_that_of_brute_force(probe: Probe, case: tuple[int, list[int | None]]) -> None:
    threshold, reports = case
    assume(sum(report is not None for report in reports) >= threshold)  # else the round has failed before
    expected = brute_force(reports, threshold)
    assert choice(probe, threshold, reports) == expected
    given_reports = {j + 1: report for j, report in enumerate(reports) if report is not None}
    assert choose_accepted(given_reports, threshold) == expected


@settings(SLOW, max_examples=15)
@given(
    reports=st.lists(st.none() | st.integers(0, (1 << 256) - 1), min_size=10, max_size=10).filter(
        lambda reports: sum(report is not None for report in reports) >= 5
    )
)
def test_ten_nodes_and_256_trainers(probe: Probe, reports: list[int | None]) -> None:
    given_reports = {j + 1: report for j, report in enumerate(reports) if report is not None}
    assert choice(probe, 5, reports) == choose_accepted(given_reports, 5)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([0b111, 0b111, 0b111], (0b111, 0b111)),
        ([0b011, 0b110, None], (0b010, 0b011)),
        ([0b011, 0b011, 0b110, 0b110], (0b011, 0b0011)),
        ([0, 0, 0], (0, 0b111)),
        ([0b1, 0b10, 0b100], (0, 0b111)),
    ],
)
def test_ties(probe: Probe, reports: list[int | None], expected: tuple[int, int]) -> None:
    assert choice(probe, 2, reports) == expected == brute_force(reports, 2)


SCORES = st.lists(
    st.tuples(
        st.sampled_from([b"\x01" * 32, b"\x02" * 32, b"\xff" * 32]),
        st.sampled_from([0, 500_000, 1_000_000]) | st.integers(0, 1_000_000),
        st.sampled_from([1, 500 * 10**18]) | st.integers(1, 10**21),
    ),
    min_size=1,
    max_size=9,
)


@SLOW
@given(scores=SCORES)
def test_checkpoint_and_median_are_those_of_brute_force(
    probe: Probe, scores: list[tuple[bytes, int, int]]
) -> None:
    trainers = [address(i) for i in range(len(scores))]
    checkpoint, accuracy = probe("probe_scores", trainers, *map(list, zip(*scores, strict=True)))
    supports = {c: sum(stake for other, _, stake in scores if other == c) for c, _, _ in scores}
    assert checkpoint == min(c for c in supports if supports[c] == max(supports.values()))
    assert checkpoint == leading_checkpoint((c, stake) for c, _, stake in scores)
    behind = [(a, stake) for c, a, stake in scores if c == checkpoint]
    half = partial(_reached, behind)
    assert accuracy == min(a for a, _ in behind if 2 * half(a) >= half(10**6)) == weighted_median(behind)


@SLOW
@given(
    fee=st.integers(1, 2**96 - 1),
    rounds=st.integers(0, 1000),
    slices=st.integers(0, 1000),
    records=st.sampled_from([0, 99, 100, 101, 5000, 2**64 - 1]),
    numbers=st.lists(st.integers(0, 10**6), min_size=4, max_size=4),
    paid=st.sampled_from([0, 1]) | st.integers(0, 10**6),
    due=st.booleans(),
    opened=st.booleans(),
)
@example(
    fee=10**20,
    rounds=5,
    slices=2,
    records=400,
    numbers=[500_000, 900_000, 500_000, 600_000],  # two standard errors are half of the improvement
    paid=0,
    due=True,
    opened=True,
)
def test_pots_are_those_of_the_twin(
    probe: Probe,
    fee: int,
    rounds: int,
    slices: int,
    records: int,
    numbers: list[int],
    paid: int,
    due: bool,
    opened: bool,
) -> None:
    baseline, best, target = sorted(numbers[:3])
    target += target == baseline
    slices = min(slices, rounds)
    due, opened = due and slices > 0, opened and slices > 0
    made = replace(
        TERMS,
        training_rounds=rounds,
        slices=slices,
        slice_records=records,
        baseline=baseline,
        target=target,
    )
    split, bound = FeeSplit.of(fee, made), lower_bound(numbers[3], records) if opened else 0
    already = split.improvement * paid // 10**6
    pot = split.improvement_pot(made, best, bound)
    if due and not opened:
        pot = split.unopened_pot(made)
    pot = min(pot, split.improvement - already)
    expected = (
        split.nodes // split.rounds,
        split.flat // split.rounds + pot,
        max(best, bound),
        already + pot,
    )
    closing = (
        fee, rounds, True, slices, records, baseline, target, best, already, numbers[3], due, opened
    )  # fmt: skip
    assert tuple(probe("pots", closing)) == expected


def _reached(scores: list[tuple[int, int]], limit: int) -> int:
    return sum(stake for accuracy, stake in scores if accuracy <= limit)


@SLOW
@given(members=st.sampled_from([0, 1, (1 << 256) - 1, 1 << 255]) | st.integers(0, (1 << 256) - 1))
def test_counting_members(probe: Probe, members: int) -> None:
    assert probe("probe_count", members) == members.bit_count()
