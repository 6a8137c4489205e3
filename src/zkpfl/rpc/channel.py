"""Connections to a zk-node: its certificate is checked first, and then pinned (docs/spec.md §11)."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time

import grpc

from zkpfl.crypto.certificates import SERVER_NAME
from zkpfl.errors import DeadlineExceeded, InvalidParameter, Unavailable
from zkpfl.rpc import convert
from zkpfl.rpc.identity import TransportIdentity

_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment must not see who talks to whom
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.max_receive_message_length", convert.MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class Connector:
    """Gives channels to one zk-node, each to exactly one certificate of it. Safe to use from several threads.

    gRPC cannot ask this code about a certificate during a handshake, and sends a call as soon as there is a
    connection. So the certificate is fetched by a handshake of its own, its voucher checked, and then it is
    the only one that the channel accepts.

    Parameters
    ----------
    endpoint
        ``host:port``; as registered on the ledger, so from a stranger.
    party
        How errors name the node.
    identity
        Whom connections speak for.
    account
        Account of the node, bytes[20].

    Raises
    ------
    InvalidParameter
        Not an endpoint.
    """

    def __init__(self, endpoint: str, party: str, identity: TransportIdentity, account: bytes) -> None:
        match = _ENDPOINT.fullmatch(endpoint)
        if not match or not 1 <= int(match[2]) < 1 << 16:
            raise InvalidParameter("must be host:port", field="endpoint", party=party)
        self.endpoint = endpoint
        self._host, self._port = match[1].strip("[]"), int(match[2])
        self._party = party
        self._identity = identity
        self._account = account
        self._lock = threading.Lock()
        self._pinned: bytes | None = None
        self._own: bytes | None = None
        self._channels: list[grpc.Channel] = []
        self._closed = False

    def channel(self, timeout_s: float) -> grpc.Channel:
        """The present channel: a new one if there is none yet, or if the own credential has been renewed.

        Raises
        ------
        Unavailable, DeadlineExceeded
            The node cannot be reached in time.
        InvalidEncoding, BadSignature, NotAuthorized
            Who answers there is not the node, by its certificate.
        """
        with self._lock:
            if self._closed:
                raise Unavailable("this client is closed", party=self._party)
            if self._pinned is None:
                self._pinned = self._fetched(timeout_s)
            elif self._own == self._identity.credential().client_certificate:
                return self._channels[-1]
            return self._connected(self._pinned)

    def look_again(self, timeout_s: float) -> None:
        """After a failure: if the node has another certificate by now, the next channel is to that one."""
        with self._lock:
            if self._closed or self._pinned is None:
                return
            found = self._fetched(timeout_s)
            if found != self._pinned:
                self._pinned = found
                self._connected(found)

    def close(self) -> None:
        """Cancel what runs on any channel, and let go of all. May be called again."""
        with self._lock:
            self._closed = True
            for channel in self._channels:
                channel.close()
            self._channels.clear()

    def _connected(self, certificate: bytes) -> grpc.Channel:
        own = self._identity.credential()
        trust = grpc.ssl_channel_credentials(certificate, own.private_key, own.client_certificate)
        # What still runs on the last channel ends there; on those before it nothing does, hours later.
        for old in self._channels[:-1]:
            old.close()
        self._channels = self._channels[-1:]
        self._channels.append(grpc.secure_channel(f"dns:///{self.endpoint}", trust, options=_OPTIONS))
        self._own = own.client_certificate
        return self._channels[-1]

    def _fetched(self, timeout_s: float) -> bytes:
        """The node's certificate, PEM, vouched for by its account now."""
        der = self._handshake(timeout_s)
        self._identity.require_peer(der, self._party, self._account)
        return ssl.DER_cert_to_PEM_cert(der).encode()

    def _handshake(self, timeout_s: float) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The voucher is checked instead, and the channel then accepts this certificate only.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["h2"])
        deadline = time.monotonic() + timeout_s
        try:
            with (
                socket.create_connection((self._host, self._port), max(timeout_s, 0.01)) as plain,
                context.wrap_socket(
                    plain, server_hostname=SERVER_NAME, do_handshake_on_connect=False
                ) as secured,
            ):
                _shake_hands(secured, deadline)
                found = secured.getpeercert(binary_form=True)
        except TimeoutError:
            text = f"no answer from {self.endpoint} in time"
            raise DeadlineExceeded(text, party=self._party) from None
        except OSError as error:  # refused, reset, or no TLS there
            text, hint = f"cannot be reached at {self.endpoint}", "is it running, and of this version?"
            raise Unavailable(text, party=self._party, hint=hint) from error
        return found or b""


def _shake_hands(secured: ssl.SSLSocket, deadline: float) -> None:
    """Finish a handshake by a deadline, however slowly the peer lets its bytes drip; else `TimeoutError`."""
    secured.setblocking(False)
    while True:
        reading: list[ssl.SSLSocket] = []
        writing: list[ssl.SSLSocket] = []
        try:
            return secured.do_handshake()
        except ssl.SSLWantReadError:
            reading.append(secured)
        except ssl.SSLWantWriteError:
            writing.append(secured)
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        select.select(reading, writing, [], left_s)
