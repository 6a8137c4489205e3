"""Execute a recorded chain again from nothing but its transactions, and compare every row (auditing).

The file is copied and opened apart, so an audit changes nothing and needs no running ledger. From the rows it
takes what a block does not follow from: its time, its random value and its transactions. Everything else is
computed afresh in memory, so every other byte of the file is checked by being equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlp
from eth.abc import BlockHeaderAPI
from eth.constants import BLANK_ROOT_HASH
from eth.vm.forks.prague.blocks import PragueBlockHeader
from trie.hexary import HexaryTrie

from zkpfl.crypto.merkle import keccak256
from zkpfl.ledger.chain_file import Difference, byte_differences, is_compacted, read_rows, row_name
from zkpfl.ledger.embedded import EmbeddedLedger
from zkpfl.ledger.evm import BLOCK_GAS_LIMIT

Rows = Mapping[bytes, bytes]
Progress = Callable[[int, int], None]

_HEADER_FIELDS = 21


class RepeatedLedger(EmbeddedLedger):
    """A chain in memory that mines blocks at recorded times with recorded random values.

    Parameters
    ----------
    chain_id
        EIP-155 chain id.
    genesis
        Recorded first header; only its time is used.
    """

    def __init__(self, chain_id: int, genesis: BlockHeaderAPI) -> None:
        self._recorded: BlockHeaderAPI = genesis
        super().__init__(Path(":memory:"), chain_id, clock=lambda: float(self._recorded.timestamp))

    def repeat(self, header: BlockHeaderAPI, transactions: Iterable[bytes]) -> BlockHeaderAPI:
        """Mine the next block from encoded transactions; returns the header that they give.

        Raises
        ------
        InvalidEncoding, InvalidInput
            A transaction does not decode or is not valid after the blocks before.
        """
        decoded = [self._decode(raw) for raw in transactions]
        self._recorded = header
        self._mine(decoded)
        return self.head

    def rows(self) -> dict[bytes, bytes]:
        """Return every row that a file of this chain would have."""
        return {bytes(key): bytes(value) for key, value in self._journal._db.execute("SELECT k, v FROM kv")}

    def _vm(self, parent: BlockHeaderAPI) -> Any:
        if parent.block_number + 1 != self._recorded.block_number:
            return super()._vm(parent)
        header = self._chain.create_header_from_parent(
            parent,
            gas_limit=BLOCK_GAS_LIMIT,
            timestamp=self._recorded.timestamp,
            mix_hash=self._recorded.mix_hash,
        )
        return self._chain.get_vm(header)


@dataclass(frozen=True)
class Replay:
    """What executing a recorded chain again gave.

    Parameters
    ----------
    ledger
        The chain as computed from its transactions, up to the first block that could not be repeated; None if
        there was not even a first block.
    blocks, transactions, rows
        How many were compared.
    compacted
        Whether the ledger was closed in order. Only then the bytes between the rows were compared too.
    differences
        Every place where the record is not what was computed; empty for an honest one.
    """

    ledger: RepeatedLedger | None
    blocks: int
    transactions: int
    rows: int
    compacted: bool
    differences: tuple[Difference, ...]


def replay(path: Path, chain_id: int, progress: Progress = lambda _done, _total: None) -> Replay:
    """Check a chain file of an `EmbeddedLedger` row by row.

    Parameters
    ----------
    path
        The file; no process should be writing it. It is only read.
    chain_id
        The chain that it should hold.
    progress
        Told of blocks repeated, and how many there are.

    Raises
    ------
    InvalidParameter
        There is no such file.
    """
    recorded, differences = read_rows(path)
    compacted = is_compacted(path)
    headers, found = _headers(recorded)
    if not headers:
        found += _content_differences(recorded)
        return Replay(None, 0, 0, len(recorded), compacted, (*differences, *found))
    ledger = RepeatedLedger(chain_id, headers[0])
    transactions, failed = _repeat(ledger, recorded, headers, progress)
    found += failed
    computed = ledger.rows()
    found += _content_differences(recorded) if found else _row_differences(recorded, computed)
    if compacted and not found and not differences:
        found += byte_differences(path, computed)
    blocks = ledger.head.block_number + 1
    return Replay(ledger, blocks, transactions, len(recorded), compacted, (*differences, *found))


def _headers(rows: Rows) -> tuple[list[BlockHeaderAPI], list[Difference]]:
    """Recorded headers from block 0 on, as far as each is there and follows the one before."""
    found: dict[int, list[BlockHeaderAPI]] = {}
    for key, value in rows.items():
        if len(key) == 32 and (header := _decode_header(value)) is not None and header.hash == key:
            found.setdefault(header.block_number, []).append(header)
    headers: list[BlockHeaderAPI] = []
    for number in range(len(found)):
        after = [h for h in found.get(number, []) if not headers or h.parent_hash == headers[-1].hash]
        if len(after) != 1:
            break
        headers += after
    if headers and all(len(same) == 1 for same in found.values()) and len(headers) == len(found):
        return headers, []
    place, last = f"block {len(headers)}", max(found, default=0)
    detail = f"its header is not recorded, or not once; the chain goes on to block {last}"
    return headers, [Difference(place, detail)]


def _decode_header(value: bytes) -> BlockHeaderAPI | None:
    try:
        items = rlp.decode(value)
        if not isinstance(items, list) or len(items) != _HEADER_FIELDS:
            return None
        header: BlockHeaderAPI = PragueBlockHeader.deserialize(items)
    except (rlp.exceptions.RLPException, ValueError, TypeError):
        return None
    return header


def _content_differences(rows: Rows) -> Iterator[Difference]:
    """Rows with a hash for a key: headers, state, code, transactions and receipts."""
    for key, value in rows.items():
        if len(key) == 32 and keccak256(value) != key:
            yield Difference(row_name(key), "the value does not hash to its key")


def _repeat(
    ledger: RepeatedLedger, rows: Rows, headers: list[BlockHeaderAPI], progress: Progress
) -> tuple[int, list[Difference]]:
    count = 0
    if headers[0].state_root != BLANK_ROOT_HASH or ledger.head != headers[0]:
        return 0, [Difference("block 0", _header_difference(ledger.head, headers[0]))]
    for number, header in enumerate(headers[1:], start=1):
        try:
            transactions = list(_transactions(rows, header))
            computed = ledger.repeat(header, transactions)
        except Exception as error:  # from damaged rows rlp, the trie and py-evm raise a dozen unrelated types
            return count, [Difference(f"block {number}", f"cannot be repeated: {error}")]
        if computed != header:
            return count, [Difference(f"block {number}", _header_difference(computed, header))]
        count += len(transactions)
        progress(number, len(headers) - 1)
    return count, []


def _transactions(rows: Rows, header: BlockHeaderAPI) -> Iterator[bytes]:
    if header.transaction_root == BLANK_ROOT_HASH:
        return
    tree = HexaryTrie(rows, header.transaction_root)
    index = 0
    while raw := tree[rlp.encode(index)]:
        yield bytes(raw)
        index += 1


def _header_difference(computed: BlockHeaderAPI, recorded: BlockHeaderAPI) -> str:
    names = [name for name, _ in PragueBlockHeader._meta.fields]
    wrong = [name for name in names if getattr(computed, name) != getattr(recorded, name)]
    return f"its transactions do not give the recorded {', '.join(wrong) or 'header'}"


def _row_differences(recorded: Rows, computed: Rows) -> Iterator[Difference]:
    for key in sorted(recorded.keys() | computed.keys()):
        if key not in recorded:
            yield Difference(row_name(key), "is missing")
        elif key not in computed:
            yield Difference(row_name(key), "is not part of the chain")
        elif recorded[key] != computed[key]:
            yield Difference(row_name(key), "is not what the transactions give")
