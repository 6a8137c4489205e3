"""A live network per test, on the embedded ledger and, marked ``anvil``, on a real EVM node."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.live_network import LiveNetwork
from tests.ledger.conftest import CHAIN_ID, FREE_GAS, anvil, running
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit, heart_disease, heart_disease_bundle
from zkpfl.ledger.embedded import EmbeddedLedger


@pytest.fixture
def network(tmp_path: Path) -> Iterator[LiveNetwork]:
    with EmbeddedLedger(tmp_path / "ledger.db", CHAIN_ID) as ledger, running(ledger) as url:
        live = LiveNetwork(url, tmp_path)
        yield live
        live.close()


@pytest.fixture(params=["embedded", pytest.param("anvil", marks=pytest.mark.anvil)])
def network_on_each_chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveNetwork]:
    if request.param == "embedded":
        yield request.getfixturevalue("network")
        return
    with anvil(*FREE_GAS) as url:
        live = LiveNetwork(url, tmp_path)
        yield live
        live.close()


@pytest.fixture(scope="session")
def hospitals() -> list[HospitalSplit]:
    return heart_disease(0)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return heart_disease_bundle(0, private=False)
