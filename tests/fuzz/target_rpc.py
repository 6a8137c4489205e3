"""Bytes between trainers and zk-nodes: single messages, uploads, and the details of an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from tests.fuzz.registry import Reader, fuzz_target
from zkpfl.errors import InvalidEncoding, NotDelivered, ZkpflError
from zkpfl.rpc import convert, errors, share_stream
from zkpfl.rpc._pb import zk_node_pb2 as pb

Encode = Callable[[Any], Any]
MESSAGES: tuple[tuple[Any, Callable[[Any], Any], Encode], ...] = (
    (pb.Context, convert.context_from_pb, convert.context_to_pb),
    (pb.UploadShareRequest, convert.header_from_pb, convert.header_to_pb),
    (pb.UploadShareResponse, convert.receipt_from_pb, convert.receipt_to_pb),
    (pb.GetAttestationResponse, convert.attestation_from_pb, convert.attestation_to_pb),
    (
        pb.GetKeyShareRequest,
        convert.key_share_request_from_pb,
        lambda parts: convert.key_share_request_to_pb(*parts),
    ),
    (pb.GetKeyShareResponse, convert.key_share_from_pb, convert.key_share_to_pb),
    (pb.GetStatusResponse, convert.status_from_pb, convert.status_to_pb),
    (
        pb.FetchContentRequest,
        convert.content_id_from_pb,
        lambda text: pb.FetchContentRequest(content_id=text),
    ),
    (
        pb.FetchContentResponse,
        convert.content_chunk_from_pb,
        lambda x: pb.FetchContentResponse(chunk=x),
    ),
)


@fuzz_target("rpc")
def rpc_messages(data: bytes) -> None:
    message_type, decode, encode = MESSAGES[data[0] % len(MESSAGES) if data else 0]
    try:
        decoded = decode(convert.parse(message_type, data[1:]))
    except InvalidEncoding:
        return
    again = encode(decoded).SerializeToString()
    assert decode(convert.parse(message_type, again)) == decoded


@fuzz_target("rpc")
def upload_stream(data: bytes) -> None:
    """A header and chunks, each after its length in two bytes."""
    reader, messages = Reader(data), []
    while len(messages) < 64 and (size := reader.number(2)):
        messages.append(reader.take(size % 2048))
    requests = iter(messages)
    try:
        header = share_stream.read_header(requests)
        share_stream.require_within(header, share_stream.UploadLimits(4096, 4096))
        commitments, blob = share_stream.read_body(requests, header)
    except (InvalidEncoding, NotDelivered):
        return
    assert len(commitments) == header.commitments_size_bytes
    assert len(blob) == header.blob_size_bytes
    written = share_stream.write_share(header, commitments, blob, lambda _sent: None)
    again = iter([message.SerializeToString() for message in written])
    assert share_stream.read_header(again) == header
    assert share_stream.read_body(again, header) == (commitments, blob)


class FailedCall:
    """What grpc knows of a call that a peer refused."""

    def __init__(self, status: grpc.StatusCode, trailers: tuple[tuple[str, str | bytes], ...]) -> None:
        self.code = lambda: status
        self.trailing_metadata = lambda: trailers


@fuzz_target("rpc")
def rpc_errors(data: bytes) -> None:
    """A peer's status and trailers: any keys that we read, any values."""
    reader = Reader(data)
    status = list(grpc.StatusCode)[reader.below(len(grpc.StatusCode))]
    keys = (errors.CODE_KEY, errors.PARTY_KEY, errors.FIELD_KEY)
    trailers: list[tuple[str, str | bytes]] = []
    for key in keys:
        if kind := reader.below(3):
            value = reader.take(reader.byte())
            trailers.append((key, value if kind == 1 else value.decode("latin-1")))
    call: Any = FailedCall(status, tuple(trailers))
    error = errors.from_call(call, "zk-node 1", "node:1")
    assert isinstance(error, ZkpflError)
    for text in (error.party, error.field):
        assert text is None or (text.isprintable() and len(text) <= errors.MAX_TRAILER_CHARACTERS)
