"""Both ends of an upload: a header, then the commitments, then the sealed share, in chunks (docs/spec.md §5).

Each part is cut into chunks of exactly `CHUNK_BYTES`, its last chunk shorter. So a reader knows the length of
the next chunk, keeps no more than was announced and allowed, and a peer cannot hold a stream open by
trickling single bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zkpfl.errors import InvalidEncoding, NotDelivered
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.convert import CHUNK_BYTES, UploadHeader, header_from_pb, header_to_pb, parse
from zkpfl.rpc.handler import UploadLimits

Progress = Callable[[int], None]
"""Called with the bytes of commitments and blob sent so far; begins again at 0 when an upload is repeated."""


def chunks(data: bytes) -> Iterator[bytes]:
    """Cut into pieces of `CHUNK_BYTES`; only the last may be shorter."""
    view = memoryview(data)
    for start in range(0, len(data), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])


def write_share(
    header: UploadHeader, commitments: bytes, blob: bytes, progress: Progress
) -> Iterator[pb.UploadShareRequest]:
    """Messages of one upload, in order."""
    yield header_to_pb(header)
    sent = 0
    progress(sent)
    for part in (commitments, blob):
        for chunk in chunks(part):
            yield pb.UploadShareRequest(chunk=chunk)
            sent += len(chunk)
            progress(sent)


def read_header(requests: Iterator[bytes]) -> UploadHeader:
    """First message of an upload.

    Raises
    ------
    InvalidEncoding
        Not a header, or a wrong length or range in it.
    NotDelivered
        The stream ended before it.
    """
    first = next(requests, None)
    if first is None:
        raise NotDelivered("the stream is empty", field="header")
    return header_from_pb(parse(pb.UploadShareRequest, first))


def require_within(header: UploadHeader, limits: UploadLimits) -> None:
    """Raise `InvalidEncoding` if the header announces more than ``limits``."""
    for field, size, limit in (
        ("commitments_size_bytes", header.commitments_size_bytes, limits.max_commitments_bytes),
        ("blob_size_bytes", header.blob_size_bytes, limits.max_blob_bytes),
    ):
        if size > limit:
            raise InvalidEncoding(f"at most {limit} bytes, got {size}", field=field, party=_trainer(header))


def read_body(requests: Iterator[bytes], header: UploadHeader) -> tuple[bytes, bytes]:
    """Commitments and sealed share, exactly as long as announced.

    Raises
    ------
    NotDelivered
        The stream ended early; names the trainer.
    InvalidEncoding
        A chunk of the wrong length, or bytes left over; names the trainer.
    """
    commitments = _read_part(requests, header, "commitments", header.commitments_size_bytes)
    blob = _read_part(requests, header, "blob", header.blob_size_bytes)
    if next(requests, None) is not None:
        raise InvalidEncoding("more than the header announced", field="chunk", party=_trainer(header))
    return commitments, blob


def _read_part(requests: Iterator[bytes], header: UploadHeader, field: str, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        request = next(requests, None)
        if request is None:
            raise NotDelivered(
                f"ended after {len(received)} of {size} bytes", field=field, party=_trainer(header)
            )
        chunk = parse(pb.UploadShareRequest, request).chunk
        expected = min(CHUNK_BYTES, size - len(received))
        if len(chunk) != expected:
            raise InvalidEncoding(
                f"expected a chunk of {expected} bytes, got {len(chunk)}", field=field, party=_trainer(header)
            )
        received += chunk
    return bytes(received)


def _trainer(header: UploadHeader) -> str:
    return f"trainer 0x{header.signed.message.trainer.hex()}"
