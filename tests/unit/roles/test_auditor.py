"""The auditor on whole jobs: honest ones, damaged ones, and ones in which all who sign are cheaters."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.unit.roles.small_job import JOB_KEY, SmallJob

from zkpfl.crypto.scalars import Scalars
from zkpfl.errors import InvalidParameter
from zkpfl.ledger.client import PARTS, LedgerClient
from zkpfl.ledger.contracts import CompiledContract, compiled
from zkpfl.ledger.in_process import InProcessConnection
from zkpfl.ledger.replay import replay
from zkpfl.protocol import zk_node
from zkpfl.protocol.aggregate import PublicAggregate
from zkpfl.protocol.manifests import AggregateManifest, SubmissionManifest
from zkpfl.roles import audit_chain
from zkpfl.roles.audit_report import AuditReport, Check
from zkpfl.roles.auditor import audit
from zkpfl.roles.network import Network
from zkpfl.storage.cid import ContentId

GROUPS = [
    ["job_manifest"],
    ["submission_manifest", "aggregate_manifest", "key_manifest"],
    ["commitments", "aggregate_blob", "bundle", "checkpoint"],
    ["share_blob", "key_share"],
]
"""Kinds of content, apart where a fault of one hides a fault of the other."""

CHECK_OF = {
    "job_manifest": ("job_manifest", "job 1, manifest"),
    "bundle": ("bundle_stored", "job 1, bundle"),
    "key_manifest": ("key_shares", "job 1, shares of the keys"),
    "key_share": ("key_shares", "job 1, shares of the keys"),
    "commitments": ("submission", "job 1, round 2, trainer 1"),
    "share_blob": ("submission", "job 1, round 2, trainer 1"),
    "submission_manifest": ("submission", "job 1, round 2, trainer 1"),
    "aggregate_blob": ("aggregation_proof", "job 1, round 2, zk-node 3"),
    "aggregate_manifest": ("aggregation_proof", "job 1, round 2, zk-node 3"),
}
LOOKUPS = [
    b"block-number-to-hash:",
    b"block-hash-to-score:",
    b"transaction-hash-to-block:",
    b"v1:canonical_head_hash",
    b"zkpfl:chain_id",
]


@dataclass(frozen=True)
class Honest:
    """A finished honest job, and the name of one content of each kind."""

    folder: Path
    content: dict[str, ContentId]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    job = SmallJob(tmp_path_factory.mktemp("honest") / "data")
    job.run()
    return Honest(job.folder, job.content)


@pytest.fixture
def copy(honest: Honest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest.folder, tmp_path / "data"))


def seeded(seed: int | str | bytes) -> random.Random:
    return random.Random(seed)  # noqa: S311


def failed(report: AuditReport, name: str, place: str = "") -> list[Check]:
    return [check for check in report.failures if check.name == name and check.place.startswith(place)]


def block_path(folder: Path, cid: ContentId) -> Path:
    return folder / "store" / "blocks" / str(cid)[-3:-1] / str(cid)


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def edit_rows(folder: Path, edit: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]) -> None:
    """Rewrite rows of the chain; ``edit`` returns what to put in place of the rows that it removes."""
    with closing(sqlite3.connect(folder / "ledger" / "chain.db")) as database, database:
        rows = dict(database.execute("SELECT k, v FROM kv"))
        added = edit(rows)
        kept = dict(database.execute("SELECT k, v FROM kv"))
        gone = [(key,) for key in kept.keys() - rows.keys()]
        database.executemany("DELETE FROM kv WHERE k = ?", gone)
        database.executemany("INSERT OR REPLACE INTO kv VALUES (?, ?)", list(added.items()))


def test_honest_job_passes_with_the_key(honest: Honest) -> None:
    stages = []
    report = audit(honest.folder, job_key=JOB_KEY, progress=lambda stage, done, total: stages.append(stage))
    assert report.ok, report.failures
    assert report.not_checked == ()
    names = {check.name for check in report.checks}
    assert {"checkpoint", "score", "statistics", "aggregate_share", "attestation", "settlement"} <= names
    assert list(dict.fromkeys(stages)) == ["storage", "ledger", "rounds", "model"]


def test_without_the_key_the_public_parts_pass_and_the_rest_is_named(honest: Honest) -> None:
    report = audit(honest.folder)
    assert report.ok, report.failures
    assert len(report.not_checked) == 1
    assert "need the job key" in report.not_checked[0]
    assert not any(check.name in ("checkpoint", "bundle") for check in report.checks)


def test_report_as_json_counts_checks_and_lists_failures() -> None:
    report = AuditReport(
        (Check("a", "x", True), Check("a", "y", False, "bad"), Check("b", "z", True, "odd")), ()
    )
    assert report.to_dict() == {
        "ok": False,
        "checks": {"a": 2, "b": 1},
        "failures": [{"check": "a", "place": "y", "detail": "bad"}],
        "remarks": [{"check": "b", "place": "z", "detail": "odd"}],
        "not_checked": [],
    }


def test_audit_changes_nothing(honest: Honest, copy: Path) -> None:
    audit(copy, job_key=JOB_KEY)
    files = {path.relative_to(copy): path for path in copy.rglob("*")}
    originals = {path.relative_to(honest.folder): path for path in honest.folder.rglob("*")}
    assert files.keys() == originals.keys()
    for name, path in files.items():
        assert path.is_dir() or path.read_bytes() == originals[name].read_bytes()


def test_refuses_a_folder_without_a_chain_and_a_job_that_does_not_exist(
    honest: Honest, tmp_path: Path
) -> None:
    with pytest.raises(InvalidParameter, match="data_dir"):
        audit(tmp_path)
    with pytest.raises(InvalidParameter, match="there is no job 2"):
        audit(honest.folder, jobs=[2])


def test_key_of_another_job_is_a_failure(honest: Honest) -> None:
    report = audit(honest.folder, job_key=bytes(32))
    assert [check.name for check in report.failures] == ["job_key"]


@pytest.mark.parametrize("kinds", GROUPS, ids="+".join)
def test_flipped_byte_in_a_stored_block_is_named(honest: Honest, copy: Path, kinds: list[str]) -> None:
    paths = {kind: block_path(copy, honest.content[kind]) for kind in kinds}
    for kind, path in paths.items():
        path.write_bytes(flip(path.read_bytes(), seeded(kind)))
    report = audit(copy)
    for kind, path in paths.items():
        assert failed(report, "stored_block", f"blocks/{path.parent.name}/{path.name}")
        if kind in CHECK_OF:
            assert failed(report, *CHECK_OF[kind]), report.failures


@pytest.mark.parametrize("kinds", GROUPS, ids="+".join)
def test_missing_content_is_named_by_who_owes_it(honest: Honest, copy: Path, kinds: list[str]) -> None:
    for kind in kinds:
        block_path(copy, honest.content[kind]).unlink()
    report = audit(copy)
    for kind in kinds:
        if kind in CHECK_OF:
            assert failed(report, *CHECK_OF[kind]), report.failures


def test_foreign_files_in_the_store_are_named(copy: Path) -> None:
    (copy / "store" / "blocks" / "notes.txt").write_text("hello")
    (copy / "store" / "other").mkdir()
    places = {check.place for check in failed(audit(copy), "stored_block")}
    assert places == {"blocks/notes.txt", "other"}


def test_flipped_bytes_in_headers_state_code_and_transactions_are_each_named(copy: Path) -> None:
    rng = seeded(7)
    places: set[str] = set()

    def damage(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
        hashed = sorted(key for key in rows if len(key) == 32)
        code = max(hashed, key=lambda key: len(rows[key]))
        added: dict[bytes, bytes] = {}
        for key in {code, *rng.sample(hashed, 100)}:
            value, in_key = rows.pop(key), key != code and rng.random() < 0.5
            damaged = flip(key, rng) if in_key else key
            added[damaged] = value if in_key else flip(value, rng)
            places.add(f"row 0x{damaged.hex()}")
        return added

    edit_rows(copy, damage)
    assert places <= {check.place for check in failed(audit(copy), "ledger_row")}


@pytest.mark.parametrize("in_key", [True, False], ids=["key", "value"])
def test_flipped_bytes_in_lookups_are_each_named(copy: Path, in_key: bool) -> None:
    rng = seeded(int(in_key))
    names: list[str] = []

    def damage(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
        added = {}
        for prefix in LOOKUPS:
            key = rng.choice(sorted(key for key in rows if key.startswith(prefix)))
            names.append(f"row {key.decode()}")
            value = rows.pop(key)
            added |= {flip(key, rng): value} if in_key else {key: flip(value, rng)}
        return added

    edit_rows(copy, damage)
    assert set(names) <= {check.place for check in failed(audit(copy), "ledger_row")}


def test_flipped_byte_of_the_contract_address_is_named(copy: Path) -> None:
    path = copy / "network.json"
    text = path.read_text()
    start = text.index('"contract":"') + len('"contract":"')
    path.write_text(text[:start] + ("1" if text[start] != "1" else "2") + text[start + 1 :])
    report = audit(copy)
    assert failed(report, "contract", "network.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{", "["),
        ('"version":1', '"version":3'),
        ("http:", "xttp:"),
        (":", ": "),
        ("31337", "31336"),
        ("store", "stora"),
        ("8545", "8544"),
        ("127.0.0.1", "127.0.0.3"),
    ],
)
def test_damaged_network_file_is_named(copy: Path, old: str, new: str) -> None:
    path = copy / "network.json"
    path.write_text(path.read_text().replace(old, new, 1))
    assert not audit(copy).ok


def test_job_beyond_the_damage_is_not_checked_rather_than_unknown(copy: Path) -> None:
    def cut(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
        fourth = rows[b"block-number-to-hash:4"][1:]
        del rows[fourth]
        return {}

    edit_rows(copy, cut)
    report = audit(copy, jobs=[1])
    assert failed(report, "ledger_row", "block 4")
    assert any(text.startswith(("job", "contract")) for text in report.not_checked)


def test_contract_that_is_another_contract_is_named(copy: Path) -> None:
    path = copy / "network.json"
    network = Network.load(path)
    chain = replay(copy / "ledger" / "chain.db", network.chain_id).ledger
    assert chain is not None
    with chain:
        token = LedgerClient(InProcessConnection(chain), network.contract).token.address
    path.write_text(path.read_text().replace(network.contract.hex(), token.hex()))
    assert failed(audit(copy), "contract", f"network.json: 0x{token.hex()}")


def test_contracts_of_other_code_are_named(honest: Honest, monkeypatch: pytest.MonkeyPatch) -> None:
    def altered(name: str) -> CompiledContract:
        contract = compiled(name)
        return replace(contract, bytecode=contract.bytecode[:-1] + bytes([contract.bytecode[-1] ^ 1]))

    monkeypatch.setattr(audit_chain, "compiled", altered)
    places = [check.place for check in failed(audit(honest.folder), "contract_code")]
    assert [place.split()[1] for place in places] == ["zkpfl", "mpc_token", "bank", *PARTS]


class WrongRoot(SmallJob):
    """The whole committee attests a sum that is not the sum."""

    def make_aggregate_root(self, public: PublicAggregate) -> bytes:
        return bytes(32)


class WrongProof(SmallJob):
    """A zk-node posts a proof that does not hold, and the others sign for it."""

    def make_post(self, node: int, manifest: AggregateManifest) -> AggregateManifest:
        proof = manifest.proof[:-1] + bytes([manifest.proof[-1] ^ 1])
        return replace(manifest, proof=proof) if node == 2 else manifest


class WrongSignature(SmallJob):
    """A trainer's share for one zk-node is not signed by it, and the committee accepts the trainer."""

    def make_manifest(self, trainer: int, manifest: SubmissionManifest) -> SubmissionManifest:
        first, second, third = manifest.shares
        swapped = replace(second, signature=first.signature)
        return replace(manifest, shares=(first, swapped, third)) if trainer == 1 else manifest


