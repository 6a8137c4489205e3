"""JSON of peers: the strict parser, and the manifests that the ledger names."""

from __future__ import annotations

import json

from tests.fuzz.registry import fuzz_target
from zkpfl import strict_json
from zkpfl.errors import InvalidEncoding
from zkpfl.protocol.manifests import (
    AggregateManifest,
    ContributionManifest,
    JobManifest,
    KeyManifest,
    SubmissionManifest,
)

MANIFESTS = (JobManifest, KeyManifest, SubmissionManifest, AggregateManifest, ContributionManifest)


@fuzz_target("json")
def strict_json_parse(data: bytes) -> None:
    try:
        value = strict_json.parse(data, field="fuzz", max_size_bytes=4096)
    except InvalidEncoding:
        return
    assert len(data) <= 4096
    # Neither NaN nor infinity came through, which `dump` would refuse; and what is written reads the same.
    canonical = strict_json.dump(value)
    assert json.loads(canonical) == value
    assert strict_json.dump(strict_json.parse(canonical, field="fuzz", max_size_bytes=1 << 16)) == canonical


@fuzz_target("json")
def manifests(data: bytes) -> None:
    for manifest in MANIFESTS:
        try:
            decoded = manifest.from_bytes(data)
        except InvalidEncoding:
            continue
        assert manifest.from_bytes(decoded.to_bytes()) == decoded
