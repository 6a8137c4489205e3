"""The zk-node service: a thin layer between gRPC and a `NodeHandler`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection

from zkpfl.crypto.certificates import authority_certificate
from zkpfl.errors import InvalidParameter, NotAuthorized, Unavailable, ZkpflError
from zkpfl.rpc import convert, errors, share_stream
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.handler import Admission, Attestation, NodeHandler, NodeStatus, UploadLimits
from zkpfl.rpc.identity import TransportIdentity
from zkpfl.rpc.idle import IdleGuard

__all__ = ["Attestation", "NodeHandler", "NodeStatus", "RunningServer", "UploadLimits", "serve"]

SERVICE_NAME: str = pb.DESCRIPTOR.services_by_name["ZkNode"].full_name

SHORT_CALLS = 16
"""Calls besides the streams that may run at once: statuses, attestations, health, refusals."""

_LOGGER = logging.getLogger(__name__)


class RunningServer:
    """A zk-node service that answers until `stop`; a context manager that stops it.

    Attributes
    ----------
    endpoint
        ``host:port``, with the port that was really bound.
    """

    def __init__(
        self,
        server: grpc.Server,
        pool: ThreadPoolExecutor,
        guard: IdleGuard,
        health_servicer: health.HealthServicer,
        endpoint: str,
    ) -> None:
        self._server = server
        self._pool = pool
        self._guard = guard
        self._health = health_servicer
        self.endpoint = endpoint

    def stop(self, grace_s: float = 5.0) -> None:
        """Refuse new calls, give running ones ``grace_s`` seconds, cancel the rest, wait for every thread.

        May be called again. Returns later only if a handler is still computing.
        """
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_s).wait()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._guard.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    handler: NodeHandler,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    identity: TransportIdentity,
    limits: UploadLimits | Admission,
    max_streams: int = 8,
    idle_timeout_s: float = 30.0,
) -> RunningServer:
    """Start the zk-node service, with health and reflection beside it, over mutual TLS.

    Memory that peers can make the server hold is at most ``max_streams`` times the limits, twice that for a
    moment while a part is handed over.

    Parameters
    ----------
    handler
        The node; called from several threads.
    host, port
        Where to listen; port 0 takes a free one.
    identity
        Whom the service speaks for. Its certificate changes while the server runs.
    limits
        The most bytes of one upload: fixed, or decided by the signed header (which may also be refused
        there).
    max_streams
        Uploads and downloads at once; more are refused as busy, and `NodeClient` tries them again.
    idle_timeout_s
        Seconds after which a call is cancelled whose peer neither sends nor accepts the next message.

    Returns
    -------
    RunningServer
        Already listening.

    Raises
    ------
    InvalidParameter
        A value out of range, or an address that cannot be bound.
    """
    _require_settings(host, port, max_streams, idle_timeout_s)
    if not isinstance(limits, UploadLimits) and not callable(limits):
        raise InvalidParameter("must be UploadLimits or a function that gives them", field="limits")
    guard = IdleGuard(idle_timeout_s)
    pool = ThreadPoolExecutor(max_streams + SHORT_CALLS, thread_name_prefix="zkpfl-rpc")
    server = grpc.server(
        pool,
        interceptors=(guard,),
        options=(
            ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
            ("grpc.max_receive_message_length", convert.MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", convert.MAX_MESSAGE_BYTES),
            ("grpc.max_concurrent_streams", max_streams + SHORT_CALLS),
        ),
        maximum_concurrent_rpcs=max_streams + SHORT_CALLS,
    )
    servicer = _ZkNodeServicer(handler, identity, limits, max_streams)
    server.add_registered_method_handlers(SERVICE_NAME, servicer.methods())
    health_servicer = _add_health_and_reflection(server)
    endpoint = _listen(server, host, port, server_credentials(identity))
    server.start()
    guard.start()
    _LOGGER.info("zk-node service on %s", endpoint)
    return RunningServer(server, pool, guard, health_servicer, endpoint)


class _ZkNodeServicer:
    """The calls of `NodeHandler` as methods of the service. They take bytes: parsing is part of the door."""

    def __init__(
        self,
        handler: NodeHandler,
        identity: TransportIdentity,
        limits: UploadLimits | Admission,
        max_streams: int,
    ) -> None:
        self._handler = handler
        self._identity = identity
        self._limits = limits
        self._streams = threading.BoundedSemaphore(max_streams)

    def methods(self) -> dict[str, grpc.RpcMethodHandler]:
        return {
            "UploadShare": grpc.stream_unary_rpc_method_handler(
                self.upload_share, response_serializer=pb.UploadShareResponse.SerializeToString
            ),
            "GetAttestation": grpc.unary_unary_rpc_method_handler(
                self.get_attestation, response_serializer=pb.GetAttestationResponse.SerializeToString
            ),
            "GetKeyShare": grpc.unary_unary_rpc_method_handler(
                self.get_key_share, response_serializer=pb.GetKeyShareResponse.SerializeToString
            ),
            "FetchContent": grpc.unary_stream_rpc_method_handler(
                self.fetch_content, response_serializer=pb.FetchContentResponse.SerializeToString
            ),
            "GetStatus": grpc.unary_unary_rpc_method_handler(
                self.get_status, response_serializer=pb.GetStatusResponse.SerializeToString
            ),
        }

    def upload_share(
        self, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> pb.UploadShareResponse:
        with self._peer(context) as account, self._stream():
            header = share_stream.read_header(requests)
            _require_own(account, header.signed.message.trainer)
            limits = self._limits if isinstance(self._limits, UploadLimits) else self._limits(header.signed)
            share_stream.require_within(header, limits)
            commitments, blob = share_stream.read_body(requests, header)
            return convert.receipt_to_pb(self._handler.receive_share(header.signed, commitments, blob))

    def get_attestation(self, data: bytes, context: grpc.ServicerContext) -> pb.GetAttestationResponse:
        with self._peer(context):
            request = convert.parse(pb.GetAttestationRequest, data)
            return convert.attestation_to_pb(
                self._handler.attestation(convert.context_from_pb(request.context))
            )

    def get_key_share(self, data: bytes, context: grpc.ServicerContext) -> pb.GetKeyShareResponse:
        with self._peer(context) as account:
            of, asked, number = convert.key_share_request_from_pb(convert.parse(pb.GetKeyShareRequest, data))
            _require_own(account, asked)
            return convert.key_share_to_pb(self._handler.key_share(of, asked, number))

    def fetch_content(self, data: bytes, context: grpc.ServicerContext) -> Iterator[pb.FetchContentResponse]:
        with self._peer(context), self._stream():
            content_id = convert.content_id_from_pb(convert.parse(pb.FetchContentRequest, data))
            pieces = (
                chunk for piece in self._handler.content(content_id) for chunk in share_stream.chunks(piece)
            )
            for chunk in pieces:
                yield pb.FetchContentResponse(chunk=chunk)

    def get_status(self, data: bytes, context: grpc.ServicerContext) -> pb.GetStatusResponse:
        with self._peer(context):
            convert.parse(pb.GetStatusRequest, data)
            return convert.status_to_pb(self._handler.status())

    @contextmanager
    def _peer(self, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Account of whoever calls, by its certificate; refusals end the call."""
        with _refusals(context):
            (certificate,) = context.auth_context().get("x509_pem_cert", [b""])
            yield self._identity.require_peer(certificate, f"peer {context.peer()}")

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """One of the ``max_streams`` places; `Unavailable`, and so tried again, if there is none."""
        if not self._streams.acquire(blocking=False):
            raise Unavailable("too many streams at once")
        try:
            yield
        finally:
            self._streams.release()


