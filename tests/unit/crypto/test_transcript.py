from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.crypto.scalars import ORDER
from zkpfl.crypto.transcript import LAMBDA, Context, Domain, Label, ShortChallenge, Transcript
from zkpfl.errors import InvalidEncoding, InvalidParameter

CONTEXT = Context(chain_id=31337, contract=bytes(range(20)), job=7, round=3)


def test_absorb_hashes_state_and_framed_message() -> None:
    transcript = Transcript("d")
    transcript.absorb("label", b"data")
    framed = (5).to_bytes(8, "big") + b"label" + (4).to_bytes(8, "big") + b"data"
    assert transcript.state == hashlib.sha256(hashlib.sha256(b"d").digest() + framed).digest()


def test_scalar_challenge_is_two_blocks_mod_r() -> None:
    transcript, twin = Transcript("d"), Transcript("d")
    twin.absorb("e", b"")
    blocks = b"".join(hashlib.sha256(twin.state + b"squeeze" + bytes([i])).digest() for i in (0, 1))
    assert transcript.challenge_scalar("e") == int.from_bytes(blocks, "big") % ORDER
    assert transcript.state == twin.state


def test_short_challenge_has_two_halves() -> None:
    transcript, twin = Transcript("d"), Transcript("d")
    twin.absorb("x", b"")
    block = hashlib.sha256(twin.state + b"squeeze\0").digest()
    challenge = transcript.challenge_short("x")
    assert (challenge.e1, challenge.e2) == (
        int.from_bytes(block[:8], "big"),
        int.from_bytes(block[8:16], "big"),
    )
    assert challenge.value == (challenge.e1 + LAMBDA * challenge.e2) % ORDER


@pytest.mark.parametrize(
    "blocks",
    [
        [bytes(32), bytes(7) + b"\1" + bytes(7) + b"\2" + bytes(16)],
        [bytes(8) + b"\1" * 24, bytes(7) + b"\1" + bytes(7) + b"\2" + bytes(16)],
        [b"\1" * 8 + bytes(24), bytes(7) + b"\1" + bytes(7) + b"\2" + bytes(16)],
    ],
)
def test_short_challenge_with_a_zero_half_is_drawn_again(
    monkeypatch: pytest.MonkeyPatch, blocks: list[bytes]
) -> None:
    queue = iter(blocks)
    monkeypatch.setattr(Transcript, "_squeeze", lambda *_: next(queue))
    assert Transcript("d").challenge_short("x") == ShortChallenge(1, 2)


def test_zero_scalar_challenge_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = iter([ORDER.to_bytes(64, "big"), (ORDER + 5).to_bytes(64, "big")])
    monkeypatch.setattr(Transcript, "_squeeze", lambda *_: next(queue))
    assert Transcript("d").challenge_scalar("y") == 5


def test_lambda_is_a_primitive_cube_root_of_unity() -> None:
    assert LAMBDA != 1
    assert (LAMBDA * LAMBDA + LAMBDA + 1) % ORDER == 0


messages = st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=6)), max_size=4)


@given(messages, messages)
def test_transcripts_agree_only_on_equal_messages(
    left: list[tuple[str, bytes]], right: list[tuple[str, bytes]]
) -> None:
    states = []
    for absorbed in (left, right):
        transcript = Transcript("d")
        for label, data in absorbed:
            transcript.absorb(label, data)
        states.append(transcript.state)
    assert (states[0] == states[1]) == (left == right)


def test_domains_and_challenges_differ() -> None:
    draws = [Transcript(domain).challenge_scalar(Label.ROW_CHALLENGE) for domain in ("a", Domain.AGGREGATION)]
    transcript = Transcript("a")
    draws += [transcript.challenge_scalar(Label.ROW_CHALLENGE) for _ in range(3)]
    assert len(set(draws)) == 4  # the first of "a" is drawn twice from equal states


def test_labels_are_distinct() -> None:
    assert len({label.value for label in Label}) == len(Label.__members__)


def test_context_bytes() -> None:
    data = CONTEXT.to_bytes()
    assert data == (31337).to_bytes(8, "big") + bytes(range(20)) + (7).to_bytes(8, "big") + (3).to_bytes(
        4, "big"
    )
    assert len(data) == 40


@given(
    st.integers(0, 2**64 - 1),
    st.binary(min_size=20, max_size=20),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
)
def test_context_survives_its_bytes(chain_id: int, contract: bytes, job: int, round_: int) -> None:
    context = Context(chain_id, contract, job, round_)
    assert Context.from_bytes(context.to_bytes()) == context


@pytest.mark.parametrize("length", [0, 39, 41])
def test_context_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidEncoding, match="40 bytes"):
        Context.from_bytes(bytes(length))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"chain_id": -1}, "chain_id"),
        ({"chain_id": 1 << 64}, "chain_id"),
        ({"chain_id": True}, "chain_id"),
        ({"contract": bytes(19)}, "contract"),
        ({"contract": "0x" + "00" * 20}, "contract"),
        ({"job": 1 << 64}, "job"),
        ({"round": 1 << 32}, "round"),
        ({"round": -1}, "round"),
    ],
)
def test_context_out_of_range_is_refused(change: dict[str, object], field: str) -> None:
    values: dict[str, object] = {"chain_id": 1, "contract": bytes(20), "job": 1, "round": 1}
    with pytest.raises(InvalidParameter) as caught:
        Context(**(values | change))  # type: ignore[arg-type]
    assert caught.value.field == field
