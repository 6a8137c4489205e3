"""The compiled contracts that the package carries: built from the .vy files of this room."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from zkpfl.errors import InvalidParameter, LedgerError

_RESOURCE = "contract.json"


@dataclass(frozen=True)
class CompiledContract:
    """What is needed to deploy and to call a contract.

    Parameters
    ----------
    abi
        The contract's JSON ABI.
    bytecode
        Creation code, without constructor arguments.
    runtime
        What then stands on the chain, but for the immutables that follow it.
    compiler
        Name and version of the compiler.
    """

    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes
    compiler: str


@cache
def compiled(name: str) -> CompiledContract:
    """Return a contract of the package: zkpfl, bank, mpc_token, rules, bls_verifier, judge or contributions.

    Raises
    ------
    InvalidParameter
        No such contract.
    LedgerError
        The package was installed without its compiled contracts.
    """
    try:
        document = json.loads(files("zkpfl.ledger").joinpath(_RESOURCE).read_text())
    except FileNotFoundError as error:
        raise LedgerError("the compiled contracts are missing", hint="install the package again") from error
    if name not in document["contracts"]:
        known = ", ".join(sorted(document["contracts"]))
        raise InvalidParameter(f"no contract {name!r}, only {known}", field="name")
    contract = document["contracts"][name]
    return CompiledContract(
        abi=contract["abi"],
        bytecode=bytes.fromhex(contract["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(contract["bytecode_runtime"].removeprefix("0x")),
        compiler=document["compiler"],
    )