class WrongBlob(SmallJob):
    """A zk-node's manifest names another sealed share than the one whose proof it posts."""

    def make_post(self, node: int, manifest: AggregateManifest) -> AggregateManifest:
        return replace(manifest, blob=str(self.content["bundle"])) if node == 1 else manifest


@pytest.mark.parametrize(
    ("cheat", "name", "place"),
    [
        (WrongRoot, "aggregate_commitments", "job 1, round 1"),
        (WrongProof, "aggregation_proof", "job 1, round 1, zk-node 2"),
        (WrongSignature, "submission", "job 1, round 1, trainer 1"),
        (WrongBlob, "aggregation_proof", "job 1, round 1, zk-node 1"),
    ],
)
def test_cheat_that_the_whole_committee_covers_is_found(
    tmp_path: Path, cheat: type[SmallJob], name: str, place: str
) -> None:
    job = cheat(tmp_path / "data")
    job.play_round()
    job.close()
    assert failed(audit(tmp_path / "data"), name, place)


def test_sealed_share_that_is_not_the_proved_sum_is_found_with_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def zeros(rows: Scalars) -> bytes:
        return b"\x01" + bytes(rows.size * rows.itemsize)

    monkeypatch.setattr(zk_node, "encode_matrix", zeros)
    job = SmallJob(tmp_path / "data")
    job.play_round()
    job.close()
    report = audit(tmp_path / "data", job_key=JOB_KEY)
    places = [f"job 1, round 1, zk-node {node}" for node in (1, 2, 3)]
    assert [check.place for check in failed(report, "aggregate_share")] == places
    assert failed(report, "aggregate_sum", "job 1, round 1")
    assert audit(tmp_path / "data").ok


class WrongScores(SmallJob):
    """All trainers state a better accuracy than the model has."""

    def make_score(self, checkpoint: bytes, accuracy_ppm: int) -> tuple[bytes, int]:
        return checkpoint, accuracy_ppm + 1


class WrongCheckpoint(SmallJob):
    """All trainers score a model that the aggregate does not give."""

    def make_score(self, checkpoint: bytes, accuracy_ppm: int) -> tuple[bytes, int]:
        return bytes(31) + b"\x01", accuracy_ppm


@pytest.mark.parametrize(
    ("cheat", "name", "place"),
    [
        (WrongScores, "score", "job 1, round 2, trainer 0"),
        (WrongCheckpoint, "checkpoint", "job 1, round 2"),
    ],
)
def test_cheat_that_all_trainers_agree_on_is_found_with_the_key(
    tmp_path: Path, cheat: type[SmallJob], name: str, place: str
) -> None:
    job = cheat(tmp_path / "data")
    job.run()
    report = audit(tmp_path / "data", job_key=JOB_KEY)
    assert failed(report, name, place)
    assert audit(tmp_path / "data").ok  # the public parts are in order
