"""Layout of content in blocks: Kubo's names, and refusal of every other layout."""

import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkpfl.errors import ContentTooLarge, CorruptContent
from zkpfl.storage import dag
from zkpfl.storage.cid import Codec, ContentId

LEAF = dag.LEAF_BYTES
VECTORS = sorted((Path(__file__).parents[2] / "vectors/v1/cid").glob("*.json"))
NO_LIMIT = 1 << 62


def content(size: int) -> bytes:
    """Content of the vectors: 0, 1, …, 250 repeated, so that no two leaves are equal."""
    pattern = bytes(range(251))
    return (pattern * (size // len(pattern) + 1))[:size]


class Blocks(dict[ContentId, bytes]):
    """Blocks in memory, with a record of what was fetched; ``add`` names any bytes, also hostile ones."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[ContentId] = []

    def add(self, block: bytes, codec: Codec = Codec.DAG_PB) -> ContentId:
        cid = ContentId.of_block(block, codec)
        self[cid] = block
        return cid

    def fetch(self, cid: ContentId) -> bytes:
        self.fetched.append(cid)
        return self[cid]

    def write(self, data: bytes) -> ContentId:
        return dag.write([data], self.__setitem__)

    def read(self, cid: ContentId, max_size_bytes: int = NO_LIMIT) -> bytes:
        return b"".join(dag.read(cid, self.fetch, max_size_bytes=max_size_bytes))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_names_equal_kubo(path: Path) -> None:
    vector = json.loads(path.read_text())
    data, blocks = content(vector["size_bytes"]), Blocks()
    cid = blocks.write(data)
    assert str(cid) == vector["cid"]
    assert blocks.read(cid, max_size_bytes=len(data)) == data


def test_vectors_are_there() -> None:
    assert len(VECTORS) == 9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * LEAF), st.integers(1, 2 * LEAF), st.randoms(use_true_random=False))
def test_name_does_not_depend_on_how_the_stream_is_cut(size: int, most: int, source: random.Random) -> None:
    data = content(size)

    def chunks() -> Iterator[bytes]:
        start = 0
        while start < len(data):
            end = start + source.randint(0, most)
            yield data[start:end]
            start = end

    blocks = Blocks()
    assert dag.write(chunks(), blocks.__setitem__) == blocks.write(data)


def test_a_parent_comes_after_its_children() -> None:
    blocks = Blocks()
    cid = blocks.write(content(175 * LEAF))
    order = list(blocks)
    assert order[-1] == cid
    assert [c.codec for c in order].count(Codec.DAG_PB) == 3
    assert order[174].codec is Codec.DAG_PB


def test_writing_takes_bounded_memory() -> None:
    tracemalloc.start()
    try:
        dag.write((bytes(1 << 20) for _ in range(48)), lambda cid, block: None)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [0, 1, LEAF, LEAF + 1, 3 * LEAF])
def test_size_limit_is_exact_and_comes_before_the_content(size: int) -> None:
    blocks = Blocks()
    cid = blocks.write(content(size))
    assert len(blocks.read(cid, max_size_bytes=size)) == size
    if size:
        blocks.fetched.clear()
        with pytest.raises(ContentTooLarge, match=str(cid)):
            blocks.read(cid, max_size_bytes=size - 1)
        assert blocks.fetched == [cid]


@pytest.mark.parametrize("which", range(4))
def test_a_changed_block_is_named(which: int) -> None:
    blocks = Blocks()
    cid = blocks.write(content(3 * LEAF))
    victim = list(blocks)[which]
    damaged = bytearray(blocks[victim])
    damaged[len(damaged) // 2] ^= 1
    blocks[victim] = bytes(damaged)
    with pytest.raises(CorruptContent, match=str(victim)):
        blocks.read(cid)


# Hostile roots: hashes are right, the layout is not. The twin below spells the format out a second time.


def varint(number: int, padding: int = 0) -> bytes:
    parts = [number >> 7 * i & 0x7F for i in range(max(1, -(-number.bit_length() // 7)) + padding)]
    return bytes([*(part | 0x80 for part in parts[:-1]), parts[-1]])


def field(tag: int, payload: bytes) -> bytes:
    return bytes((tag,)) + varint(len(payload)) + payload


def link(cid: ContentId, stored: int, name: bytes = b"") -> bytes:
    return field(0x12, field(0x0A, cid.to_bytes()) + field(0x12, name) + b"\x18" + varint(stored))


def unixfs(size: int, sizes: list[int], padding: int = 0) -> bytes:
    listed = b"".join(b"\x20" + varint(each) for each in sizes)
    return field(0x0A, b"\x08\x02\x18" + varint(size, padding) + listed)


class TwoLeaves:
    """A file of two leaves, the second half full."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self.sizes = [LEAF, LEAF // 2]
        self.size = sum(self.sizes)
        data = content(self.size)
        self.leaves = [self.blocks.add(part, Codec.RAW) for part in (data[:LEAF], data[LEAF:])]
        self.links = [link(cid, size) for cid, size in zip(self.leaves, self.sizes, strict=True)]
        self.data = unixfs(self.size, self.sizes)

    def declaring_its_own_length(self) -> bytes:
        """A node whose declared size is its own: it must not pass for a leaf."""
        sizes = (
            size for size in range(1, 1000) if len(b"".join(self.links) + unixfs(size, self.sizes)) == size
        )
        return b"".join(self.links) + unixfs(next(sizes), self.sizes)

    def hostile(self) -> dict[str, bytes]:
        links, sizes, size, data = self.links, self.sizes, self.size, self.data
        first, second = self.leaves
        short = self.blocks.add(content(LEAF)[:-1], Codec.RAW)
        return {
            "empty": b"",
            "no_data": b"".join(links),
            "no_links": data,
            "data_first": data + b"".join(links),
            "leftover": b"".join(links) + data + b"\0",
            "truncated": (b"".join(links) + data)[:-1],
            "unknown_field": b"".join(links) + data + field(0x1A, b""),
            "long_varint": b"".join(links) + unixfs(size, sizes, padding=1),
            "endless_varint": b"".join(links) + b"\x0a" + b"\xff" * 20,
            "directory": b"".join(links) + data.replace(b"\x08\x02", b"\x08\x01"),
            "named_link": link(first, sizes[0], b"a") + links[1] + data,
            "wrong_stored_size": link(first, sizes[0] + 1) + links[1] + data,
            "wrong_part_size": b"".join(links) + unixfs(size, [sizes[0] - 1, sizes[1] + 1]),
            "missing_part_size": b"".join(links) + unixfs(size, sizes[:1]),
            "larger_than_links": b"".join(links) + unixfs(size + LEAF, [LEAF, LEAF, LEAF // 2]),
            "smaller_than_links": b"".join(links) + unixfs(LEAF // 2, sizes),
            "short_leaf": link(short, sizes[0]) + links[1] + data,
            "swapped_leaves": link(second, sizes[0]) + link(first, sizes[1]) + data,
            "uneven_leaves": links[1] + links[0] + unixfs(size, sizes[::-1]),
            "one_link": links[0] + unixfs(LEAF, [LEAF]),
            "node_for_leaf": link(ContentId(Codec.DAG_PB, first.digest), LEAF) + links[1] + data,
            "own_length": self.declaring_its_own_length(),
            "astronomic": b"".join(links) + unixfs((1 << 62) - 1, sizes),
        }


HOSTILE = sorted(TwoLeaves().hostile())


def test_twin_equals_writer() -> None:
    file = TwoLeaves()
    root = file.blocks.add(b"".join(file.links) + file.data)
    assert file.blocks.write(content(file.size)) == root
    assert file.blocks.read(root) == content(file.size)


@pytest.mark.parametrize("case", HOSTILE)
def test_other_layouts_are_refused(case: str) -> None:
    file = TwoLeaves()
    root = file.blocks.add(file.hostile()[case])
    with pytest.raises(CorruptContent, match="cid: b"):
        file.blocks.read(root)


def test_too_wide_a_node_is_refused() -> None:
    blocks = Blocks()
    leaf = blocks.add(bytes(LEAF), Codec.RAW)
    wide = blocks.add(link(leaf, LEAF) * 175 + unixfs(175 * LEAF, [LEAF] * 175))
    with pytest.raises(CorruptContent):
        blocks.read(wide)
    full = blocks.add(link(leaf, LEAF) * 174 + unixfs(174 * LEAF, [LEAF] * 174))
    assert len(blocks.read(full)) == 174 * LEAF


def test_too_deep_a_tree_is_refused() -> None:
    file = TwoLeaves()
    node = b"".join(file.links) + file.data
    inner = file.blocks.add(node)
    deep = file.blocks.add(link(inner, len(node) + file.size) + unixfs(file.size, [file.size]))
    with pytest.raises(CorruptContent):
        file.blocks.read(deep)


@pytest.mark.parametrize("codec", list(Codec))
def test_too_large_a_block_is_refused(codec: Codec) -> None:
    blocks = Blocks()
    with pytest.raises(CorruptContent):
        blocks.read(blocks.add(bytes(LEAF + 1), codec))


@given(st.binary(max_size=400))
def test_arbitrary_roots_are_refused(block: bytes) -> None:
    blocks = Blocks()
    with pytest.raises(CorruptContent):
        blocks.read(blocks.add(block))


def test_every_change_of_a_root_is_refused() -> None:
    """Re-hashed after the change: what refuses is the layout, or a child that is not there."""
    file = TwoLeaves()
    node = b"".join(file.links) + file.data
    for position in range(len(node)):
        for bit in range(8):
            changed = bytearray(node)
            changed[position] ^= 1 << bit
            with pytest.raises((CorruptContent, KeyError)):
                file.blocks.read(file.blocks.add(bytes(changed)))
