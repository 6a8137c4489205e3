"""Compile the contracts of the ledger room into one JSON file: ABI, bytecode and compiler per contract."""

import json
import sys
from pathlib import Path

import vyper
from vyper.compiler import compile_code
from vyper.compiler.settings import OptimizationLevel, Settings


def main(source: Path, out: Path) -> None:
    """Compile every .vy file of ``source`` for the Prague EVM."""
    # For size: the ledger would else fill the 24,576 bytes of a contract, and a round costs 0.2 % more gas.
    settings = Settings(evm_version="prague", optimize=OptimizationLevel.CODESIZE)
    contracts = {
        path.stem: compile_code(
            path.read_text(), output_formats=["abi", "bytecode", "bytecode_runtime"], settings=settings
        )
        for path in sorted(source.glob("*.vy"))
    }
    out.write_text(json.dumps({"compiler": f"vyper {vyper.__version__}", "contracts": contracts}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
