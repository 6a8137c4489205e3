"""How content becomes blocks: 256 KiB raw leaves under balanced dag-pb/UnixFS nodes of 174 links.

This is the layout of ``ipfs add --cid-version=1``, so the same bytes have the same name on any IPFS node.
The shape and every size in it follow from the total size alone: a node is a function of its size, its height
and the digests of its children. Reading uses that: a node is accepted only if it is exactly the one that
writing would have made, which refuses every other layout, size, codec or spelling without a general protobuf
parser (docs/spec.md §2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from zkpfl.errors import ContentTooLarge, CorruptContent
from zkpfl.storage.cid import DIGEST_BYTES, Codec, ContentId

LEAF_BYTES = 256 * 1024
"""Size of a leaf; also the largest block that is ever stored or read."""

WIDTH = 174
"""Most links in one node."""

_MAX_VARINT_BYTES = 9
_LINK_TAG, _DATA_TAG = 0x12, 0x0A
_DIGEST_OFFSET = 8
"""Bytes of a link before the digest: tag, length, tag, length, and four bytes of content id."""

_UNIXFS_FILE = b"\x08\x02\x18"
"""UnixFS type 2 (file) and the tag of the file size."""


GetBlock = Callable[[ContentId], bytes]
Announce = Callable[[Sequence[ContentId]], None]


def _ignore(_cids: Sequence[ContentId]) -> None:
    pass


def write(chunks: Iterable[bytes], put_block: Callable[[ContentId, bytes], None]) -> ContentId:
    """Lay content out in blocks, children always before their parent.

    Parameters
    ----------
    chunks
        The content, cut anywhere. At most a leaf and ``WIDTH`` digests a level are held in memory.
    put_block
        Stores one block under its name.

    Returns
    -------
    ContentId
        The name of the whole.
    """
    levels: list[list[tuple[bytes, int]]] = [[]]

    def put(block: bytes, height: int, size: int) -> None:
        cid = ContentId.of_block(block, _codec(height))
        put_block(cid, block)
        if height == len(levels):
            levels.append([])
        levels[height].append((cid.digest, size))
        if len(levels[height]) == WIDTH:
            collapse(height)

    def collapse(height: int) -> None:
        digests, sizes = zip(*levels[height], strict=True)
        levels[height] = []
        put(_encode_node(digests, sum(sizes), height + 1), height + 1, sum(sizes))

    for leaf in _leaves(chunks):
        put(leaf, 0, len(leaf))
    height = 0
    while height < len(levels) - 1 or len(levels[height]) > 1:
        if levels[height]:
            collapse(height)
        height += 1
    return ContentId(_codec(height), levels[height][0][0])


def read(
    cid: ContentId, get_block: GetBlock, *, max_size_bytes: int, announce: Announce = _ignore
) -> Iterator[bytes]:
    """Yield content leaf by leaf, each block checked against its name before anything in it is used.

    Parameters
    ----------
    cid
        The name of the whole.
    get_block
        Fetches one block. Its bytes need not be trusted; their number should be bounded near ``LEAF_BYTES``.
    max_size_bytes
        Largest total size that is accepted, checked on the root before any other block is fetched.
    announce
        Told of the children of each node, once it is verified and before the first of them is fetched.

    Raises
    ------
    CorruptContent
        A block does not hash to its name, or a node is not the one that ``write`` makes.
    ContentTooLarge
        The content is larger than ``max_size_bytes``.
    """
    root = _checked(cid, get_block)
    size = len(root) if cid.codec is Codec.RAW else _declared_size(cid, root)
    _require_size(cid, size, max_size_bytes)
    if cid.codec is Codec.RAW:
        yield root
        return
    yield from _read_node(cid, root, size, _height(size), get_block, announce)


def walk(
    cid: ContentId, get_block: GetBlock, *, max_size_bytes: int, announce: Announce = _ignore
) -> Iterator[ContentId]:
    """Yield the name of every block of content once, each parent before its children; only nodes are read.

    Parameters
    ----------
    cid, get_block, max_size_bytes, announce
        As for ``read``; content of one block is not measured.

    Raises
    ------
    CorruptContent
        A node does not hash to its name or is not the one that ``write`` makes.
    ContentTooLarge
        The content is larger than ``max_size_bytes``.
    """
    yield cid
    if cid.codec is Codec.RAW:
        return
    root = _checked(cid, get_block)
    size = _declared_size(cid, root)
    _require_size(cid, size, max_size_bytes)
    # Nodes may be shared: without this a few crafted ones would be an exponentially long walk.
    seen = {cid}
    pending = [(cid, root, size, _height(size))]
    while pending:
        parent, block, size, height = pending.pop()
        children = _children(parent, block, size, height)
        announce([child for child, _ in children])
        for child, child_size in children:
            if child not in seen:
                seen.add(child)
                yield child
                if height > 1:
                    pending.append((child, _checked(child, get_block), child_size, height - 1))


def _require_size(cid: ContentId, size: int, max_size_bytes: int) -> None:
    if size > max_size_bytes:
        raise ContentTooLarge(f"{cid} is {size} bytes, at most {max_size_bytes} are accepted", field="cid")


def _read_node(
    cid: ContentId, block: bytes, size: int, height: int, get_block: GetBlock, announce: Announce
) -> Iterator[bytes]:
    if height == 0:
        if len(block) != size:
            raise CorruptContent(
                f"{cid}: leaf of {len(block)} bytes where its parent has {size}", field="cid"
            )
        yield block
        return
    children = _children(cid, block, size, height)
    announce([child for child, _ in children])
    for child, child_size in children:
        yield from _read_node(child, _checked(child, get_block), child_size, height - 1, get_block, announce)


def _children(cid: ContentId, block: bytes, size: int, height: int) -> list[tuple[ContentId, int]]:
    """Names and sizes of the children of a node."""
    digests = _decode_node(cid, block, size, height)
    names = (ContentId(_codec(height - 1), digest) for digest in digests)
    return list(zip(names, _child_sizes(size, height), strict=True))


def _checked(cid: ContentId, get_block: GetBlock) -> bytes:
    return require_block(cid, get_block(cid))


def require_block(cid: ContentId, block: bytes) -> bytes:
    """Return ``block`` if it is the one of that name; raises `CorruptContent` otherwise."""
    if len(block) > LEAF_BYTES or not cid.names(block):
        raise CorruptContent(f"{cid}: bytes do not hash to their content id", field="cid")
    return block


def _leaves(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut at every 256 KiB; empty content is one empty leaf."""
    pending = bytearray()
    empty = True
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        while len(pending) + len(view) >= LEAF_BYTES:
            taken = LEAF_BYTES - len(pending)
            yield bytes(pending) + bytes(view[:taken])
            pending.clear()
            view, empty = view[taken:], False
        pending += view
    if pending or empty:
        yield bytes(pending)