def _require_own(account: bytes, named: bytes) -> None:
    """Raise `NotAuthorized` unless a request speaks for the account of the connection."""
    if named != account:
        text = f"the request speaks for 0x{named.hex()}"
        raise NotAuthorized(text, party=f"account 0x{account.hex()}", field="account")


@contextmanager
def _refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """End the call with the public face of whatever is raised inside."""
    try:
        yield
    except grpc.RpcError:  # the peer has gone: gRPC's own, nobody is left to answer
        raise
    except Exception as error:
        status, text, trailers = errors.to_status(error)
        if isinstance(error, ZkpflError):
            _LOGGER.info("%s: refused, %s", context.peer(), error.code)
        else:
            _LOGGER.exception("%s: internal error", context.peer())
        context.set_trailing_metadata(trailers)
        context.abort(status, text)


def _add_health_and_reflection(server: grpc.Server) -> health.HealthServicer:
    servicer = health.HealthServicer()
    servicer.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
    check = grpc.unary_unary_rpc_method_handler(
        servicer.Check,
        health_pb2.HealthCheckRequest.FromString,
        health_pb2.HealthCheckResponse.SerializeToString,
    )
    # Only Check: a Watch is meant to stay open, and each one would hold a thread.
    server.add_registered_method_handlers(health.SERVICE_NAME, {"Check": check})
    reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return servicer


def server_credentials(identity: TransportIdentity) -> grpc.ServerCredentials:
    """Mutual TLS with the identity's present certificate; asked again at each handshake."""
    authority = authority_certificate(identity.domain)
    served = [b""]

    def configuration() -> grpc.ServerCertificateConfiguration | None:
        credential = identity.credential()
        if credential.server_certificate == served[0]:
            return None
        served[0] = credential.server_certificate
        pair = (credential.private_key, credential.server_certificate)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)

    first = configuration()
    return grpc.dynamic_ssl_server_credentials(first, configuration, require_client_authentication=True)


def _listen(server: grpc.Server, host: str, port: int, trust: grpc.ServerCredentials) -> str:
    address = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_secure_port(f"{address}:{port}", trust)
    except RuntimeError:
        raise InvalidParameter(
            f"cannot listen on {address}:{port}", field="port", hint="is it in use? port 0 takes a free one"
        ) from None
    return f"{address}:{bound}"


def _require_settings(host: str, port: int, max_streams: int, idle_timeout_s: float) -> None:
    if not host:  # to gRPC this would mean every interface
        raise InvalidParameter("must not be empty", field="host")
    if not 0 <= port < 1 << 16:
        raise InvalidParameter(f"must be 0 to 65535, got {port}", field="port")
    if not 1 <= max_streams <= 1024:
        raise InvalidParameter(f"must be 1 to 1024, got {max_streams}", field="max_streams")
    if not 0 < idle_timeout_s < float("inf"):
        raise InvalidParameter(f"must be positive, got {idle_timeout_s}", field="idle_timeout_s")
