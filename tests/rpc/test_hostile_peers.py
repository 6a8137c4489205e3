"""Trainers that break the format of an upload, nodes that break that of an answer: refused and typed."""

import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from tests.rpc.doubles import (
    CONTEXT,
    LIMITS,
    NODE,
    SERVER,
    SERVICE,
    TRAINER,
    channel_to,
    code_of,
    connect,
    raw_call,
    raw_upload,
    trailers_of,
)

from zkpfl.errors import (
    BadSignature,
    ContentTooLarge,
    DeadlineExceeded,
    InvalidEncoding,
    NotDelivered,
    Unavailable,
    WrongContext,
)
from zkpfl.protocol.messages import MessageKind
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.convert import CHUNK_BYTES, UploadHeader, header_to_pb, receipt_to_pb
from zkpfl.rpc.handler import UploadLimits
from zkpfl.rpc.server import server_credentials

TRAINER_NAME = f"trainer 0x{TRAINER.address.hex()}".encode()


def chunk(size):
    return pb.UploadShareRequest(chunk=bytes(size)).SerializeToString()


def header(signed, commitments_size=48, blob_size=48):
    return header_to_pb(UploadHeader(signed, commitments_size, blob_size)).SerializeToString()


def changed_header(signed, change):
    request = header_to_pb(UploadHeader(signed, 48, 48))
    change(request.header)
    return request.SerializeToString()


@pytest.mark.parametrize(
    ("sizes", "field"),
    [([], "commitments"), ([48], "blob"), ([48, CHUNK_BYTES], "blob")],
    ids=["nothing", "no blob", "half a blob"],
)
def test_a_truncated_stream_is_not_delivered(server, node, signed, sizes, field):
    error = raw_upload(server.endpoint, [header(signed, 48, CHUNK_BYTES + 1), *map(chunk, sizes)])
    assert trailers_of(error) == {
        "zkpfl-code": NotDelivered.code,
        "zkpfl-party-bin": TRAINER_NAME,
        "zkpfl-field-bin": field.encode(),
    }
    assert not node.shares


@pytest.mark.parametrize(
    "sizes",
    [[48, 48, 1], [48, 49], [47, 49], [96], [0, 48, 48], [24, 24, 48]],
    ids=["left over", "long", "short", "joined", "empty", "trickled"],
)
def test_chunks_of_the_wrong_length_are_refused(server, node, signed, sizes):
    error = raw_upload(server.endpoint, [header(signed), *map(chunk, sizes)])
    assert code_of(error) == InvalidEncoding.code
    assert trailers_of(error)["zkpfl-party-bin"] == TRAINER_NAME
    assert not node.shares


def test_an_empty_upload_is_not_delivered(server):
    assert code_of(raw_upload(server.endpoint, [])) == NotDelivered.code


def test_an_upload_begins_with_its_header(server, signed):
    error = raw_upload(server.endpoint, [chunk(48), header(signed)])
    assert code_of(error) == InvalidEncoding.code


def test_a_second_header_is_refused(server, node, signed):
    error = raw_upload(server.endpoint, [header(signed), header(signed), chunk(48)])
    assert code_of(error) == InvalidEncoding.code
    assert not node.shares


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 20, b"\x0a\xff", b"\x0a\x02\x0a\x05"], ids=["tags", "length", "nested"]
)
def test_bytes_that_are_no_message_are_refused(server, garbage):
    for error in (
        raw_upload(server.endpoint, [garbage]),
        raw_call(server.endpoint, "GetAttestation", garbage),
    ):
        assert code_of(error) in (InvalidEncoding.code, NotDelivered.code)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("signature", lambda h: setattr(h, "signature", bytes(64))),
        ("commitments_size_bytes", lambda h: setattr(h, "commitments_size_bytes", 0)),
        ("blob_size_bytes", lambda h: setattr(h, "blob_size_bytes", 0)),
        ("message.trainer", lambda h: setattr(h.message, "trainer", bytes(21))),
        ("message.node", lambda h: setattr(h.message, "node", 0)),
        ("message.node", lambda h: setattr(h.message, "node", 11)),
        ("message.commitment_root", lambda h: setattr(h.message, "commitment_root", bytes(31))),
        ("message.share_root", lambda h: setattr(h.message, "share_root", b"")),
        ("message.blob_hash", lambda h: setattr(h.message, "blob_hash", bytes(33))),
        ("message.context.contract", lambda h: setattr(h.message.context, "contract", bytes(19))),
        ("message.context.contract", lambda h: h.message.ClearField("context")),
        ("message.context.contract", lambda h: h.ClearField("message")),
    ],
)
def test_every_field_of_the_header_is_checked(server, node, signed, field, change):
    error = raw_upload(server.endpoint, [changed_header(signed, change), chunk(48), chunk(48)])
    assert code_of(error) == InvalidEncoding.code
    assert trailers_of(error)["zkpfl-field-bin"] == field.encode()
    assert not node.shares


