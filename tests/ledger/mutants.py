"""Faults of the contracts, one line each, and the tests that must catch them.

``python -m tests.ledger.mutants [NUMBER …]`` tries all or some, each in a process of its own, and exits with
1 if one survives. A fault lives in the compiled contracts of that process only; sources stay as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import zkpfl.ledger
from zkpfl.ledger import contracts

VARIABLE = "ZKPFL_MUTANT"
SOURCES = Path(zkpfl.ledger.__file__).parent
ROOT = Path(__file__).parents[2]
ACCOUNTS, JOBS, ROUNDS, SETTLEMENT, CHOICE, JUDGE, REFUSALS, COINS, DRAW, SLICES, CONTRIBUTIONS = (
    f"tests/ledger/test_{name}.py"
    for name in (
        "contract_accounts",
        "contract_jobs",
        "contract_rounds",
        "settlement",
        "contract_choice",
        "judge",
        "judge_refusals",
        "coins",
        "draw",
        "slices",
        "contributions",
    )
)


@dataclass(frozen=True)
class Mutant:
    """A line of a contract, what stands in its place, and the file of tests and words that catch it."""

    contract: str
    line: str
    fault: str
    tests: str
    words: str


def without(contract: str, line: str, tests: str, words: str) -> Mutant:
    """The line is missing."""
    return Mutant(contract, line, "pass", tests, words)


MUTANTS = (
    # Accounts and coins
    without("bank", 'assert block.timestamp >= account.withdrawable_at, "unbonding"', ACCOUNTS, "delay"),
    without("bank", 'assert account.serving == 0, "serving"', ACCOUNTS, "bound_while"),
    Mutant("bank", '), "bad_possession"', ') or True, "bad_possession"', ACCOUNTS, "possession"),
    without(
        "bank",
        'assert self._worth(coin, stake) >= minimum, "stake_out_of_range"',
        ACCOUNTS,
        "below_the_minimum",
    ),
    without(
        "bank",
        'assert self.bls_key_owner[key_hash] == empty(address), "key_taken"',
        ACCOUNTS,
        "belongs_to_one",
    ),
    without("bank", "self._delist(msg.sender)", ACCOUNTS, "who_unstakes"),
    without("bank", 'assert answer != 0, "bad_price"', COINS, "keeps_people_out"),
    without("bank", 'assert fresh, "stale_price"', COINS, "keeps_people_out"),
    Mutant(
        "bank",
        "updated_at <= block.timestamp and block.timestamp - updated_at <= self._coins[coin].max_age",
        "block.timestamp - min(updated_at, block.timestamp) <= self._coins[coin].max_age",
        COINS,
        "keeps_people_out",
    ),
    Mutant("bank", "+ price - 1) // price", ") // price", COINS, "rounding"),
    without(
        "bank",
        'assert staticcall token.balanceOf(self) == before + amount, "transfer_short"',
        COINS,
        "takes_a_fee",
    ),
    Mutant(
        "bank", "answers[coin] = answer if fresh else 0", "answers[coin] = answer", COINS, "without_a_price"
    ),
    Mutant("bank", "weights[index] = 0", "pass", DRAW, "can_compute"),
    Mutant("bank", "target -= weights[i]", "pass", DRAW, "can_compute"),
    Mutant("bank", "max(least, MIN_NODE_STAKE)", "MIN_NODE_STAKE", DRAW, "too_little_at_stake"),
    without("bank", "self.burnt[coin] += draw_fee", DRAW, "leave_before"),
    # Jobs
    without("bank", "self.owed[job][msg.sender][coin] = 0", JOBS, "fails_and_refunds"),
    without("bank", 'assert block.timestamp >= pays_at, "challenge_window"', JOBS, "fails_and_refunds"),
    Mutant("zkpfl", "block.number > draw_block + READABLE_BLOCKS", "False", DRAW, "not_for_ever"),
    Mutant("rules", "nodes + 1 >= 2 * terms.threshold", "nodes >= terms.threshold", JOBS, "terms_itself"),
    without(
        "rules",
        'assert terms.threshold * terms.node_stake >= worth, "stake_below_value_at_risk"',
        JOBS,
        "terms_itself",
    ),
    without(
        "rules",
        'assert terms.deadline <= block.timestamp + MAX_LIFETIME, "deadline_out_of_range"',
        JOBS,
        "terms_itself",
    ),
    without("zkpfl", 'self._require(not self._left[job][msg.sender], "left_before")', JOBS, "may_leave"),
    without(
        "zkpfl",
        'self._require(self._submitted[job][round + 1] & (1 << index) == 0, "has_submitted")',
        JOBS,
        "may_leave",
    ),
    Mutant("zkpfl", "if self._trainers[job][i] == 0:", "if False:", JOBS, "freed_once"),
    without("zkpfl", "self._deals[job].absent_trainers |= 1 << index", JOBS, "until_it_submits"),
    without("zkpfl", 'self._require(index < stage.members, "joined_later")', JOBS, "next_round"),
    Mutant("zkpfl", "stage.members = head.trainers", "stage.members = MAX_TRAINERS", JOBS, "next_round"),
    without(
        "zkpfl",
        'self._require(head.trainers < self._terms[job].max_trainers, "full")',
        JOBS,
        "takes_nobody",
    ),
    # Rounds
    without(
        "zkpfl",
        'self._require(self._submissions[job][round][index] == 0, "already_submitted")',
        ROUNDS,
        "submits_once",
    ),
    without(
        "zkpfl",
        'self._require(accepted & ~self._submitted[job][round] == 0, "not_submitted")',
        ROUNDS,
        "reports_once",
    ),
    without("zkpfl", 'self._require(stage.quorum & (1 << index) != 0, "not_in_quorum")', ROUNDS, "post_once"),
    without("zkpfl", 'self._require(valid & ~stage.delivered == 0, "not_delivered")', ROUNDS, "that_exist"),
    without(
        "zkpfl",
        'self._require(self._count(signers) >= threshold, "too_few_signers")',
        ROUNDS,
        "too_few_or_unknown",
    ),
    Mutant(
        "zkpfl",
        'keys, signers), "bad_signature")',
        'keys, signers) or True, "bad_signature")',
        ROUNDS,
        "else",
    ),
    without(
        "zkpfl", 'self._require(self._scores[job][round][index] == 0, "already_scored")', ROUNDS, "score_once"
    ),
    without("zkpfl", 'self._require(kept & REVEALED == 0, "already_revealed")', ROUNDS, "by_whom"),
    Mutant(
        "zkpfl", '~REVEALED == kept, "wrong_opening"', '~REVEALED != 0, "wrong_opening"', ROUNDS, "by_whom"
    ),
    without("zkpfl", 'self._require(accuracy <= MILLION, "accuracy_out_of_range")', ROUNDS, "score_once"),
    without("zkpfl", "failed.failures += 1", ROUNDS, "three_failures"),
    without("zkpfl", "next.failures = 0", ROUNDS, "between_failures"),
    Mutant("bank", "amount: uint256 = stake // 10", "amount: uint256 = stake // 9", ROUNDS, "slashed"),
    Mutant("rules", "if 2 * reached >= total:", "if 2 * reached > total:", CHOICE, "median"),
    Mutant(
        "rules",
        "rank: uint256 = 16 * self._count(common[group]) + nodes",
        "rank: uint256 = 16 * self._count(common[group])",
        CHOICE,
        "ties",
    ),
    # Slices and money
    without(
        "zkpfl",
        'self._require(keccak256(key) == self._deals[job].slice_key, "wrong_key")',
        SLICES,
        "by_its_key",
    ),
    without("zkpfl", 'self._require(self._is_slice_due(job, head, stage), "not_due")', SLICES, "not_due"),
    without("zkpfl", 'self._require(stage.slice_opened == 0, "already_opened")', SLICES, "by_its_key"),
    Mutant("rules", "extra = min(extra, improvement - closing.improvement_paid)", "pass", SLICES, "exceeds"),
    Mutant("rules", "extra = improvement // closing.slices", "extra = 0", SLICES, "keeping"),
    Mutant("rules", "nodes: uint256 = closing.fee // 5", "nodes: uint256 = closing.fee // 4", CHOICE, "pots"),
    Mutant(
        "rules",
        "isqrt(4 * accuracy * (MILLION - accuracy) // records)",
        "isqrt(accuracy * (MILLION - accuracy) // records)",
        CHOICE,
        "pots",
    ),
    without("bank", "self.pool[job] -= total", SETTLEMENT, "pays_what"),
    without("zkpfl", "self._deals[job].best = best", SETTLEMENT, "significant"),
    Mutant(
        "zkpfl", "return self._stake(job, index) * factors // ONE", "return factors", SETTLEMENT, "at_joining"
    ),
    Mutant("zkpfl", "SPAN * elapsed //", "0 * elapsed //", SETTLEMENT, "pays_what"),
    # Evidence
    without("zkpfl", 'self._require(msg.sender == JUDGE, "not_the_judge")', JUDGE, "only_the_judge"),
    Mutant("bank", 'assert msg.sender == LEDGER, "not_the_ledger"', "pass", COINS, "alone_moves"),
    without("bank", "self.account[account].stake = 0", JUDGE, "attestations_of_one_round"),
    without("bank", "self.owed[job][account][self.coin_of[job]] = 0", JUDGE, "after_the_end"),
    Mutant(
        "zkpfl",
        "if member and staticcall BANK.is_open_to_evidence(job):",
        "if member:",
        JUDGE,
        "until_the_job_pays",
    ),
    Mutant("judge", "not self._is_infinity(case.total)", "True", JUDGE, "good_row"),
    Mutant(
        "judge",
        "if case.pieces == self._pieces(case, layout) and case.openings",
        "if case.openings",
        JUDGE,
        "bad_aggregate",
    ),
    without("judge", '== share.trainer, "bad_signature"', REFUSALS, "cannot_be_judged"),
    without("judge", 'leaf, proof) == root, "wrong_proof"', REFUSALS, "must_be_the_next"),
    without("judge", 'assert convert(root, uint256) >> 16 == kept, "wrong_proof"', JUDGE, "bad_aggregate"),
    without("judge", "self._require_generators(start // HALF", REFUSALS, "signed_root"),
    Mutant("judge", "if y_high > HALF_P_HIGH or", "if y_high < HALF_P_HIGH or", REFUSALS, "committed_root"),
    without(
        "judge", 'assert msg.gas - msg.gas // 64 > price + CALL_MARGIN, "out_of_gas"', REFUSALS, "starved"
    ),
    without("judge", 'assert case.accuser == msg.sender, "not_the_accuser"', REFUSALS, "belongs_to"),
    without("judge", 'assert block.timestamp >= case.deadline, "not_due"', REFUSALS, "left_lying"),
    without(
        "judge", 'assert keccak256(attestation.key) == account.bls_key_hash, "wrong_key"', JUDGE, "one_round"
    ),
    without(
        "judge",
        'assert not (same_set and first.aggregate_root == second.aggregate_root), "same_statement"',
        JUDGE,
        "one_round",
    ),
    Mutant("judge", "return R - value // below", "return value // below", JUDGE, "good_row"),
    # Contributions
    Mutant(
        "contributions",
        "2 * support > vote.total",
        "2 * support >= vote.total",
        CONTRIBUTIONS,
        "exactly_half",
    ),
    Mutant("contributions", "2 * support > vote.total", "True", CONTRIBUTIONS, "without_a_majority"),
    without("contributions", '(1 << number) == 0, "already_attested"', CONTRIBUTIONS, "more_than_half"),
    without("contributions", '== empty(bytes32), "already_contributed"', CONTRIBUTIONS, "contributes_once"),
    without("contributions", 'assert found.phase == phase, "wrong_phase"', CONTRIBUTIONS, "for_reveal"),
    without("contributions", "assert block.timestamp < found.deadline", CONTRIBUTIONS, "for_reveal"),
    without("contributions", '(1 << number) != 0, "not_accepted"', CONTRIBUTIONS, "who_is_not_accepted"),
    without("contributions", "percent <= MOST", CONTRIBUTIONS, "out_of_range"),
    without("contributions", 'assert word == 0, "factor_of_nobody"', CONTRIBUTIONS, "nobody_else"),
    Mutant(
        "zkpfl", "return ONE if percent == 0 else", "return ONE if True else", CONTRIBUTIONS, "more_than_half"
    ),
)


def mutated(mutant: Mutant) -> str:
    """The source with the fault in place of the one line that has it."""
    source = (SOURCES / f"{mutant.contract}.vy").read_text()
    assert source.count(mutant.line) == 1, f"{mutant.line!r} occurs {source.count(mutant.line)} times"
    if mutant.fault != "pass":
        return source.replace(mutant.line, mutant.fault)
    lines = source.split("\n")
    number = source[: source.index(mutant.line)].count("\n")
    indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
    lines[number] = f"{indent}pass"
    return "\n".join(lines)


def pytest_configure() -> None:
    """As a plugin of pytest: the package's compiled contracts have the fault that the variable names."""
    from vyper.compiler import compile_code  # noqa: PLC0415  only a process with a fault compiles
    from vyper.compiler.settings import OptimizationLevel, Settings  # noqa: PLC0415

    mutant = MUTANTS[int(os.environ[VARIABLE])]
    document = json.loads(files("zkpfl.ledger").joinpath(contracts._RESOURCE).read_text())
    options = Settings(evm_version="prague", optimize=OptimizationLevel.CODESIZE)
    made = compile_code(
        mutated(mutant), output_formats=["abi", "bytecode", "bytecode_runtime"], settings=options
    )
    document["contracts"][mutant.contract] = made
    text = json.dumps(document)
    resource = SimpleNamespace(joinpath=lambda _name: SimpleNamespace(read_text=lambda: text))
    contracts.files = lambda _package: resource  # type: ignore[assignment]
    contracts.compiled.cache_clear()


def survives(number: int) -> bool:
    """Run the tests that must catch a fault; an error that is no failed test is an error here too."""
    mutant = MUTANTS[number]
    command = [
        sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.ledger.mutants", "-p", "no:cacheprovider",
        "-m", "not anvil and not slow", mutant.tests, "-k", mutant.words,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env={**os.environ, VARIABLE: str(number)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    # what fails before a test begins has caught nothing
    if done.returncode != 0 and " failed" not in done.stdout.splitlines()[-1]:
        raise RuntimeError(f"mutant {number}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def main(numbers: list[int]) -> int:
    """Try the faults; returns how many survive."""
    survivors = 0
    for number in numbers:
        began, mutant = time.monotonic(), MUTANTS[number]
        survived = survives(number)
        survivors += survived
        verdict = "SURVIVES" if survived else "caught"
        seconds = time.monotonic() - began
        sys.stdout.write(
            f"{number:3} {verdict:8} {seconds:5.1f} s  {mutant.contract}: {mutant.line[:90]!r}\n"
        )
        sys.stdout.flush()
    return survivors


if __name__ == "__main__":
    chosen = [int(argument) for argument in sys.argv[1:]] or list(range(len(MUTANTS)))
    sys.exit(min(main(chosen), 1))
