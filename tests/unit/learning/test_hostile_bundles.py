"""Every hostile bundle is refused at its own place, through the door that trainers and owners use."""

import tracemalloc
from pathlib import Path

import pytest
from tests.fuzz.hostile_bundles import HOSTILE, container

from zkpfl.cli.sources import read_bundle
from zkpfl.errors import InvalidBundle
from zkpfl.learning.bundle import Bundle

MEMORY_BYTES = 64 << 20
HUGE = [name for name in HOSTILE if "2^" in name or "bomb" in name or "claim" in name]
"""Files that say of themselves, or of what a graph makes, that they are larger than any memory."""


def refusal(name: str, folder: Path) -> InvalidBundle:
    """The error of a file; torch has loaded what it needs to try graphs."""
    path = folder / "hostile.bundle"
    path.write_bytes(HOSTILE[name].make())
    with pytest.raises(InvalidBundle) as caught:
        read_bundle(path)
    return caught.value


def test_the_bundle_with_nothing_wrong_is_accepted() -> None:
    assert Bundle.from_bytes(container()).to_bytes() == container()


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_at_its_place(name: str, tmp_path: Path) -> None:
    error = refusal(name, tmp_path)
    assert error.field == HOSTILE[name].field
    assert any(text in error.message for text in HOSTILE[name].text.split("|")), error.message


@pytest.mark.parametrize("name", HUGE)
def test_what_claims_to_be_huge_takes_no_memory(name: str, tmp_path: Path) -> None:
    Bundle.from_bytes(container())
    refusal(name, tmp_path)
    tracemalloc.start()
    try:
        refusal(name, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_BYTES
    finally:
        tracemalloc.stop()
