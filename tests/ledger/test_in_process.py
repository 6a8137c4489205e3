"""A connection without a socket behaves as one with a socket."""

from pathlib import Path

import pytest
from tests.ledger.conftest import CHAIN_ID

from zkpfl.crypto.signatures import AccountKey
from zkpfl.errors import NotAuthorized, TransactionFailed
from zkpfl.ledger.client import deploy
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.in_process import InProcessConnection


def test_reads_writes_and_reasons_pass_through(tmp_path: Path) -> None:
    account = AccountKey.generate()
    with EmbeddedLedger(tmp_path / "chain.db", CHAIN_ID) as ledger:
        client = deploy(InProcessConnection(ledger, account))
        reader = InProcessConnection(ledger)
        deployed = reader.block_number()
        client.token.transfer(bytes(19) + b"\x01", 5)
        assert (client.chain_id, reader.block_number()) == (CHAIN_ID, deployed + 1)
        assert client.token.balance(bytes(19) + b"\x01") == 5
        with pytest.raises(TransactionFailed) as refused:
            client.claim(1)
        assert refused.value.reason
        with pytest.raises(NotAuthorized):
            reader.deploy([], b"\x00")
