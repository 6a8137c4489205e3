"""Sharing of keys among zk-nodes: what any t recover, and what t − 1 do not."""

from __future__ import annotations

import secrets
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.crypto.key_sharing import key_digest, recover_key, share_digest, share_key
from zkpfl.crypto.scalars import ORDER
from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.params import Committee

KEYS = st.binary(min_size=32, max_size=32)
SEED = bytes(range(32))


@given(key=KEYS, seed=KEYS, threshold=st.integers(2, 4), extra=st.integers(0, 2))
def test_every_t_shares_recover_the_key(key: bytes, seed: bytes, threshold: int, extra: int) -> None:
    committee = Committee(2 * threshold - 1 + extra, threshold)
    sharing = share_key(key, committee, seed)
    numbered = dict(enumerate(sharing.shares, start=1))
    for nodes in combinations(numbered, threshold):
        some = {node: numbered[node] for node in nodes}
        assert recover_key(sharing.mask, some, threshold, lambda found: found == key) == key


def test_fewer_than_t_shares_fit_every_key() -> None:
    """Whatever the secret scalar is, some t-th share gives it: t − 1 shares exclude none."""
    sharing = share_key(bytes(32), Committee(3, 2), SEED)
    known = int.from_bytes(sharing.shares[0], "big")
    keys = set()
    for y in (0, 1, ORDER - 1, secrets.randbelow(ORDER)):  # each is f(0) of a line through (1, known)
        second = (2 * known - y) % ORDER
        shares = {1: sharing.shares[0], 2: second.to_bytes(32, "big")}
        keys.add(recover_key(sharing.mask, shares, 2, lambda _key: True))
    assert len(keys) == 4
    assert recover_key(sharing.mask, {1: sharing.shares[0]}, 2, lambda _found: True) is None


def test_wrong_shares_are_passed_over_as_long_as_t_are_right() -> None:
    key = secrets.token_bytes(32)
    sharing = share_key(key, Committee(5, 3), SEED)
    shares = dict(enumerate(sharing.shares, start=1)) | {1: bytes(32), 4: bytes(31) + b"\x01"}
    is_key = lambda found: key_digest(found) == key_digest(key)  # noqa: E731
    assert recover_key(sharing.mask, shares, 3, is_key) == key
    assert recover_key(sharing.mask, shares | {5: bytes(32)}, 3, is_key) is None


def test_the_same_seed_gives_the_same_shares_and_another_gives_others() -> None:
    key, committee = secrets.token_bytes(32), Committee(3, 2)
    assert share_key(key, committee, SEED) == share_key(key, committee, SEED)
    assert share_key(key, committee, SEED).shares != share_key(key, committee, bytes(32)).shares


def test_digests_tell_nodes_and_keys_from_shares_apart() -> None:
    share = secrets.token_bytes(32)
    assert len({share_digest(1, share), share_digest(2, share), key_digest(share)}) == 3


def test_shares_are_not_shown() -> None:
    sharing = share_key(bytes(32), Committee(3, 2), SEED)
    assert sharing.shares[0].hex() not in repr(sharing)
    assert repr(sharing.shares[0]) not in repr(sharing)


@pytest.mark.parametrize("share", [ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(31), bytes(33), b""])
def test_shares_that_are_no_scalars_are_refused(share: bytes) -> None:
    with pytest.raises(InvalidEncoding, match="share"):
        recover_key(bytes(32), {1: share, 2: bytes(32)}, 2, lambda _key: True)


def test_only_keys_and_seeds_of_32_bytes() -> None:
    for key, seed in ((b"short", SEED), (bytes(32), b"short"), (bytearray(32), SEED)):
        with pytest.raises(InvalidParameter, match="must be 32 bytes"):
            share_key(key, Committee(3, 2), seed)  # type: ignore[arg-type]
