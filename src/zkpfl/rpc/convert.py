"""Bytes of the wire ↔ messages of the protocol: the one door, with every length and range checked.

What comes from a peer is bytes until it has passed a ``…_from_pb`` function; whatever is wrong raises
`InvalidEncoding` with the path of the field. Nobody else in this room touches protobuf fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.handler import Attestation, NodeStatus

CHUNK_BYTES = 256 * 1024
"""Length of every chunk of a stream but the last."""

MAX_MESSAGE_BYTES = CHUNK_BYTES + 1024
"""Cap of one message: a chunk and its framing. Headers, attestations and statuses are far smaller."""

SIGNATURE_BYTES = 65
MAX_CONTENT_ID_CHARACTERS = 128
MAX_SEALED_SHARE_BYTES = 1024
ADDRESS_BYTES = 20

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class UploadHeader:
    """What a trainer announces before the bytes of a share.

    Parameters
    ----------
    signed
        The share message with the trainer's signature, not yet verified.
    commitments_size_bytes, blob_size_bytes
        What will follow, at least 1 each.
    """

    signed: SignedMessage
    commitments_size_bytes: int
    blob_size_bytes: int


def parse(message_type: type[M], data: bytes) -> M:
    """Parse one protobuf message from a peer; `InvalidEncoding` if the bytes are not one."""
    try:
        return message_type.FromString(data)
    except DecodeError:
        name = message_type.DESCRIPTOR.name
        raise InvalidEncoding(f"not a {name} message", field=name) from None


def context_to_pb(context: Context) -> pb.Context:
    """Context of a round as a message."""
    return pb.Context(
        chain_id=context.chain_id, contract=context.contract, job=context.job, round=context.round
    )


def context_from_pb(message: pb.Context, path: str = "context") -> Context:
    """Context of a round from a peer; ``path`` names it in errors."""
    with _named(path):
        return Context(message.chain_id, message.contract, message.job, message.round)


def share_to_pb(message: ShareMessage) -> pb.ShareMessage:
    """Share message or receipt without its signature."""
    return pb.ShareMessage(
        context=context_to_pb(message.context),
        trainer=message.trainer,
        node=message.node,
        commitment_root=message.commitment_root,
        share_root=message.share_root,
        blob_hash=message.blob_hash,
    )


def signed_from_pb(message: pb.ShareMessage, signature: bytes, kind: MessageKind, path: str) -> SignedMessage:
    """Share message or receipt with its signature from a peer. The signature's length is checked, no more."""
    _require_size("signature", signature, SIGNATURE_BYTES)
    context = context_from_pb(message.context, f"{path}.context")
    with _named(path):
        share = ShareMessage(
            context,
            message.trainer,
            message.node,
            message.commitment_root,
            message.share_root,
            message.blob_hash,
        )
    return SignedMessage(share, kind, signature)


def header_to_pb(header: UploadHeader) -> pb.UploadShareRequest:
    """First message of an upload."""
    return pb.UploadShareRequest(
        header=pb.UploadShareRequest.Header(
            message=share_to_pb(header.signed.message),
            signature=header.signed.signature,
            commitments_size_bytes=header.commitments_size_bytes,
            blob_size_bytes=header.blob_size_bytes,
        )
    )


def header_from_pb(request: pb.UploadShareRequest) -> UploadHeader:
    """Read the first message of an upload, which must be a header that announces something."""
    if request.WhichOneof("part") != "header":
        raise InvalidEncoding("an upload begins with its header", field="header")
    header = request.header
    for field in ("commitments_size_bytes", "blob_size_bytes"):
        if getattr(header, field) < 1:
            raise InvalidEncoding("must be at least 1", field=field)
    signed = signed_from_pb(header.message, header.signature, MessageKind.SHARE, "message")
    return UploadHeader(signed, header.commitments_size_bytes, header.blob_size_bytes)


def receipt_to_pb(receipt: SignedMessage) -> pb.UploadShareResponse:
    """Answer to an upload."""
    return pb.UploadShareResponse(receipt=share_to_pb(receipt.message), signature=receipt.signature)


def receipt_from_pb(response: pb.UploadShareResponse) -> SignedMessage:
    """Receipt from a zk-node, its signature not yet verified."""
    return signed_from_pb(response.receipt, response.signature, MessageKind.RECEIPT, "receipt")


def attestation_to_pb(attestation: Attestation) -> pb.GetAttestationResponse:
    """Attestation as a message."""
    return pb.GetAttestationResponse(
        node=attestation.node, digest=attestation.digest, signature=attestation.signature
    )


def attestation_from_pb(response: pb.GetAttestationResponse) -> Attestation:
    """Attestation from a zk-node, its signature not yet verified."""
    with _named("attestation"):
        return Attestation(response.node, response.digest, response.signature)


def key_share_request_to_pb(context: Context, account: bytes, number: int) -> pb.GetKeyShareRequest:
    """Request for a share of key ``number`` of a job, for an account."""
    return pb.GetKeyShareRequest(context=context_to_pb(context), account=account, number=number)


def key_share_request_from_pb(request: pb.GetKeyShareRequest) -> tuple[Context, bytes, int]:
    """Context of the job, account and number of the key, from a peer."""
    _require_size("account", request.account, ADDRESS_BYTES)
    return context_from_pb(request.context), request.account, request.number


def key_share_to_pb(sealed: bytes) -> pb.GetKeyShareResponse:
    """Sealed share as a message."""
    return pb.GetKeyShareResponse(sealed=sealed)


def key_share_from_pb(response: pb.GetKeyShareResponse) -> bytes:
    """Sealed share from a zk-node, not yet opened."""
    sealed: bytes = response.sealed
    if not 1 <= len(sealed) <= MAX_SEALED_SHARE_BYTES:
        raise InvalidEncoding(f"must be 1 to {MAX_SEALED_SHARE_BYTES} bytes", field="sealed")
    return sealed


def status_to_pb(status: NodeStatus) -> pb.GetStatusResponse:
    """Status as a message."""
    return pb.GetStatusResponse(
        address=status.address, version=status.version, jobs=status.jobs, block_number=status.block_number
    )


def status_from_pb(response: pb.GetStatusResponse) -> NodeStatus:
    """Status from a zk-node."""
    with _named("status"):
        return NodeStatus(response.address, response.version, tuple(response.jobs), response.block_number)


def content_id_from_pb(request: pb.FetchContentRequest) -> str:
    """Content id from a peer: letters and digits only; whether it is one, storage knows."""
    content_id: str = request.content_id
    if not (len(content_id) <= MAX_CONTENT_ID_CHARACTERS and content_id.isascii() and content_id.isalnum()):
        raise InvalidEncoding("not a content id", field="content_id")
    return content_id


def content_chunk_from_pb(response: pb.FetchContentResponse) -> bytes:
    """One chunk of content from a peer; never empty, so that a stream of chunks comes to an end."""
    chunk: bytes = response.chunk
    if not 1 <= len(chunk) <= CHUNK_BYTES:
        raise InvalidEncoding(f"must be 1 to {CHUNK_BYTES} bytes, got {len(chunk)}", field="chunk")
    return chunk


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Turn what a message's own checks refuse into a fault of the peer's bytes at ``path``."""
    try:
        yield
    except InvalidParameter as error:
        raise InvalidEncoding(error.message, field=f"{path}.{error.field}") from None


def _require_size(field: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise InvalidEncoding(f"must be {size} bytes, got {len(value)}", field=field)
