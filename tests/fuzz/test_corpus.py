"""The corpus that is kept: every input that once found something new, on every target."""

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, corpus, fuzz_one


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_pass(name: str) -> None:
    inputs = sorted(corpus(name).iterdir())
    assert inputs
    for path in inputs:
        fuzz_one(name, path.read_bytes())
    for data in (b"", b"\0", b"\xff" * 100):
        fuzz_one(name, data)


def test_seeds_pass() -> None:
    for name, data in seeds():
        fuzz_one(name, data)


def test_no_corpus_is_without_a_target() -> None:
    assert {path.name for path in corpus("").iterdir()} == set(TARGETS)
