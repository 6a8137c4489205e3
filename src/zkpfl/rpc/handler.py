"""What a zk-node offers to others, independent of how it travels (docs/spec.md §5, §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidParameter
from zkpfl.protocol.messages import SignedMessage

MAX_NODES = 10


@dataclass(frozen=True)
class Attestation:
    """A zk-node's BLS signature over the outcome of a round (docs/spec.md §6).

    Parameters
    ----------
    node
        The zk-node's number, 1 to 10.
    digest
        What was signed, 32 bytes.
    signature
        G1 point, compressed, 48 bytes. Only its length is checked here.

    Raises
    ------
    InvalidParameter
        Wrong length or out of range.
    """

    node: int
    digest: bytes
    signature: bytes

    def __post_init__(self) -> None:
        if not 1 <= self.node <= MAX_NODES:
            raise InvalidParameter(f"must be 1 to {MAX_NODES}, got {self.node}", field="node")
        _require_size("digest", self.digest, 32)
        _require_size("signature", self.signature, 48)


@dataclass(frozen=True)
class NodeStatus:
    """What a zk-node says about itself; nothing in it is proved.

    Parameters
    ----------
    address
        The node's account, 20 bytes.
    version
        Version of its software, 1 to 64 printable ASCII characters.
    jobs
        Numbers of the unfinished jobs that it serves.
    block_number
        The last block of the ledger that it has read.

    Raises
    ------
    InvalidParameter
        Wrong length or out of range.
    """

    address: bytes
    version: str
    jobs: tuple[int, ...]
    block_number: int

    def __post_init__(self) -> None:
        _require_size("address", self.address, 20)
        if not (1 <= len(self.version) <= 64 and self.version.isascii() and self.version.isprintable()):
            raise InvalidParameter("must be 1 to 64 printable ASCII characters", field="version")
        for field, values in (("jobs", self.jobs), ("block_number", (self.block_number,))):
            if any(not 0 <= value < 1 << 64 for value in values):
                raise InvalidParameter("must be 0 to 2^64 − 1", field=field)


@dataclass(frozen=True)
class UploadLimits:
    """The most bytes that one upload may bring; a larger one is refused by its header, before any is read.

    Parameters
    ----------
    max_commitments_bytes, max_blob_bytes
        At least 1 each.

    Raises
    ------
    InvalidParameter
        Below 1.
    """

    max_commitments_bytes: int
    max_blob_bytes: int

    def __post_init__(self) -> None:
        for field in ("max_commitments_bytes", "max_blob_bytes"):
            if getattr(self, field) < 1:
                raise InvalidParameter("must be at least 1", field=field)


Admission = Callable[[SignedMessage], UploadLimits]
"""Decides by the header of an upload how much it may bring, or refuses it by raising a typed error: the place
to check the trainer's signature and the job before a byte of memory is spent."""


class NodeHandler(Protocol):
    """The zk-node behind the service. Called from many threads; its `ZkpflError` reaches the caller."""

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        """Take one share and return the signed receipt.

        Clients repeat an upload whose answer was lost, so the same share again must give a receipt again.
        """

    def attestation(self, context: Context) -> Attestation:
        """Sign the outcome of a round; `WrongPhase` until every posted proof has verified."""

    def key_share(self, context: Context, account: bytes, number: int) -> bytes:
        """Seal the node's share of a key of a job to an account (bytes[20]) that may have it.

        Key 0 is the job key, key ``i`` that of slice ``i`` of the test set.
        """

    def content(self, content_id: str) -> Iterator[bytes]:
        """Content by its id, in pieces of any size; `NotFound` if it is not held."""

    def status(self) -> NodeStatus:
        """Describe the node."""


def _require_size(field: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise InvalidParameter(f"must be {size} bytes, got {len(value)}", field=field)
