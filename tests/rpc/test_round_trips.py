"""Every call, over a real socket, with the answer checked byte by byte."""

import os

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.rpc.doubles import CONTEXT, LIMITS, NODE, SERVER, TRAINER, channel_to, connect

from zkpfl.errors import ContentTooLarge, InvalidEncoding, InvalidParameter, NotFound, Unavailable
from zkpfl.protocol.messages import MessageKind
from zkpfl.rpc.convert import CHUNK_BYTES
from zkpfl.rpc.server import serve


@pytest.mark.parametrize("blob_size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 20 << 20])
def test_upload_delivers_the_bytes_and_returns_the_receipt(client, node, signed, blob_size):
    commitments, blob = os.urandom(48 * 100), os.urandom(blob_size)
    receipt = client.upload_share(signed, commitments, blob, timeout_s=60)
    assert node.shares == [(signed, commitments, blob)]
    assert (receipt.message, receipt.kind) == (signed.message, MessageKind.RECEIPT)
    receipt.require_signer(NODE.address, "zk-node 2")


def test_progress_counts_every_byte_once(client, signed):
    seen = []
    client.upload_share(signed, bytes(48), bytes(3 * CHUNK_BYTES), timeout_s=30, progress=seen.append)
    assert seen == [0, 48, 48 + CHUNK_BYTES, 48 + 2 * CHUNK_BYTES, 48 + 3 * CHUNK_BYTES]


def test_one_client_serves_many_threads(client, node, signed, run_in_threads):
    run_in_threads(4, lambda: client.upload_share(signed, bytes(48), bytes(CHUNK_BYTES), timeout_s=30))
    assert len(node.shares) == 4


def test_attestation(client):
    attestation = client.attestation(CONTEXT, timeout_s=10)
    assert (attestation.node, attestation.digest) == (2, CONTEXT.to_bytes()[:32])
    assert len(attestation.signature) == 48


@pytest.mark.parametrize("number", [0, 1, 255])
def test_key_share(client, number):
    account = TRAINER.address
    sealed = client.key_share(CONTEXT, account, number, timeout_s=10)
    assert sealed == b"sealed" + CONTEXT.to_bytes() + account + bytes([number])


@pytest.mark.parametrize("sealed", [b"", bytes(1025)])
def test_key_share_of_another_size_is_a_fault_of_the_node(client, node, sealed):
    node.key_share = lambda *_: sealed
    with pytest.raises(InvalidEncoding, match="sealed") as caught:
        client.key_share(CONTEXT, TRAINER.address, 0, timeout_s=10)
    assert caught.value.party == client.party


@pytest.mark.parametrize("account", [b"", bytes(19), bytes(21)])
def test_key_share_is_for_an_account(client, account):
    with pytest.raises(InvalidEncoding, match="account"):
        client.key_share(CONTEXT, account, 0, timeout_s=10)


def test_status(client):
    status = client.status(timeout_s=10)
    assert (status.address, status.version) == (NODE.address, "0.1.0")
    assert (status.jobs, status.block_number) == ((7, 9), 42)


@pytest.mark.parametrize("sizes", [[], [1], [5, 0, CHUNK_BYTES + 7], [20 << 20]])
def test_fetch_joins_pieces_of_any_size(client, node, sizes):
    pieces = [os.urandom(size) for size in sizes]
    node.contents["bafy1"] = pieces
    content = b"".join(pieces)
    assert client.fetch("bafy1", max_size_bytes=max(1, len(content)), timeout_s=60) == content


def test_fetch_stops_at_the_limit_of_the_reader(client, node):
    def endless():
        while True:
            yield bytes(CHUNK_BYTES)

    node.contents["bafy1"] = endless()
    with pytest.raises(ContentTooLarge, match="zk-node 2"):
        client.fetch("bafy1", max_size_bytes=CHUNK_BYTES * 3 - 1, timeout_s=30)


def test_fetch_of_content_that_is_not_held(client):
    with pytest.raises(NotFound, match="zk-node 2") as raised:
        client.fetch("bafy2", max_size_bytes=1, timeout_s=10)
    assert raised.value.field == "content_id"


@pytest.mark.parametrize("content_id", ["", "../etc/passwd", "ä", "b" * 129])
def test_fetch_refuses_what_cannot_be_a_content_id(client, content_id):
    with pytest.raises(InvalidEncoding) as raised:
        client.fetch(content_id, max_size_bytes=1, timeout_s=10)
    assert raised.value.field == "content_id"


def test_health_answers(server):
    with channel_to(server.endpoint) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "zkpfl.v1.ZkNode"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_service(server):
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="zkpfl.v1.ZkNode"),
    ]
    with channel_to(server.endpoint) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, described = stub.ServerReflectionInfo(iter(requests), timeout=10)
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {"zkpfl.v1.ZkNode", "grpc.health.v1.Health"}
    file = FileDescriptorProto.FromString(described.file_descriptor_response.file_descriptor_proto[0])
    assert file.name == "zkpfl/v1/zk_node.proto"


def test_server_listens_on_loopback_by_default(server):
    assert server.endpoint.startswith("127.0.0.1:")


def test_a_port_in_use_is_refused(server, node):
    port = int(server.endpoint.rpartition(":")[2])
    with pytest.raises(InvalidParameter) as raised:
        serve(node, port=port, identity=SERVER, limits=LIMITS)
    assert raised.value.field == "port"


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("host", {"host": ""}),
        ("port", {"port": 65536}),
        ("port", {"host": "203.0.113.1"}),
        ("limits", {"limits": None}),
        ("max_streams", {"max_streams": 0}),
        ("idle_timeout_s", {"idle_timeout_s": 0}),
        ("idle_timeout_s", {"idle_timeout_s": float("inf")}),
    ],
)
def test_settings_out_of_range_are_refused(start, node, field, options):
    with pytest.raises(InvalidParameter) as raised:
        start(node, **options)
    assert raised.value.field == field


@pytest.mark.parametrize(
    "endpoint",
    ["", "localhost", "unix:/tmp/s", "dns:///h:1", "h:0", "h:65536", "h:1/x", "http://h:1", "h h:1"],
)
def test_an_endpoint_must_be_host_and_port(endpoint):
    with pytest.raises(InvalidParameter) as raised:
        connect(endpoint)
    assert raised.value.field == "endpoint"


def test_a_call_must_be_one_that_can_succeed(client, signed):
    for call, field in [
        (lambda: client.upload_share(signed, b"", b"1", timeout_s=1), "commitments"),
        (lambda: client.upload_share(signed, b"1", b"", timeout_s=1), "blob"),
        (lambda: client.fetch("b", max_size_bytes=0, timeout_s=1), "max_size_bytes"),
        (lambda: client.status(timeout_s=0), "timeout_s"),
        (lambda: client.status(timeout_s=float("inf")), "timeout_s"),
        (lambda: client.status(timeout_s=float("nan")), "timeout_s"),
    ]:
        with pytest.raises(InvalidParameter) as raised:
            call()
        assert raised.value.field == field
    receipt = signed.message.sign(MessageKind.RECEIPT, NODE)
    with pytest.raises(InvalidParameter):
        client.upload_share(receipt, b"1", b"1", timeout_s=1)


def test_a_closed_client_refuses(client):
    client.close()
    client.close()
    with pytest.raises(Unavailable, match="closed"):
        client.status(timeout_s=5)
