"""Certificates that count for seconds, in a job of minutes: everything goes on (docs/spec.md §11)."""

import pytest

from tests.e2e.live_network import LiveNetwork
from tests.e2e.test_faults import start_job
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.records import JobStatus, Phase
from zkpfl.rpc import identity
from zkpfl.rpc.identity import TransportIdentity

LIFETIME_S = 4


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Certificates count for seconds; when each was made expires."""
    ends: list[int] = []
    real = identity.new_credential

    def counted(*arguments):  # type: ignore[no-untyped-def]
        ends.append(arguments[3])
        return real(*arguments)

    monkeypatch.setattr(identity, "new_credential", counted)
    monkeypatch.setitem(TransportIdentity.__init__.__kwdefaults__, "lifetime_s", LIFETIME_S)
    return ends


def test_all_parties_renew_their_certificates_while_a_job_runs(
    made: list[int], network: LiveNetwork, bundle: Bundle, hospitals: list[HospitalSplit]
) -> None:
    job_id = start_job(network, bundle, hospitals[:3])
    result = network.finish()
    assert result.job.status is JobStatus.DONE
    rounds = [network.treasury.round(job_id, number) for number in range(1, result.job.current_round + 1)]
    assert [round_.phase for round_ in rounds] == [Phase.CLOSED] * 2  # none failed
    assert [round_.accepted.bit_count() for round_ in rounds] == [3, 3]
    assert max(made) - min(made) > LIFETIME_S  # some had expired before the job ended
    assert not [
        path for path in network.folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