@pytest.mark.parametrize(
    ("field", "sizes"),
    [
        ("commitments_size_bytes", (LIMITS.max_commitments_bytes + 1, 1)),
        ("blob_size_bytes", (1, LIMITS.max_blob_bytes + 1)),
        ("blob_size_bytes", (1, (1 << 64) - 1)),
    ],
)
def test_what_is_too_large_is_refused_by_its_header(server, signed, field, sizes):
    """Answered although no chunk ever comes: the peer waits for the answer before it sends one."""
    answered = threading.Event()

    def only_a_header():
        yield header(signed, *sizes)
        answered.wait(20)

    try:
        error = raw_upload(server.endpoint, only_a_header())
    finally:
        answered.set()
    assert code_of(error) == InvalidEncoding.code
    assert trailers_of(error)["zkpfl-field-bin"] == field.encode()


def test_limits_may_depend_on_the_signed_header(start, node, signed):
    def admit(message):
        message.require_signer(NODE.address, "trainer 1")
        return LIMITS

    server = start(node, limits=admit)
    with connect(server.endpoint) as client, pytest.raises(BadSignature) as raised:
        client.upload_share(signed, bytes(48), bytes(48), timeout_s=10)
    assert raised.value.party == "trainer 1"
    assert not node.shares


def test_admission_sets_the_limits(start, node, signed):
    server = start(node, limits=lambda message: UploadLimits(48, 10 * message.message.node))
    with connect(server.endpoint) as client:
        client.upload_share(signed, bytes(48), bytes(20), timeout_s=10)
        with pytest.raises(InvalidEncoding) as raised:
            client.upload_share(signed, bytes(48), bytes(21), timeout_s=10)
    assert raised.value.field == "blob_size_bytes"


def test_a_message_above_the_cap_is_refused(server, node, signed):
    error = raw_upload(server.endpoint, [header(signed, 48, 8 << 20), chunk(48), chunk(4 << 20)])
    assert isinstance(error, grpc.RpcError)
    assert not node.shares


def test_a_silent_upload_is_cancelled(start, node, signed):
    server = start(node, idle_timeout_s=0.2)
    cancelled = threading.Event()

    def silent():
        yield header(signed)
        cancelled.wait(20)

    try:
        error = raw_upload(server.endpoint, silent(), timeout_s=20)
    finally:
        cancelled.set()
    assert error.code() is grpc.StatusCode.CANCELLED


def test_a_reader_that_takes_nothing_is_cancelled(start, node):
    ended = threading.Event()

    def endless():
        try:
            while True:
                yield bytes(CHUNK_BYTES)
        finally:
            ended.set()

    node.contents["bafy1"] = endless()
    server = start(node, idle_timeout_s=0.2)
    request = pb.FetchContentRequest(content_id="bafy1").SerializeToString()
    with channel_to(server.endpoint) as channel:
        stream = channel.unary_stream(f"{SERVICE}/FetchContent")(request, timeout=60)
        next(stream)
        node.contents.clear()
        assert ended.wait(20)
        with pytest.raises(grpc.RpcError) as raised:
            for _ in stream:
                pass
    assert raised.value.code() is grpc.StatusCode.CANCELLED


def test_a_place_is_free_again_after_a_cancelled_stream(start, node, signed):
    server = start(node, idle_timeout_s=0.2, max_streams=1)
    error = raw_upload(server.endpoint, [header(signed)])
    assert code_of(error) == NotDelivered.code
    node.contents["bafy1"] = [bytes(20 << 20)]
    request = pb.FetchContentRequest(content_id="bafy1").SerializeToString()
    with channel_to(server.endpoint) as channel:
        unread = channel.unary_stream(f"{SERVICE}/FetchContent")(request, timeout=60)
        with connect(server.endpoint) as client:
            client.upload_share(signed, bytes(48), bytes(48), timeout_s=30)
        unread.cancel()
    assert len(node.shares) == 1


@pytest.mark.parametrize(
    "method", [f"{SERVICE}/GetStatus", f"{SERVICE}/FetchContent", "/grpc.health.v1.Health/Check"]
)
def test_a_call_without_its_request_does_not_hold_a_thread(start, node, method):
    server = start(node, idle_timeout_s=0.2)
    ended = threading.Event()

    def silent():
        ended.wait(20)
        yield from ()

    with channel_to(server.endpoint) as channel:
        call = channel.stream_stream(method)(silent(), timeout=20)
        with pytest.raises(grpc.RpcError) as raised:
            next(call)
        ended.set()
    assert raised.value.code() is grpc.StatusCode.CANCELLED


