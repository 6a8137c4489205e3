"""The embedded ledger: requests and transactions of strangers, answers of nodes, files under audit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from tests.fuzz.registry import Reader, fuzz_target
from zkpfl.errors import InvalidEncoding, InvalidInput
from zkpfl.ledger import rpc_json
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.node import _reason
from zkpfl.ledger.replay import replay
from zkpfl.ledger.rpc_methods import EthMethods
from zkpfl.ledger.rpc_server import _INTERNAL_ERROR, _Front, _parsed

CHAIN_ID = 31337
CALL_GAS = 50_000
"""Any code may be called; what it may cost is not what is asked here."""


@cache
def _ledger() -> EmbeddedLedger:
    return EmbeddedLedger(Path(":memory:"), CHAIN_ID, clock=lambda: 1e9)


@cache
def _answer() -> Callable[[Any], Any]:
    return _Front(EthMethods(_ledger()), ThreadPoolExecutor(max_workers=1))._answer


@fuzz_target("ledger")
def ledger_requests(data: bytes) -> None:
    """The body of a POST."""
    try:
        body = _parsed(data.decode(errors="surrogateescape"))
    except ValueError:
        return
    with mock.patch.object(rpc_json, "TRANSACTION_GAS_LIMIT", CALL_GAS):
        answers = _answer()(body)
    json.dumps(answers, allow_nan=False)
    for answer in answers if isinstance(answers, list) else [answers or {}]:
        assert answer.get("error", {}).get("code") != _INTERNAL_ERROR


@fuzz_target("ledger")
def transactions(data: bytes) -> None:
    try:
        transaction = _ledger()._decode(data)
        _ledger()._admit(transaction)
    except (InvalidEncoding, InvalidInput):
        return
    assert transaction.encode() == data


@fuzz_target("ledger")
def revert_reasons(data: bytes) -> None:
    """What a node says about a refused call: any JSON value, mostly a string."""
    text = data.decode("latin-1")
    for answer in ("0x" + data.hex(), "0x08c379a0" + data.hex(), "0x4e487b71" + data.hex(), text, None):
        assert isinstance(_reason(answer), str)


@cache
def _chain() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain"
        with EmbeddedLedger(path, CHAIN_ID, clock=lambda: 1e9) as ledger:
            ledger.mine()
        return path.read_bytes()


@fuzz_target("chain_files")
def chain_files(data: bytes) -> None:
    """A chain file changed, and perhaps a log beside it: whatever is wrong is told, not raised."""
    reader = Reader(data)
    known = _chain()
    recorded = reader.damage(known) if reader.byte() & 1 else reader.rest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain"
        path.write_bytes(recorded)
        if log := reader.rest():
            path.with_name("chain-wal").write_bytes(log)
        found = replay(path, CHAIN_ID)
    if found.ledger is not None:
        found.ledger.close()
    # Only the free bytes of the header may differ from the true file without being told.
    differing = [i for i, pair in enumerate(zip(recorded, known, strict=False)) if pair[0] != pair[1]]
    if not log and not found.differences:
        assert len(recorded) == len(known)
        assert all(i < 100 for i in differing)
