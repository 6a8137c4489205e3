"""What goes out comes back the same; what was never sent by this code is refused or decoded, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.crypto.transcript import Context
from zkpfl.errors import InvalidEncoding, InvalidParameter
from zkpfl.protocol.messages import MessageKind, ShareMessage, SignedMessage
from zkpfl.rpc import convert
from zkpfl.rpc._pb import zk_node_pb2 as pb
from zkpfl.rpc.handler import Attestation, NodeStatus, UploadLimits

u64 = st.integers(0, (1 << 64) - 1)
fixed = {size: st.binary(min_size=size, max_size=size) for size in (20, 32, 48, 65)}
contexts = st.builds(Context, u64, fixed[20], u64, st.integers(0, (1 << 32) - 1))
shares = st.builds(ShareMessage, contexts, fixed[20], st.integers(1, 10), fixed[32], fixed[32], fixed[32])
headers = st.builds(
    convert.UploadHeader,
    st.builds(SignedMessage, shares, st.just(MessageKind.SHARE), fixed[65]),
    st.integers(1, (1 << 64) - 1),
    st.integers(1, (1 << 64) - 1),
)
receipts = st.builds(SignedMessage, shares, st.just(MessageKind.RECEIPT), fixed[65])
attestations = st.builds(Attestation, st.integers(1, 10), fixed[32], fixed[48])
statuses = st.builds(NodeStatus, fixed[20], st.just("1.2.3"), st.lists(u64, max_size=5).map(tuple), u64)


def over_the_wire(message):
    return convert.parse(type(message), message.SerializeToString())


@given(contexts)
def test_context(context):
    assert convert.context_from_pb(over_the_wire(convert.context_to_pb(context))) == context


@given(headers)
def test_header(header):
    assert convert.header_from_pb(over_the_wire(convert.header_to_pb(header))) == header


@given(receipts)
def test_receipt(receipt):
    assert convert.receipt_from_pb(over_the_wire(convert.receipt_to_pb(receipt))) == receipt


@given(attestations)
def test_attestation(attestation):
    assert convert.attestation_from_pb(over_the_wire(convert.attestation_to_pb(attestation))) == attestation


@given(statuses)
def test_status(status):
    assert convert.status_from_pb(over_the_wire(convert.status_to_pb(status))) == status


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data):
    for message_type, decode in (
        (pb.UploadShareRequest, convert.header_from_pb),
        (pb.UploadShareResponse, convert.receipt_from_pb),
        (pb.GetAttestationResponse, convert.attestation_from_pb),
        (pb.GetStatusResponse, convert.status_from_pb),
        (pb.FetchContentRequest, convert.content_id_from_pb),
        (pb.FetchContentResponse, convert.content_chunk_from_pb),
    ):
        try:
            decode(convert.parse(message_type, data))
        except InvalidEncoding as error:
            assert error.field


@given(headers, st.data())
def test_a_header_with_a_changed_byte_never_passes_as_the_same(header, data):
    wire = bytearray(convert.header_to_pb(header).SerializeToString())
    position = data.draw(st.integers(0, len(wire) - 1))
    wire[position] ^= data.draw(st.integers(1, 255))
    try:
        decoded = convert.header_from_pb(convert.parse(pb.UploadShareRequest, bytes(wire)))
    except InvalidEncoding:
        return
    assert decoded != header


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Attestation(0, bytes(32), bytes(48)), "node"),
        (lambda: Attestation(11, bytes(32), bytes(48)), "node"),
        (lambda: Attestation(1, bytes(33), bytes(48)), "digest"),
        (lambda: Attestation(1, bytes(32), bytes(47)), "signature"),
        (lambda: NodeStatus(bytes(21), "1", (), 0), "address"),
        (lambda: NodeStatus(bytes(20), "", (), 0), "version"),
        (lambda: NodeStatus(bytes(20), "1", (-1,), 0), "jobs"),
        (lambda: NodeStatus(bytes(20), "1", (), 1 << 64), "block_number"),
        (lambda: UploadLimits(0, 1), "max_commitments_bytes"),
        (lambda: UploadLimits(1, 0), "max_blob_bytes"),
    ],
)
def test_values_are_checked_when_made(make, field):
    with pytest.raises(InvalidParameter) as raised:
        make()
    assert raised.value.field == field
