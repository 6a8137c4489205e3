"""Calls to a zk-node, each bounded in time and tried again while the node is away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    ContentTooLarge,
    DeadlineExceeded,
    InvalidEncoding,
    InvalidParameter,
    Unavailable,
    WrongContext,
    ZkpflError,
)
from zkpfl.protocol.messages import MessageKind, SignedMessage
from zkpfl.rpc import convert, errors, share_stream
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.channel import Connector
from zkpfl.rpc.handler import Attestation, NodeStatus
from zkpfl.rpc.identity import TransportIdentity
from zkpfl.rpc.share_stream import Progress

T = TypeVar("T")

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 3.0

_SERVICE = pb.DESCRIPTOR.services_by_name["ZkNode"].full_name


class NodeClient:
    """A zk-node, reached over gRPC with mutual TLS: a context manager, safe to use from several threads.

    Connects with the first call. Every call ends within its ``timeout_s`` and raises `Unavailable` or
    `DeadlineExceeded` naming the node if it could not be completed; a refusal by the node is raised as the
    class that the node raised; an answer that does not decode as `InvalidEncoding` naming the node. While the
    node is away or busy a call is repeated, with exponential backoff and jitter. Nothing is sent to anybody
    who is not the node, by its certificate: then `InvalidEncoding`, `BadSignature` or `NotAuthorized`.

    Parameters
    ----------
    endpoint
        ``host:port``; as registered on the ledger, so from a stranger.
    identity
        Whom the calls speak for.
    account
        Account of the node, bytes[20].
    party
        How errors name the node, ``zk-node 2``.

    Raises
    ------
    InvalidParameter
        Not an endpoint.
    """

    def __init__(
        self, endpoint: str, identity: TransportIdentity, account: bytes, *, party: str = "zk-node"
    ) -> None:
        self._connector = Connector(endpoint, party, identity, account)
        self.endpoint = endpoint
        self.party = party
        self._closed = threading.Event()

    def upload_share(
        self,
        signed: SignedMessage,
        commitments: bytes,
        blob: bytes,
        *,
        timeout_s: float,
        progress: Progress | None = None,
    ) -> SignedMessage:
        """Stream one share to the node.

        Parameters
        ----------
        signed
            The share message with the trainer's signature.
        commitments
            Points of the submission, not empty.
        blob
            The sealed share, not empty.
        timeout_s
            Seconds for everything, repetitions included.
        progress
            Told the bytes sent so far, from another thread; must not raise.

        Returns
        -------
        SignedMessage
            The node's receipt for exactly this message. Its signature is not verified here: the caller knows
            the account that it must be from (`SignedMessage.require_signer`).

        Raises
        ------
        InvalidParameter
            Not a share message, nothing to send, or a timeout that is not positive.
        WrongContext
            The receipt is for another message.
        ZkpflError
            As the class describes.
        """
        _require_share(signed, commitments, blob)
        header = convert.UploadHeader(signed, len(commitments), len(blob))

        def upload(channel: grpc.Channel, remaining_s: float) -> bytes:
            requests = share_stream.write_share(header, commitments, blob, progress or _ignore)
            call = channel.stream_unary(f"/{_SERVICE}/UploadShare", _serialize)
            answer: bytes = call(requests, timeout=remaining_s)
            return answer

        answer = self._call(upload, timeout_s)
        with self._answer():
            receipt = convert.receipt_from_pb(convert.parse(pb.UploadShareResponse, answer))
        if receipt.message != signed.message:
            raise WrongContext("the receipt is for another message", party=self.party, field="receipt")
        return receipt

    def attestation(self, context: Context, *, timeout_s: float) -> Attestation:
        """Ask for the node's signature over the outcome of a round; the caller verifies it.

        Raises `WrongPhase` while not every posted proof of the round has verified, else as the class
        describes.
        """
        request = pb.GetAttestationRequest(context=convert.context_to_pb(context))
        answer = self._ask("GetAttestation", request, timeout_s)
        with self._answer():
            return convert.attestation_from_pb(convert.parse(pb.GetAttestationResponse, answer))

    def key_share(self, context: Context, account: bytes, number: int, *, timeout_s: float) -> bytes:
        """Ask for the node's share of a key of a job, sealed to an account; the caller opens and checks it.

        Raises `WrongPhase` while it is too early, `NotAuthorized` if the key is not for the account, else as
        the class describes.
        """
        request = convert.key_share_request_to_pb(context, account, number)
        answer = self._ask("GetKeyShare", request, timeout_s)
        with self._answer():
            return convert.key_share_from_pb(convert.parse(pb.GetKeyShareResponse, answer))

    def fetch(self, content_id: str, *, max_size_bytes: int, timeout_s: float) -> bytes:
        """Fetch content from the node; the caller compares it with the content id.

        Raises `NotFound` if the node does not hold it, `ContentTooLarge` as soon as more than
        ``max_size_bytes`` have arrived, else as the class describes.
        """
        if max_size_bytes < 1:
            raise InvalidParameter("must be at least 1", field="max_size_bytes")
        request = pb.FetchContentRequest(content_id=content_id)

        def fetch(channel: grpc.Channel, remaining_s: float) -> bytes:
            call = channel.unary_stream(f"/{_SERVICE}/FetchContent", _serialize)
            stream = call(request, timeout=remaining_s)
            try:
                return self._collect(stream, max_size_bytes)
            finally:
                stream.cancel()

        return self._call(fetch, timeout_s)

    def status(self, *, timeout_s: float = 5.0) -> NodeStatus:
        """Ask the node what it is doing. Raises as the class describes."""
        request = pb.GetStatusRequest()
        answer = self._ask("GetStatus", request, timeout_s)
        with self._answer():
            return convert.status_from_pb(convert.parse(pb.GetStatusResponse, answer))

    def close(self) -> None:
        """Cancel what is running, in any thread, and let go of the connection. May be called again."""
        self._closed.set()
        self._connector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, request: Any, timeout_s: float) -> bytes:
        """One message for one message. Answers stay bytes: what does not decode is the node's typed fault."""

        def ask(channel: grpc.Channel, remaining_s: float) -> bytes:
            call = channel.unary_unary(f"/{_SERVICE}/{method}", _serialize)
            answer: bytes = call(request, timeout=remaining_s)
            return answer

        return self._call(ask, timeout_s)

    def _call(self, attempt: Callable[[grpc.Channel, float], T], timeout_s: float) -> T:
        """Run ``attempt(channel, remaining seconds)``, again after temporary failures while there is time."""
        if not 0 < timeout_s < float("inf"):
            raise InvalidParameter(f"must be positive, got {timeout_s}", field="timeout_s")
        deadline = time.monotonic() + timeout_s
        for delay_s in _backoff():
            if self._closed.is_set():
                raise Unavailable("this client is closed", party=self.party)
            failure: ZkpflError
            try:
                channel = self._connector.channel(deadline - time.monotonic())
                return attempt(channel, deadline - time.monotonic())
            except Unavailable as error:
                failure, temporary = error, not self._closed.is_set()
            except grpc.RpcError as call:
                failure = errors.from_call(call, self.party, self.endpoint)
                temporary = errors.is_temporary(call, failure)
            if not temporary or time.monotonic() + delay_s >= deadline:
                raise failure
            self._closed.wait(delay_s)
            with suppress(Unavailable, DeadlineExceeded):  # still away
                self._connector.look_again(deadline - time.monotonic())
        raise AssertionError("backoff never ends")

    def _collect(self, stream: Iterator[bytes], max_size_bytes: int) -> bytes:
        received = bytearray()
        for data in stream:
            with self._answer():
                received += convert.content_chunk_from_pb(convert.parse(pb.FetchContentResponse, data))
            if len(received) > max_size_bytes:
                raise ContentTooLarge(f"more than {max_size_bytes} bytes", party=self.party, field="content")
        return bytes(received)

    @contextmanager
    def _answer(self) -> Iterator[None]:
        """Name the node where its answer does not decode."""
        try:
            yield
        except InvalidEncoding as error:
            error.party = self.party
            raise


def _backoff() -> Iterator[float]:
    """Seconds between attempts: doubling up to a limit, each between half and the whole of it."""
    longest_s = FIRST_BACKOFF_S
    jitter = random.SystemRandom()
    while True:
        yield jitter.uniform(longest_s / 2, longest_s)
        longest_s = min(2 * longest_s, LONGEST_BACKOFF_S)


def _serialize(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _require_share(signed: SignedMessage, commitments: bytes, blob: bytes) -> None:
    if signed.kind is not MessageKind.SHARE:
        raise InvalidParameter("must be a share message", field="signed")
    for field, data in (("commitments", commitments), ("blob", blob)):
        if not data:
            raise InvalidParameter("must not be empty", field=field)


def _ignore(_sent_bytes: int) -> None:
    """Report no progress."""
