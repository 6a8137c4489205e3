"""Content ids, and blocks that hash to their names but were laid out by a stranger."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.fuzz.registry import Reader, fuzz_target
from zkpfl.errors import ContentTooLarge, CorruptContent, InvalidEncoding, InvalidParameter
from zkpfl.storage import dag, kubo_rpc
from zkpfl.storage.cid import Codec, ContentId
from zkpfl.storage.kubo_process import require_multiaddress

LEAF = bytes(dag.LEAF_BYTES)
LEAF_ID = ContentId.of_block(LEAF)


@fuzz_target("storage")
def content_ids(data: bytes) -> None:
    try:
        cid = ContentId.from_bytes(data)
    except InvalidEncoding:
        pass
    else:
        assert cid.to_bytes() == data
        assert ContentId.parse(str(cid)) == cid
    for text in (data.decode("latin-1"), data.decode(errors="replace")):
        try:
            cid = ContentId.parse(text)
        except InvalidEncoding:
            continue
        assert str(cid) == text


@fuzz_target("storage")
def addresses(data: bytes) -> None:
    """Addresses of nodes and daemons, as a network file states them."""
    text = data.decode(errors="replace")
    for with_peer_id in (False, True):
        try:
            address = require_multiaddress(text, field="peers", with_peer_id=with_peer_id)
        except InvalidParameter:
            continue
        assert address == text
        assert address.isprintable()
    try:
        url = kubo_rpc.require_url(text)
    except InvalidParameter:
        return
    assert urlsplit(url).hostname
    assert kubo_rpc.require_url(url) == url


@fuzz_target("storage")
def daemon_answers(data: bytes) -> None:
    """What a daemon answers, be it one of Kubo or not."""
    kubo_rpc._member(data, "Key")
    message = kubo_rpc._message(data)
    assert len(message) <= 200
    assert message.isprintable()


def _two_leaves(tail: bytes) -> bytes:
    """The root over a leaf of zeros and a short one."""
    blocks: dict[ContentId, bytes] = {}
    return blocks[dag.write([LEAF, tail], blocks.__setitem__)]


@fuzz_target("storage")
def dag_read(data: bytes) -> None:
    """A root of any bytes, or of a true one changed; the blocks that it may name are there."""
    reader = Reader(data)
    tail = reader.take(1 + reader.below(9))
    root = reader.damage(_two_leaves(tail)) if reader.byte() & 1 else reader.rest()
    cid = ContentId.of_block(root, Codec.RAW if reader.below(8) == 7 else Codec.DAG_PB)
    known = {cid: root, LEAF_ID: LEAF, ContentId.of_block(tail): tail}
    try:
        # A block that is not there reads as another one, as from a hostile peer.
        content = b"".join(dag.read(cid, lambda name: known.get(name, root), max_size_bytes=1 << 20))
    except (CorruptContent, ContentTooLarge):
        return
    assert len(content) <= 1 << 20
    assert dag.write([content], lambda _name, _block: None) == cid
