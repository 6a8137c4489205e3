"""A trainer that scales its updates up is named and left out; the others go on (docs/spec.md §7)."""

from tests.e2e.live_network import LiveNetwork
from tests.e2e.test_faults import FAST
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.records import JobStatus, Phase, RoundKind
from zkpfl.roles.attack import BoostingTrainer


def test_a_boosted_update_is_stopped_by_its_proof(
    network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = network.start_owner(bundle, training_rounds=1, max_trainers=3, durations=FAST)
    network.start_trainer(job_id, hospitals[0].train, kind=BoostingTrainer)
    for hospital in hospitals[1:3]:
        network.start_trainer(job_id, hospital.train)

    result = network.finish()

    assert result.job.status is JobStatus.DONE
    rounds = [network.treasury.round(job_id, number) for number in range(1, result.job.current_round + 1)]
    (trained,) = [one for one in rounds if one.kind is RoundKind.TRAINING and one.phase is Phase.CLOSED]
    assert trained.submitted == 0b111
    assert trained.accepted == 0b110
    for node in network.nodes:
        faults = {(one.fields["code"], one.fields["party"]) for one in node.recorder.of("fault")}
        assert faults == {("bad_proof", "trainer 0")}
