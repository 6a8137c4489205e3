"""A whole job whose parties share no folder: a Kubo node each, in a private network on loopback."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.live_network import LiveNetwork
from tests.ledger.conftest import CHAIN_ID, running
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.records import JobStatus
from zkpfl.roles.job_reader import JobReader
from zkpfl.storage.cid import ContentId
from zkpfl.storage.kubo import KuboStore
from zkpfl.storage.kubo_process import KuboSettings
from zkpfl.storage.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.kubo]


class IpfsNetwork(LiveNetwork):
    """Trainers connect with the owner and the zk-nodes, which connect with each other."""

    def __init__(self, url: str, folder: Path) -> None:
        self.stores: dict[str, KuboStore] = {}
        self._swarm_key = secrets.token_bytes(32)
        super().__init__(url, folder)

    def open_store(self, party: str) -> Store:
        if party not in self.stores:
            hubs = [store for name, store in self.stores.items() if not name.startswith("trainer")]
            peers = tuple(address for store in hubs for address in store.process.addresses)
            settings = KuboSettings(self._swarm_key, peers=peers)
            self.stores[party] = KuboStore(self.folder / "ipfs" / party, settings)
        return self.stores[party]

    def close(self) -> None:
        super().close()
        for store in self.stores.values():
            store.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[IpfsNetwork]:
    with EmbeddedLedger(tmp_path / "ledger.db", CHAIN_ID) as ledger, running(ledger) as url:
        live = IpfsNetwork(url, tmp_path)
        yield live
        live.close()


def test_a_job_on_a_private_ipfs_network(
    network: IpfsNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = network.start_owner(bundle, training_rounds=1, max_trainers=3)
    for hospital in hospitals[:3]:
        network.start_trainer(job_id, hospital.train)

    result = network.finish(240)

    assert result.job.status is JobStatus.DONE
    assert (result.job.trained, result.job.failures) == (1, 0)
    assert result.checkpoint is not None
    for thread in [*network.nodes, *network.trainers]:
        assert not thread.recorder.of("fault"), thread.recorder.of("fault")
    assert all(store.process.starts == 1 for store in network.stores.values())
    # The owner may go: every zk-node has the bundle.
    manifest = JobReader(network.treasury, network.store, job_id).manifest
    for name, store in network.stores.items():
        if name.startswith("node"):
            assert store.has(ContentId.parse(manifest.bundle))