def test_a_call_that_ends_without_its_request_is_refused(server):
    with channel_to(server.endpoint) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.stream_unary(f"{SERVICE}/GetStatus")(iter(()), timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "method",
    ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"],
)
def test_garbage_for_health_and_reflection_is_refused(server, method):
    with channel_to(server.endpoint) as channel, pytest.raises(grpc.RpcError) as raised:
        next(channel.stream_stream(method)(iter([b"\xff"]), timeout=10))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_method_that_does_not_exist_is_refused(server):
    error = raw_call(server.endpoint, "Delete", b"")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@contextmanager
def answering(method, handler):
    """A false node: one method whose answers are these bytes."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_registered_method_handlers("zkpfl.v1.ZkNode", {method: handler})
    port = server.add_secure_port("127.0.0.1:0", server_credentials(SERVER))
    server.start()
    try:
        with connect(f"127.0.0.1:{port}", party="zk-node 3") as client:
            yield client
    finally:
        server.stop(0).wait()


def answer(data):
    return grpc.unary_unary_rpc_method_handler(lambda request, context: data)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff",
        b"",
        pb.GetAttestationResponse(node=0, digest=bytes(32), signature=bytes(48)).SerializeToString(),
        pb.GetAttestationResponse(node=1, digest=bytes(31), signature=bytes(48)).SerializeToString(),
        pb.GetAttestationResponse(node=1, digest=bytes(32), signature=bytes(96)).SerializeToString(),
    ],
)
def test_an_attestation_that_does_not_decode_names_the_node(data):
    with answering("GetAttestation", answer(data)) as client, pytest.raises(InvalidEncoding) as raised:
        client.attestation(CONTEXT, timeout_s=10)
    assert raised.value.party == "zk-node 3"


@pytest.mark.parametrize(
    "status",
    [
        pb.GetStatusResponse(address=bytes(19), version="1"),
        pb.GetStatusResponse(address=bytes(20), version=""),
        pb.GetStatusResponse(address=bytes(20), version="1\n"),
        pb.GetStatusResponse(address=bytes(20), version="1" * 65),
    ],
)
def test_a_status_that_does_not_decode_names_the_node(status):
    data = status.SerializeToString()
    with answering("GetStatus", answer(data)) as client, pytest.raises(InvalidEncoding) as raised:
        client.status(timeout_s=10)
    assert raised.value.party == "zk-node 3"


def upload_answer(data):
    return grpc.stream_unary_rpc_method_handler(lambda requests, context: [*requests] and data)


def test_a_receipt_for_another_share_is_refused(signed):
    other = type(signed.message)(CONTEXT, TRAINER.address, 1, bytes(32), bytes(32), bytes(32))
    data = receipt_to_pb(other.sign(MessageKind.RECEIPT, NODE)).SerializeToString()
    with answering("UploadShare", upload_answer(data)) as client, pytest.raises(WrongContext) as raised:
        client.upload_share(signed, bytes(48), bytes(48), timeout_s=10)
    assert raised.value.party == "zk-node 3"


def test_a_receipt_that_does_not_decode_is_refused(signed):
    with answering("UploadShare", upload_answer(b"\xff")) as client, pytest.raises(InvalidEncoding) as raised:
        client.upload_share(signed, bytes(48), bytes(48), timeout_s=10)
    assert raised.value.party == "zk-node 3"


def stream_answer(messages):
    return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(messages))


@pytest.mark.parametrize("message", [b"\xff", b"", pb.FetchContentResponse(chunk=b"").SerializeToString()])
def test_content_that_does_not_decode_names_the_node(message):
    handler = stream_answer([message])
    with answering("FetchContent", handler) as client, pytest.raises(InvalidEncoding) as raised:
        client.fetch("bafy1", max_size_bytes=10, timeout_s=10)
    assert raised.value.party == "zk-node 3"


def test_content_above_the_limit_is_refused(signed):
    chunks = [pb.FetchContentResponse(chunk=bytes(6)).SerializeToString()] * 2
    with answering("FetchContent", stream_answer(chunks)) as client, pytest.raises(ContentTooLarge):
        client.fetch("bafy1", max_size_bytes=11, timeout_s=10)


def test_a_server_without_the_service_is_unavailable():
    with answering("Other", answer(b"")) as client, pytest.raises(Unavailable, match="zk-node 3"):
        client.status(timeout_s=10)


def test_a_stream_that_never_ends_meets_the_deadline():
    block = threading.Event()

    def stalled(request, context):
        context.add_callback(block.set)
        yield pb.FetchContentResponse(chunk=b"1").SerializeToString()
        block.wait(20)

    handler = grpc.unary_stream_rpc_method_handler(stalled)
    with answering("FetchContent", handler) as client, pytest.raises(DeadlineExceeded, match="zk-node 3"):
        client.fetch("bafy1", max_size_bytes=10, timeout_s=0.3)
    assert block.wait(10)