def _codec(height: int) -> Codec:
    return Codec.RAW if height == 0 else Codec.DAG_PB


def _height(size: int) -> int:
    """Levels of nodes above the leaves of content of ``size`` bytes."""
    height, capacity = 0, LEAF_BYTES
    while capacity < size:
        height, capacity = height + 1, capacity * WIDTH
    return height


def _child_sizes(size: int, height: int) -> list[int]:
    """Sizes of the children of a node: all full but the last."""
    full, rest = divmod(size, LEAF_BYTES * WIDTH ** (height - 1))
    return [LEAF_BYTES * WIDTH ** (height - 1)] * full + ([rest] if rest else [])


def _encode_node(digests: Sequence[bytes], size: int, height: int) -> bytes:
    """Node over the children named by ``digests``, as canonical dag-pb: links first, then the UnixFS data."""
    sizes = _child_sizes(size, height)
    links = b"".join(
        _encode_link(digest, child, height - 1) for digest, child in zip(digests, sizes, strict=True)
    )
    data = _UNIXFS_FILE + _varint(size) + b"".join(b"\x20" + _varint(child) for child in sizes)
    return links + bytes((_DATA_TAG,)) + _varint(len(data)) + data


def _encode_link(digest: bytes, size: int, height: int) -> bytes:
    """Link to a child: its content id, an empty name, and the bytes of every block below it."""
    cid = ContentId(_codec(height), digest).to_bytes()
    link = b"\x0a" + _varint(len(cid)) + cid + b"\x12\x00\x18" + _varint(_stored_size(size, height))
    return bytes((_LINK_TAG,)) + _varint(len(link)) + link


@lru_cache(maxsize=256)
def _stored_size(size: int, height: int) -> int:
    """Bytes of all blocks of a subtree: the nodes count too."""
    if height == 0:
        return size
    sizes = _child_sizes(size, height)
    node = _encode_node([bytes(DIGEST_BYTES)] * len(sizes), size, height)
    return len(node) + sum(_stored_size(child, height - 1) for child in sizes)


def _decode_node(cid: ContentId, block: bytes, size: int, height: int) -> list[bytes]:
    """Digests of the children of the only node of this size and height that could have this name."""
    digests, offset = [], 0
    for child in _child_sizes(size, height):
        start = offset + _DIGEST_OFFSET
        digests.append(block[start : start + DIGEST_BYTES].ljust(DIGEST_BYTES, b"\0"))
        offset += len(_encode_link(bytes(DIGEST_BYTES), child, height - 1))
    if _encode_node(digests, size, height) != block:
        raise CorruptContent(f"{cid}: node is not in the one accepted layout", field="cid")
    return digests


def _declared_size(cid: ContentId, root: bytes) -> int:
    """File size that a root claims; ``_decode_node`` then checks every byte against it."""
    offset = 0
    while offset + 1 < len(root) and root[offset] == _LINK_TAG:
        offset += 2 + root[offset + 1]
    _, offset = _read_varint(cid, root, offset + 1)
    if root[offset : offset + len(_UNIXFS_FILE)] != _UNIXFS_FILE:
        raise CorruptContent(f"{cid}: root is not a UnixFS file", field="cid")
    size, _ = _read_varint(cid, root, offset + len(_UNIXFS_FILE))
    if size <= LEAF_BYTES:
        raise CorruptContent(f"{cid}: root node over content that fits one leaf", field="cid")
    return size


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(cid: ContentId, block: bytes, offset: int) -> tuple[int, int]:
    number = 0
    for position, byte in enumerate(block[offset : offset + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return number, offset + position + 1
    raise CorruptContent(f"{cid}: number without an end", field="cid")
