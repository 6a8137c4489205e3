"""Write tests/vectors/v1/<operation>/<case>.json from the reference, never from the product.

Run as ``python -m tests.reference.make_vectors`` in the repository after a change of the protocol;
a test fails as long as the files differ from what this writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.reference import (
    cases_commitments,
    cases_contribution,
    cases_encoding,
    cases_ledger,
    cases_norm,
    cases_privacy,
    cases_proofs,
)
from tests.reference.material import Refused

VECTORS = Path(__file__).parents[1] / "vectors" / "v1"
OPERATIONS = (
    cases_encoding.OPERATIONS
    | cases_commitments.OPERATIONS
    | cases_proofs.OPERATIONS
    | cases_norm.OPERATIONS
    | cases_contribution.OPERATIONS
    | cases_ledger.OPERATIONS
    | cases_privacy.OPERATIONS
)


def make(operation: str) -> dict[str, str]:
    """File name to file content of one operation."""
    files = {}
    for name, given, result in OPERATIONS[operation]():
        assert f"{name}.json" not in files
        files[f"{name}.json"] = _text(given, result)
    return files


def _text(given: dict[str, Any], result: Any) -> str:
    outcome = {"error": result.error} if isinstance(result, Refused) else {"output": result}
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in ({"input": given} | outcome).items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    for operation in OPERATIONS:
        directory = VECTORS / operation
        directory.mkdir(parents=True, exist_ok=True)
        files = make(operation)
        for stale in {path.name for path in directory.iterdir()} - files.keys():
            (directory / stale).unlink()
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
