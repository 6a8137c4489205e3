"""``zkpfl verify`` on what a live job left on disk: passes as it is, fails with a byte flipped anywhere."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.live_network import LiveNetwork
from tests.ledger.conftest import CHAIN_ID, running
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.heart_disease import HospitalSplit
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.records import JobStatus
from zkpfl.roles.auditor import audit
from zkpfl.roles.job_key import load_job_key, new_job_key_file
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import LocalPlace

KEY = Path("keys", "job.key")


@dataclass(frozen=True)
class Verdict:
    """Exit code and last line of ``zkpfl verify --json``."""

    exit_code: int
    report: dict[str, Any]


def verify(folder: Path, *options: str) -> Verdict:
    command = [sys.executable, "-m", "zkpfl", "verify", "--data-dir", str(folder), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return Verdict(done.returncode, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, hospitals: list[HospitalSplit]
) -> Iterator[Path]:
    """Folder of a job of three hospitals in which a zk-node died in the middle."""
    folder = tmp_path_factory.mktemp("verify") / "data"
    (folder / "ledger").mkdir(parents=True)
    with EmbeddedLedger(folder / "ledger" / "chain.db", CHAIN_ID) as ledger, running(ledger) as url:
        live = LiveNetwork(url, folder)
        Network(url, CHAIN_ID, live.treasury.contract, LocalPlace(Path("store"))).save(
            folder / "network.json"
        )
        live.job_key = new_job_key_file(folder / KEY)
        job_id = live.start_owner(bundle, training_rounds=2, max_trainers=3)
        for hospital in hospitals[:3]:
            live.start_trainer(job_id, hospital.train)
        live.wait_until(lambda: live.treasury.job(job_id).current_round == 2)
        live.nodes[2].kill()
        result = live.finish()
        live.close()
        assert result.job.status is JobStatus.DONE
        (folder / "model.safetensors").write_bytes(result.checkpoint)
    return folder


def test_verify_passes_with_the_key_and_without(finished: Path) -> None:
    public = verify(finished)
    assert (public.exit_code, public.report["ok"]) == (0, True), public.report
    assert len(public.report["not_checked"]) == 1
    members = verify(finished, "--job-key", str(finished / KEY), "--job", "1")
    assert (members.exit_code, members.report["ok"]) == (0, True), members.report
    assert members.report["not_checked"] == []
    assert members.report["checks"]["checkpoint"] == 2


def blocks_of(folder: Path) -> list[Path]:
    """Every stored block; some folders are named like one."""
    return sorted(path for path in (folder / "store" / "blocks").rglob("b*") if path.is_file())


def test_verify_fails_and_names_the_block(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "data"))
    path = max(blocks_of(folder), key=lambda block: block.stat().st_size)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    verdict = verify(folder)
    assert verdict.exit_code == 1
    assert any(path.name in failure["place"] for failure in verdict.report["failures"])


@pytest.mark.parametrize("seed", range(2))
def test_one_flipped_byte_anywhere_fails(finished: Path, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    folder = Path(shutil.copytree(finished, tmp_path / "data"))
    blocks = blocks_of(folder)
    key = load_job_key(folder / KEY)
    chain, others = folder / "ledger" / "chain.db", [folder / "network.json", folder / "model.safetensors"]
    for path in [rng.choice(blocks), chain, chain, *others]:
        original = path.read_bytes()
        damaged = bytearray(original)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        report = audit(folder, job_key=key)
        assert any(path.name in c.place or c.place.startswith("row") for c in report.failures), (
            report.failures
        )
        path.write_bytes(original)


def test_what_a_crashed_writer_left_fails(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "data"))
    (folder / "store" / "unfinished" / "litter").write_bytes(b"half a block")
    assert [check.place for check in audit(folder).failures] == ["unfinished/litter"]
