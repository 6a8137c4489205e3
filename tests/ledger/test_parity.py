"""The embedded engine and a real node agree on every transaction of a job: status, gas and logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.conftest import CHAIN_ID, FREE_GAS, anvil, rpc

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.embedded import EmbeddedLedger, Mined
from zkpfl.ledger.gas import NOW, Stage

Outcome = tuple[int, int, list[tuple[str, list[str], str]]]
"""Status, gas, and the address, topics and data of each log."""

DRAWN = int.from_bytes(keccak256(b"CommitteeDrawn(uint256,bytes32,uint256,address[])"), "big")

MOST_DRAWS = 200
"""Three zk-nodes can be drawn in six orders: missing one so often has probability 10^-16."""


def transactions(chain: EmbeddedLedger) -> Iterator[Mined]:
    for number in range(1, chain.head.block_number + 1):
        header = chain.header(number)
        assert header is not None
        for found in map(chain.transaction, chain.transaction_hashes(header)):
            assert found is not None
            yield found


def call(url: str, method: str, *params: Any) -> Any:
    answer = rpc(url, method, *params)
    assert "result" in answer, (method, answer.get("error"))
    return answer["result"]


def send(url: str, mined: Mined) -> dict[str, Any]:
    """Mine a transaction in a block of its own that has the time it had before."""
    call(url, "evm_setNextBlockTimestamp", mined.header.timestamp)
    raw = "0x" + mined.transaction.encode().hex()
    transaction = call(url, "eth_sendRawTransaction", raw)
    for _ in range(1000):
        receipt: dict[str, Any] | None = call(url, "eth_getTransactionReceipt", transaction)
        if receipt:
            return receipt
        time.sleep(0.01)
    pytest.fail("the transaction is not mined")


def outcome(receipt: dict[str, Any]) -> Outcome:
    logs = [(log["address"], log["topics"], log["data"]) for log in receipt["logs"]]
    return int(receipt["status"], 16), int(receipt["gasUsed"], 16), logs


def expected(mined: Mined) -> Outcome:
    """The same of the embedded engine; each of its blocks has one transaction, so all its gas."""
    logs = [
        ("0x" + log.address.hex(), [f"0x{topic:064x}" for topic in log.topics], "0x" + log.data.hex())
        for log in mined.receipt.logs
    ]
    return int.from_bytes(mined.receipt.state_root, "big"), mined.receipt.gas_used, logs


def without_seed(drawn: Outcome) -> Outcome:
    """The outcome of a draw without the seed, the first word of its event."""
    status, gas, logs = drawn
    return status, gas, [(address, topics, data[66:]) for address, topics, data in logs]


def extra_gas(url: str, mined: Mined) -> int:
    """Replay a transaction, and return how much more gas it took; all else must be the same."""
    (status, gas, logs), (same_status, before, same_logs) = outcome(send(url, mined)), expected(mined)
    assert (status, logs) == (same_status, same_logs)
    return gas - before


def draw_alike(url: str, created: Mined, drawn: Mined) -> None:
    """A committee depends on the hash of a block: vary that block until the same order is drawn."""
    for attempt in range(MOST_DRAWS):
        before = call(url, "evm_snapshot")
        call(url, "anvil_setCoinbase", f"0x{attempt + 1:040x}")
        assert extra_gas(url, created) == 0
        if without_seed(outcome(send(url, drawn))) == without_seed(expected(drawn)):
            return
        call(url, "evm_revert", before)
    pytest.fail("no block draws the same committee")


@pytest.mark.anvil
@pytest.mark.parametrize(("hardfork", "dearer"), [("prague", 0), ("osaka", 600)])
def test_every_transaction_of_a_job_costs_and_does_the_same(
    tmp_path: Path, hardfork: str, dearer: int
) -> None:
    """On Osaka, MODEXP is dearer (EIP-7883): 600 gas for a hash to the curve, with each signature checked."""
    with (
        EmbeddedLedger(tmp_path / "chain.db", CHAIN_ID, clock=lambda: NOW) as chain,
        anvil(*FREE_GAS, "--timestamp", str(NOW - 1), hardfork=hardfork) as url,
    ):
        stage = Stage(chain, 3, 2, 3)
        job = stage.create()
        for number in (1, 2):
            stage.play(job, number)
        sent = list(transactions(chain))
        drawing = next(
            i for i, mined in enumerate(sent) if any(DRAWN in log.topics for log in mined.receipt.logs)
        )
        extra = [extra_gas(url, mined) for mined in sent[: drawing - 1]]
        draw_alike(url, *sent[drawing - 1 : drawing + 1])
        extra += [extra_gas(url, mined) for mined in sent[drawing + 1 :]]
        assert sum(extra) == dearer * (3 + 2)  # three keys are registered, and two rounds attested
        stage.dispute(job)
        dispute = list(transactions(chain))[len(sent) :]
        assert not any(extra_gas(url, mined) for mined in dispute)
