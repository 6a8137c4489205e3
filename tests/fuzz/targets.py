"""All targets: importing them enters them."""

from tests.fuzz import (  # noqa: F401
    target_crypto,
    target_files,
    target_json,
    target_learning,
    target_ledger,
    target_rpc,
    target_storage,
)
from tests.fuzz.registry import TARGETS, corpus, fuzz_one

__all__ = ["TARGETS", "corpus", "fuzz_one"]
