"""Manifests decode strictly: one spelling, no missing, unknown or oversized part."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.errors import InvalidEncoding
from zkpfl.params import Layout
from zkpfl.privacy.record_level import RecordPrivacy
from zkpfl.protocol.manifests import (
    MAX_MANIFEST_BYTES,
    AggregateManifest,
    JobManifest,
    KeyAnnouncement,
    KeyManifest,
    ShareEntry,
    SubmissionManifest,
)
from zkpfl.storage.cid import Codec, ContentId

CONTENT_ID = str(ContentId.of_block(b"content"))
LAYOUT = Layout(dimension=600, norm_bound=40_000)

KEYS = KeyAnnouncement(b"\x01" * 32, b"\x02" * 32, (b"\x03" * 32,) * 3, (b"\x04" * 32,))
PRIVACY = RecordPrivacy(5.0, 1e-3, 1.0, 2.0, batch=20, local_steps=1, least_records=100)
JOB = JobManifest(CONTENT_ID, b"\x05" * 32, KEYS, training=LAYOUT, statistics=None, privacy=PRIVACY)
HANDED_OVER = KeyManifest((CONTENT_ID,) * 3)
Manifest = JobManifest | KeyManifest | SubmissionManifest | AggregateManifest
SUBMISSION = SubmissionManifest(
    trainer=b"\x01" * 20,
    commitments=CONTENT_ID,
    shares=tuple(
        ShareEntry(node, CONTENT_ID, bytes([node]) * 32, b"\x02" * 32, b"\x03" * 65) for node in (1, 2, 3)
    ),
)
AGGREGATE = AggregateManifest(2, CONTENT_ID, b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, b"proof")


@pytest.mark.parametrize(
    "manifest", [JOB, HANDED_OVER, SUBMISSION, AGGREGATE], ids=lambda m: type(m).__name__
)
def test_round_trip(manifest: Manifest) -> None:
    assert type(manifest).from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "manifest", [JOB, HANDED_OVER, SUBMISSION, AGGREGATE], ids=lambda m: type(m).__name__
)
def test_every_missing_and_unknown_field_is_named(
    manifest: Manifest,
) -> None:
    value = json.loads(manifest.to_bytes())
    for key in value:
        with pytest.raises(InvalidEncoding, match=key):
            type(manifest).from_bytes(json.dumps({k: v for k, v in value.items() if k != key}).encode())
    with pytest.raises(InvalidEncoding, match="surprise"):
        type(manifest).from_bytes(json.dumps(value | {"surprise": 1}).encode())
    with pytest.raises(InvalidEncoding, match="version"):
        type(manifest).from_bytes(json.dumps(value | {"version": 2}).encode())


def test_the_job_states_its_privacy_after_each_round() -> None:
    assert JOB.epsilon_after(3) == PRIVACY.spent(3, 100)
    assert replace(JOB, privacy=None).epsilon_after(3) is None
    assert JobManifest.from_bytes(replace(JOB, privacy=None).to_bytes()).privacy is None


BAD_FIELDS = [
    (AGGREGATE, "node", -1),
    (AGGREGATE, "node", True),
    (AGGREGATE, "node", "2"),
    (AGGREGATE, "proof", "0g"),
    (AGGREGATE, "proof", "ABCD"),
    (AGGREGATE, "share_root", "00" * 31),
    (AGGREGATE, "blob", "../../etc/passwd"),
    (AGGREGATE, "blob", "b" + "A" * 58),
    (AGGREGATE, "blob", "b" + "a" * 58),
    (SUBMISSION, "trainer", "00" * 21),
    (SUBMISSION, "shares", {}),
    (JOB, "training", []),
    (JOB, "training", {"dimension": 600}),
    (JOB, "bundle", None),
    (JOB, "bundle_hash", "00" * 31),
    (JOB, "keys", []),
    (JOB, "keys", {"digest": "00" * 32}),
    (JOB, "keys", {"digest": "00" * 32, "mask": "00" * 32, "shares": ["00"], "slice_masks": []}),
    (JOB, "test_slices", "none"),
    (HANDED_OVER, "shares", [1]),
    (JOB, "privacy", {}),
    (JOB, "privacy", PRIVACY.to_dict() | {"epsilon": "5"}),
    (JOB, "privacy", PRIVACY.to_dict() | {"noise_multiplier": 0}),
]


@pytest.mark.parametrize(("manifest", "field", "value"), BAD_FIELDS)
def test_bad_field_is_named(manifest: Manifest, field: str, value: object) -> None:
    body = json.loads(manifest.to_bytes()) | {field: value}
    with pytest.raises(InvalidEncoding, match=field):
        type(manifest).from_bytes(json.dumps(body).encode())


def test_layout_out_of_range_is_an_encoding_error() -> None:
    body = json.loads(JOB.to_bytes())
    body["training"]["columns"] = 300
    with pytest.raises(InvalidEncoding, match=r"training\.columns"):
        JobManifest.from_bytes(json.dumps(body).encode())


def test_shares_must_be_complete_and_in_order() -> None:
    body = json.loads(SUBMISSION.to_bytes())
    body["shares"].reverse()
    with pytest.raises(InvalidEncoding, match=r"shares\[1\]\.node"):
        SubmissionManifest.from_bytes(json.dumps(body).encode())


def test_size_is_capped() -> None:
    with pytest.raises(InvalidEncoding, match="at most"):
        JobManifest.from_bytes(b" " * (MAX_MANIFEST_BYTES + 1))


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEncoding):
        AggregateManifest.from_bytes(data)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Codec), st.data())
def test_content_ids_are_those_that_storage_parses(digest: bytes, codec: Codec, data: st.DataObject) -> None:
    """Else a manifest could name what its reader cannot even ask for."""
    text = str(ContentId(codec, digest))
    assert replace(AGGREGATE, blob=text) == AggregateManifest.from_bytes(
        replace(AGGREGATE, blob=text).to_bytes()
    )
    place = data.draw(st.integers(0, 58))
    changed = (
        text[:place] + data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567")) + text[place + 1 :]
    )
    encoded = replace(AGGREGATE, blob=changed).to_bytes()
    try:
        ContentId.parse(changed)
    except InvalidEncoding:
        with pytest.raises(InvalidEncoding, match="blob"):
            AggregateManifest.from_bytes(encoded)
    else:
        assert AggregateManifest.from_bytes(encoded).blob == changed
