"""The node behind the service in these tests, and a peer that speaks raw gRPC."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import grpc

from zkpfl.crypto.signatures import AccountKey, Domain
from zkpfl.crypto.transcript import Context
from zkpfl.errors import NotFound
from zkpfl.protocol.messages import MessageKind, SignedMessage
from zkpfl.rpc.channel import Connector
from zkpfl.rpc.client import NodeClient
from zkpfl.rpc.handler import Attestation, NodeStatus, UploadLimits
from zkpfl.rpc.identity import TransportIdentity

CONTEXT = Context(31337, bytes(range(20)), 7, 3)
TRAINER = AccountKey.from_bytes(bytes(31) + b"\x01")
NODE = AccountKey.from_bytes(bytes(31) + b"\x02")
LIMITS = UploadLimits(max_commitments_bytes=1 << 22, max_blob_bytes=20 << 20)
SERVICE = "/zkpfl.v1.ZkNode"
DOMAIN = Domain(CONTEXT.chain_id, CONTEXT.contract)
CLIENT, SERVER = TransportIdentity(TRAINER, DOMAIN), TransportIdentity(NODE, DOMAIN)


def connect(endpoint: str, *, party: str = "zk-node") -> NodeClient:
    """A client of the trainer that expects the node."""
    return NodeClient(endpoint, CLIENT, NODE.address, party=party)


@contextmanager
def channel_to(endpoint: str) -> Iterator[grpc.Channel]:
    """A bare channel of the trainer to the node."""
    connector = Connector(endpoint, "zk-node", CLIENT, NODE.address)
    try:
        yield connector.channel(10)
    finally:
        connector.close()


class RecordingNode:
    """Keeps what it is given; ``error`` is raised by every call instead of an answer."""

    def __init__(self) -> None:
        self.shares: list[tuple[SignedMessage, bytes, bytes]] = []
        self.contents: dict[str, list[bytes]] = {}
        self.error: Exception | None = None
        self.calls = 0

    def receive_share(self, signed: SignedMessage, commitments: bytes, blob: bytes) -> SignedMessage:
        self._fail()
        self.shares.append((signed, commitments, blob))
        return signed.message.sign(MessageKind.RECEIPT, NODE)

    def attestation(self, context: Context) -> Attestation:
        self._fail()
        return Attestation(2, context.to_bytes()[:32], bytes(48))

    def key_share(self, context: Context, account: bytes, number: int) -> bytes:
        self._fail()
        return b"sealed" + context.to_bytes() + account + bytes([number])

    def content(self, content_id: str) -> Iterator[bytes]:
        self._fail()
        if content_id not in self.contents:
            raise NotFound("not held", field="content_id")
        yield from self.contents[content_id]

    def status(self) -> NodeStatus:
        self._fail()
        return NodeStatus(NODE.address, "0.1.0", (7, 9), 42)

    def _fail(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


class BlockingNode(RecordingNode):
    """Answers nothing until ``release`` is set; ``entered`` says that a call waits."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def _fail(self) -> None:
        self.entered.set()
        assert self.release.wait(30)


def raw_upload(endpoint: str, messages: Iterable[bytes], timeout_s: float = 10.0) -> grpc.RpcError | bytes:
    """Send the messages of an upload as they are; what came back."""
    with channel_to(endpoint) as channel:
        try:
            answer: bytes = channel.stream_unary(f"{SERVICE}/UploadShare")(iter(messages), timeout=timeout_s)
        except grpc.RpcError as error:
            return error
    return answer


def raw_call(endpoint: str, method: str, message: bytes) -> grpc.RpcError | bytes:
    """Send one message to a unary call as it is; what came back."""
    with channel_to(endpoint) as channel:
        try:
            answer: bytes = channel.unary_unary(f"{SERVICE}/{method}")(message, timeout=10)
        except grpc.RpcError as error:
            return error
    return answer


def code_of(error: object) -> str | bytes | None:
    """The ``zkpfl-code`` of a refusal."""
    assert isinstance(error, grpc.RpcError), f"was not refused: {error!r}"
    return dict(error.trailing_metadata()).get("zkpfl-code")


def trailers_of(error: object) -> dict[str, str | bytes]:
    """All trailers of a refusal."""
    assert isinstance(error, grpc.RpcError)
    return dict(error.trailing_metadata())
