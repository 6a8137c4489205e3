"""Mutual TLS: who is not the party that the ledger names is refused before a byte of a call (spec §11)."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import grpc
import pytest
from tests.rpc.doubles import CLIENT, CONTEXT, DOMAIN, NODE, SERVER, TRAINER, RecordingNode, connect

from zkpfl.crypto import certificates
from zkpfl.crypto.certificates import CLOCK_SKEW_S, Credential
from zkpfl.crypto.signatures import AccountKey, Domain
from zkpfl.errors import BadSignature, InvalidParameter, NotAuthorized, Unavailable, ZkpflError
from zkpfl.protocol.messages import SignedMessage
from zkpfl.rpc.client import NodeClient
from zkpfl.rpc.identity import TransportIdentity
from zkpfl.rpc.server import RunningServer

STRANGER = AccountKey.from_bytes(bytes(31) + b"\x03")
ELSEWHERE = Domain(1, DOMAIN.contract)
Start = Callable[..., RunningServer]


def ago(seconds: float) -> Callable[[], float]:
    return lambda: time.time() - seconds


@pytest.mark.parametrize(
    ("identity", "error", "text"),
    [
        (TransportIdentity(STRANGER, DOMAIN), NotAuthorized, "is vouched for by"),
        (TransportIdentity(NODE, ELSEWHERE), BadSignature, "chain, contract"),
        (TransportIdentity(NODE, DOMAIN, clock=ago(100_000)), NotAuthorized, "counts from"),
        (TransportIdentity(NODE, DOMAIN, clock=ago(-CLOCK_SKEW_S * 3)), NotAuthorized, "counts from"),
    ],
    ids=["man in the middle", "another chain", "expired", "not yet valid"],
)
def test_a_server_that_is_not_the_node_gets_no_call(
    start: Start, identity: TransportIdentity, error: type[ZkpflError], text: str
) -> None:
    false = RecordingNode()
    server = start(false, identity=identity)
    with connect(server.endpoint, party="zk-node 2") as client, pytest.raises(error, match=text) as caught:
        client.key_share(CONTEXT, TRAINER.address, 0, timeout_s=10)
    assert (caught.value.party, caught.value.field) == ("zk-node 2", "certificate")
    assert caught.value.hint
    assert false.calls == 0


def test_a_server_that_takes_the_place_of_the_node_later_gets_no_call(
    start: Start, node: RecordingNode
) -> None:
    server = start(node)
    with connect(server.endpoint) as client:
        client.status(timeout_s=10)
        server.stop(0)
        false = RecordingNode()
        port = int(server.endpoint.rsplit(":", 1)[1])
        start(false, port=port, identity=TransportIdentity(STRANGER, DOMAIN))
        with pytest.raises(NotAuthorized, match="is vouched for by"):
            client.status(timeout_s=10)
    assert false.calls == 0


class Thief(TransportIdentity):
    """Has a certificate of another, and a key of its own."""

    def __init__(self, victim: TransportIdentity) -> None:
        super().__init__(STRANGER, DOMAIN)
        self._victim = victim

    def credential(self) -> Credential:
        stolen = self._victim.credential()
        return replace(stolen, private_key=super().credential().private_key)


def test_a_stolen_certificate_without_its_key_opens_nothing(start: Start, node: RecordingNode) -> None:
    server = start(node)
    with NodeClient(server.endpoint, Thief(CLIENT), NODE.address) as client, pytest.raises(Unavailable):
        client.status(timeout_s=1)
    assert node.calls == 0
    false = RecordingNode()
    with suppress(ZkpflError), connect(start(false, identity=Thief(SERVER)).endpoint) as client:
        client.status(timeout_s=1)
    assert false.calls == 0


@pytest.mark.parametrize(
    ("identity", "error"),
    [
        (TransportIdentity(TRAINER, ELSEWHERE), Unavailable),  # of another authority: TLS ends there
        (TransportIdentity(TRAINER, DOMAIN, clock=ago(100_000)), Unavailable),
    ],
    ids=["another chain", "expired"],
)
def test_a_client_whose_certificate_does_not_count_is_refused(
    start: Start, node: RecordingNode, identity: TransportIdentity, error: type[ZkpflError]
) -> None:
    server = start(node)
    identity.require_peer = lambda *_: NODE.address  # type: ignore[method-assign]  # it would refuse first
    with NodeClient(server.endpoint, identity, NODE.address) as client, pytest.raises(error):
        client.status(timeout_s=1)
    assert node.calls == 0


class Forger(TransportIdentity):
    """Issues itself what it likes under the authority, as anybody can, with the voucher of another chain."""

    def credential(self) -> Credential:
        real = certificates.authority_key, certificates._authority_name
        certificates.authority_key = lambda _domain: real[0](DOMAIN)
        certificates._authority_name = lambda _domain: real[1](DOMAIN)
        try:
            return super().credential()
        finally:
            certificates.authority_key, certificates._authority_name = real


def test_the_public_authority_gives_no_trust(start: Start, node: RecordingNode) -> None:
    server = start(node)
    forger = Forger(TRAINER, ELSEWHERE)
    forger.require_peer = lambda *_: NODE.address  # type: ignore[method-assign]
    with NodeClient(server.endpoint, forger, NODE.address) as client, pytest.raises(BadSignature) as caught:
        client.status(timeout_s=10)
    assert caught.value.field == "certificate"
    assert node.calls == 0


def test_without_a_certificate_there_is_no_connection(start: Start, node: RecordingNode) -> None:
    server = start(node)
    pinned = SERVER.credential().server_certificate
    naked = grpc.secure_channel(
        server.endpoint, grpc.ssl_channel_credentials(pinned), [("grpc.ssl_target_name_override", "zkpfl")]
    )
    for channel in (naked, grpc.insecure_channel(server.endpoint)):
        with channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/zkpfl.v1.ZkNode/GetStatus")(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert node.calls == 0


def test_a_request_speaks_for_the_account_of_its_connection_only(
    start: Start, node: RecordingNode, signed: SignedMessage
) -> None:
    server = start(node)
    with NodeClient(server.endpoint, TransportIdentity(STRANGER, DOMAIN), NODE.address) as client:
        with pytest.raises(NotAuthorized):
            client.upload_share(signed, bytes(48), bytes(48), timeout_s=10)
        with pytest.raises(NotAuthorized):
            client.key_share(signed.message.context, TRAINER.address, 0, timeout_s=10)
        assert client.key_share(signed.message.context, STRANGER.address, 0, timeout_s=10)
    assert not node.shares


def test_both_sides_renew_their_certificates_without_a_failed_call(start: Start, node: RecordingNode) -> None:
    here, there = (TransportIdentity(key, DOMAIN, lifetime_s=2) for key in (TRAINER, NODE))
    server, seen = start(node, identity=there), set()
    with NodeClient(server.endpoint, here, NODE.address) as lasting:
        ends = time.monotonic() + 4.5
        while time.monotonic() < ends:
            assert lasting.status(timeout_s=5).block_number == 42
            with NodeClient(server.endpoint, here, NODE.address) as fresh:
                assert fresh.status(timeout_s=5).block_number == 42
            seen.add(there.credential().server_certificate)
            time.sleep(0.05)
    assert len(seen) >= 3


def test_a_credential_is_renewed_at_half_of_its_life() -> None:
    now = [1_800_000_000.0]
    identity = TransportIdentity(NODE, DOMAIN, lifetime_s=1000, clock=lambda: now[0])
    first = identity.credential()
    now[0] += 499
    assert identity.credential() is first
    now[0] += 2
    assert identity.credential().private_key != first.private_key
    for lifetime_s in (1, 8 * 86400):
        with pytest.raises(InvalidParameter, match="lifetime_s"):
            TransportIdentity(NODE, DOMAIN, lifetime_s=lifetime_s)


def test_connections_are_of_tls_1_3(start: Start, node: RecordingNode) -> None:
    server = start(node)
    host, port = server.endpoint.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as secured:
        assert secured.version() == "TLSv1.3"


def test_a_peer_that_never_ends_its_handshake_holds_nobody(start: Start, node: RecordingNode) -> None:
    server = start(node)
    host, port = server.endpoint.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port))) for _ in range(30)]
    with connect(server.endpoint) as client:
        assert client.status(timeout_s=10).block_number == 42
    for one in silent:
        one.close()


def test_a_host_that_never_answers_a_handshake_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"127.0.0.1:{mute.getsockname()[1]}"
        began = time.monotonic()
        with connect(endpoint) as client, pytest.raises(ZkpflError, match="zk-node"):
            client.status(timeout_s=0.5)
    assert time.monotonic() - began < 5


def test_a_host_that_lets_its_handshake_drip_is_left_in_time() -> None:
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        with suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # a long message of a handshake begins
                while not ended.wait(0.05):
                    peer.sendall(b"\0")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        began = time.monotonic()
        with connect(f"127.0.0.1:{listener.getsockname()[1]}") as client, pytest.raises(ZkpflError):
            client.status(timeout_s=0.7)
        ended.set()
        thread.join()
    assert time.monotonic() - began < 5


def test_trainers_listen_to_nobody() -> None:
    code = "import sys, zkpfl.roles.trainer; print('zkpfl.rpc.server' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
