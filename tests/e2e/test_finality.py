"""A job on a chain whose blocks become final two blocks later: nodes wait for that, and nobody is slashed."""

from pathlib import Path

import pytest

from tests.e2e.live_network import STAKE, LiveNetwork
from tests.ledger.conftest import FREE_GAS, anvil
from zkpfl.cli.ordering import require_time_to_finalise
from zkpfl.errors import InvalidParameter
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.records import Durations, JobStatus

DURATIONS = Durations(join=60, collect=20, check=20, aggregate=20, attest=20, score=20, reveal=20)


@pytest.mark.anvil
def test_nodes_release_what_is_final_and_are_in_time(
    bundle: Bundle, hospitals: list[HospitalSplit], tmp_path: Path
) -> None:
    with anvil(*FREE_GAS, "--block-time", "1", epoch_slots=1) as url:
        network = LiveNetwork(url, tmp_path)
        lag_s = network.treasury.connection.finality_lag_s()
        assert 1 <= lag_s <= 5
        require_time_to_finalise(DURATIONS, lag_s)
        with pytest.raises(InvalidParameter, match="aggregate"):
            require_time_to_finalise(Durations(60, 20, 20, lag_s, 20, 20, 20), lag_s)
        job_id = network.start_owner(bundle, training_rounds=1, max_trainers=2, durations=DURATIONS)
        for hospital in hospitals[:2]:
            network.start_trainer(job_id, hospital.train)
        result = network.finish()
        network.close()

        assert result.job.status is JobStatus.DONE
        assert result.job.failures == 0
        for node in network.nodes:
            assert not node.recorder.of("fault"), node.recorder.of("fault")
        for identity in network.node_identities:
            record = network.treasury.node(identity.account.address)
            assert record is not None
            assert record.stake == STAKE
