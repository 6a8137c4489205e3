"""Statement and branch coverage of the contracts: ``pytest -p tests.ledger.contract_coverage tests/ledger``.

Watches the jumps of every call that the embedded engine and `DirectLedger` execute, in the test process. A
statement is covered when code that it was compiled to has run; a branch is one way out of a condition
(``if``, ``assert``, ``and``, ``or``, a loop). The reasons that a contract can give for a refusal are counted
as well: each should have been given. Run without xdist; with ``ZKPFL_CONTRACT_COVERAGE=100`` the run fails if
less was covered.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import vyper.ast as vy_ast
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from vyper.compiler import compile_code
from vyper.compiler.settings import OptimizationLevel, Settings

import zkpfl.ledger
from zkpfl.ledger.evm import chain_class

NAMES = ("bank", "zkpfl", "rules", "judge", "contributions", "bls_verifier", "mpc_token")
JUMP, JUMPI, JUMPDEST = 0x56, 0x57, 0x5B
ENDS = {0x00, JUMP, JUMPI, 0xF3, 0xFD, 0xFE}
PUSH1, PUSH32 = 0x60, 0x7F
ERROR_SELECTOR = bytes.fromhex("08c379a0")
Span = tuple[int, int, int, int]
"""First line and column, last line and column."""

REASON = re.compile(r', "([a-z][a-z_0-9]*)"\)?$', re.MULTILINE)


@dataclass
class Contract:
    """A compiled contract, and what has run of it."""

    name: str
    source: str
    creation: bytes
    code: bytes
    positions: dict[int, Span]
    nodes: dict[int, int]
    starts: set[int] = field(default_factory=set)
    jumps: set[tuple[int, bool]] = field(default_factory=set)
    reasons: set[str] = field(default_factory=set)

    def executed(self) -> set[int]:
        """Addresses of all instructions that have run: from each entry to the end of its block."""
        found: set[int] = set()
        entries = self.starts | {pc + 1 for pc, taken in self.jumps if not taken} | {0}
        for entry in entries:
            for pc in _block(self.code, entry):
                found.add(pc)
        return found


def _block(code: bytes, pc: int) -> Iterator[int]:
    while pc < len(code):
        yield pc
        opcode = code[pc]
        if opcode in ENDS:
            return
        pc += 1 + (opcode - PUSH1 + 1 if PUSH1 <= opcode <= PUSH32 else 0)
        if pc < len(code) and code[pc] == JUMPDEST:
            return  # a block of its own, with an entry of its own


@cache
def contracts() -> tuple[Contract, ...]:
    """The contracts of the package, compiled with source maps."""
    folder = Path(zkpfl.ledger.__file__).parent
    settings = Settings(evm_version="prague", optimize=OptimizationLevel.CODESIZE)
    found = []
    for name in NAMES:
        source = (folder / f"{name}.vy").read_text()
        made = compile_code(
            source, output_formats=["bytecode", "bytecode_runtime", "source_map_runtime"], settings=settings
        )
        positions = made["source_map_runtime"]
        creation, code = (bytes.fromhex(made[key][2:]) for key in ("bytecode", "bytecode_runtime"))
        nodes = {pc: node for pc, (_, node) in positions["pc_ast_map"].items()}
        found.append(Contract(name, source, creation, code, positions["pc_pos_map"], nodes))
    return tuple(found)


def watch() -> None:
    """Record every jump and refusal of the EVM from now on."""
    computation = chain_class(1).vm_configuration[0][1]._state_class.computation_class
    opcodes: dict[int, Any] = computation.opcodes
    opcodes[JUMPDEST] = _watched(opcodes[JUMPDEST], _note_entry)
    opcodes[JUMPI] = _watched(opcodes[JUMPI], _note_jump)
    opcodes[0xFD] = _watched(opcodes[0xFD], lambda _computation, _pc: None, after=_note_reason)


def _watched(
    opcode: Callable[..., None],
    before: Callable[[Any, int], None],
    after: Callable[[Any], None] | None = None,
) -> Callable[..., None]:
    def run(computation: Any) -> None:
        before(computation, computation.code.program_counter - 1)
        try:
            opcode(computation=computation)
        finally:
            if after is not None:
                after(computation)

    return run


def _contract(computation: Any) -> Contract | None:
    try:
        found: Contract | None = computation.covered_contract
    except AttributeError:
        found = _identify(bytes(computation.code._raw_code_bytes))
        computation.covered_contract = found
    return found


@cache
def _identify(code: bytes) -> Contract | None:
    # immutables lie behind the compiled code
    return next((contract for contract in contracts() if code.startswith(contract.code)), None)


def _created(code: bytes) -> Contract | None:
    return next((contract for contract in contracts() if code.startswith(contract.creation)), None)


def _note_entry(computation: Any, pc: int) -> None:
    contract = _contract(computation)
    if contract is not None:
        contract.starts.add(pc)


def _note_jump(computation: Any, pc: int) -> None:
    contract = _contract(computation)
    if contract is not None:
        value = computation._stack.values[-2]  # the stack holds numbers as either
        contract.jumps.add((pc, any(value) if isinstance(value, bytes) else value != 0))


def _note_reason(computation: Any) -> None:
    code = bytes(computation.code._raw_code_bytes)
    contract = _contract(computation) or _created(code)
    output = bytes(computation.output)
    if contract is not None and output[:4] == ERROR_SELECTOR:
        try:
            contract.reasons.add(decode(["string"], output[4:])[0])
        except DecodingError:
            return


# What there is to cover


def statements(contract: Contract) -> dict[Span, int]:
    """Span of each statement of a function, of a compound one its condition, and the line where it begins."""
    functions = vy_ast.parse_to_ast(contract.source).get_descendants(vy_ast.FunctionDef)
    nodes = (node for function in functions for node in _statements(function.body))
    return {_span(_head(node)): node.lineno for node in nodes}


def _statements(body: list[Any]) -> Iterator[Any]:
    for node in body:
        if not isinstance(node, vy_ast.DocStr | vy_ast.Pass | vy_ast.Break | vy_ast.Continue):
            yield node
        yield from _statements(getattr(node, "body", []))
        yield from _statements(getattr(node, "orelse", []))


def _head(node: Any) -> Any:
    if isinstance(node, vy_ast.If):
        return node.test
    return node.iter if isinstance(node, vy_ast.For) else node


def _span(node: Any) -> Span:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _inside(position: Span, span: Span) -> bool:
    return span[:2] <= position[:2] and position[2:] <= span[2:]


@dataclass(frozen=True)
class Report:
    """What was covered of a contract; what was not, by line."""

    name: str
    statements: int
    missed: tuple[int, ...]
    branches: int
    one_way: tuple[int, ...]
    reasons: int
    unheard: tuple[str, ...]


def report(contract: Contract) -> Report:
    """Compare what ran with what there is."""
    ran = contract.executed()
    missed, count = [], 0
    for span, line in statements(contract).items():
        own = [pc for pc, position in contract.positions.items() if _inside(position, span)]
        if not own:
            continue  # folded into a constant
        count += 1
        if not ran.intersection(own):
            missed.append(line)
    branches, one_way = _branches(contract, ran)
    reasons = set(REASON.findall(contract.source))
    return Report(
        contract.name,
        count,
        tuple(sorted(missed)),
        branches,
        tuple(sorted(one_way)),
        len(reasons),
        tuple(sorted(reasons - contract.reasons)),
    )


def _branches(contract: Contract, ran: set[int]) -> tuple[int, list[int]]:
    kinds = {
        node.node_id: type(node)
        for node in vy_ast.parse_to_ast(contract.source).get_descendants()
        if isinstance(node, vy_ast.If | vy_ast.IfExp | vy_ast.BoolOp | vy_ast.Assert | vy_ast.For)
    }
    ways: dict[tuple[int, int], set[bool]] = defaultdict(set)
    for pc, node in contract.nodes.items():
        if node in kinds and contract.code[pc] == JUMPI:
            ways[(pc, contract.positions[pc][0])] = {taken for at, taken in contract.jumps if at == pc}
    one_way = [line for (_, line), seen in ways.items() for _ in range(2 - len(seen))]
    return 2 * len(ways), one_way


# The plugin


def pytest_configure(config: pytest.Config) -> None:
    watch()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section("coverage of the contracts")
    least = 100.0
    for contract in contracts():
        found = report(contract)
        least = min(least, 100 * (1 - len(found.missed) / found.statements))
        terminalreporter.line(
            f"{found.name:13} {found.statements - len(found.missed):4}/{found.statements} statements, "
            f"{found.branches - len(found.one_way):4}/{found.branches} branches, "
            f"{found.reasons - len(found.unheard):3}/{found.reasons} reasons"
        )
        for what, places in (
            ("never ran", found.missed),
            ("one way only", found.one_way),
            ("never given", found.unheard),
        ):
            if places:
                terminalreporter.line(f"              {what}: {', '.join(str(place) for place in places)}")
    wanted = float(os.environ.get("ZKPFL_CONTRACT_COVERAGE", "0"))
    if least < wanted:
        terminalreporter.line(
            f"FAILED: {least:.1f} % of the statements of a contract, {wanted:g} % are wanted"
        )
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
