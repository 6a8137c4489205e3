"""Calls to a zk-node, each bounded in time and tried again while the node is away."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    ContentTooLarge,
    InvalidEncoding,
    InvalidParameter,
    Unavailable,
    WrongContext,
)
from zkpfl.protocol.messages import MessageKind, SignedMessage
from zkpfl.rpc import convert, errors, share_stream
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.handler import Attestation, NodeStatus
from zkpfl.rpc.share_stream import Progress

T = TypeVar("T")

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 3.0

_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_SERVICE = pb.DESCRIPTOR.services_by_name["ZkNode"].full_name
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment must not see shares
    ("grpc.max_receive_message_length", convert.MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class NodeClient:
    """A zk-node, reached over gRPC: a context manager, safe to use from several threads.

    Connects with the first call. Every call ends within its ``timeout_s`` and raises `Unavailable` or
    `DeadlineExceeded` naming the node if it could not be completed; a refusal by the node is raised as the
    class that the node raised; an answer that does not decode as `InvalidEncoding` naming the node. While the
    node is away or busy a call is repeated, with exponential backoff and jitter.

    Parameters
    ----------
    endpoint
        ``host:port``; as registered on the ledger, so from a stranger.
    party
        How errors name the node, ``zk-node 2``.

    Raises
    ------
    InvalidParameter
        Not an endpoint.
    """

    def __init__(self, endpoint: str, *, party: str = "zk-node") -> None:
        match = _ENDPOINT.fullmatch(endpoint)
        if not match or not 1 <= int(match[2]) < 1 << 16:
            raise InvalidParameter("must be host:port", field="endpoint", party=party)
        self.endpoint = endpoint
        self.party = party
        self._closed = threading.Event()
        self._channel = grpc.insecure_channel(f"dns:///{endpoint}", options=_OPTIONS)
        # Answers stay bytes, so that what does not decode is the node's typed fault and not gRPC's.
        channel, serialize = self._channel, _serialize
        self._upload_share = channel.stream_unary(f"/{_SERVICE}/UploadShare", serialize)
        self._get_attestation = channel.unary_unary(f"/{_SERVICE}/GetAttestation", serialize)
        self._get_key_share = channel.unary_unary(f"/{_SERVICE}/GetKeyShare", serialize)
        self._fetch_content = channel.unary_stream(f"/{_SERVICE}/FetchContent", serialize)
        self._get_status = channel.unary_unary(f"/{_SERVICE}/GetStatus", serialize)

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

        def upload(remaining_s: float) -> bytes:
            requests = share_stream.write_share(header, commitments, blob, progress or _ignore)
            answer: bytes = self._upload_share(requests, timeout=remaining_s)
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
        answer = self._call(
            lambda remaining_s: self._get_attestation(request, timeout=remaining_s), timeout_s
        )
        with self._answer():
            return convert.attestation_from_pb(convert.parse(pb.GetAttestationResponse, answer))

    def key_share(self, context: Context, account: bytes, number: int, *, timeout_s: float) -> bytes:
        """Ask for the node's share of a key of a job, sealed to an account; the caller opens and checks it.

        Raises `WrongPhase` while it is too early, `NotAuthorized` if the key is not for the account, else as
        the class describes.
        """
        request = convert.key_share_request_to_pb(context, account, number)
        answer = self._call(lambda remaining_s: self._get_key_share(request, timeout=remaining_s), timeout_s)
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

        def fetch(remaining_s: float) -> bytes:
            stream = self._fetch_content(request, timeout=remaining_s)
            try:
                return self._collect(stream, max_size_bytes)
            finally:
                stream.cancel()

        return self._call(fetch, timeout_s)

    def status(self, *, timeout_s: float = 5.0) -> NodeStatus:
        """Ask the node what it is doing. Raises as the class describes."""
        request = pb.GetStatusRequest()
        answer = self._call(lambda remaining_s: self._get_status(request, timeout=remaining_s), timeout_s)
        with self._answer():
            return convert.status_from_pb(convert.parse(pb.GetStatusResponse, answer))

    def close(self) -> None:
        """Cancel what is running, in any thread, and let go of the connection. May be called again."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, attempt: Callable[[float], T], timeout_s: float) -> T:
        """Run ``attempt(remaining seconds)``, again after each temporary failure until the time is up."""
        if not 0 < timeout_s < float("inf"):
            raise InvalidParameter(f"must be positive, got {timeout_s}", field="timeout_s")
        deadline = time.monotonic() + timeout_s
        for delay_s in _backoff():
            if self._closed.is_set():
                raise Unavailable("this client is closed", party=self.party)
            try:
                return attempt(deadline - time.monotonic())
            except grpc.RpcError as call:
                failure = errors.from_call(call, self.party, self.endpoint)
                temporary = errors.is_temporary(call, failure)
            if not temporary or time.monotonic() + delay_s >= deadline:
                raise failure
            self._closed.wait(delay_s)
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
