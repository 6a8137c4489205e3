"""Every class of error crosses the wire as itself, and nothing but its public face does."""

import logging

import grpc
import pytest
from tests.rpc.doubles import CONTEXT, code_of, connect, raw_call

from zkpfl import errors as zkpfl_errors
from zkpfl.errors import DeadlineExceeded, Unavailable, ZkpflError
from zkpfl.rpc import errors

INSIDE = "open /srv/keys/node.json"


def every_class(root=ZkpflError):
    return [root, *(found for child in root.__subclasses__() for found in every_class(child))]


CLASSES = [found for found in every_class() if found.__module__ == zkpfl_errors.__name__]


def test_the_table_has_every_class_and_every_code_once():
    assert set(errors.PUBLIC) == set(CLASSES)
    assert len({error_type.code for error_type in CLASSES}) == len(CLASSES)
    assert all(public.status is not grpc.StatusCode.OK for public in errors.PUBLIC.values())


@pytest.mark.parametrize("error_type", CLASSES, ids=lambda found: found.__name__)
def test_an_error_arrives_as_the_class_that_was_raised(client, node, error_type):
    node.error = error_type(INSIDE, party="trainer 4 — Zürich", field="share.rows", hint=INSIDE)
    with pytest.raises(ZkpflError) as raised:
        client.attestation(CONTEXT, timeout_s=0.5)
    arrived = raised.value
    assert type(arrived) is error_type
    assert (arrived.party, arrived.field) == ("trainer 4 — Zürich", "share.rows")
    assert arrived.message == errors.PUBLIC[error_type].text
    assert INSIDE not in str(arrived)
    assert "zk-node 2" in str(arrived)


@pytest.mark.parametrize("error_type", [ZkpflError, Unavailable, DeadlineExceeded])
def test_failures_of_the_node_itself_name_the_node(client, node, error_type):
    node.error = error_type(INSIDE)
    with pytest.raises(error_type) as raised:
        client.status(timeout_s=0.3)
    assert raised.value.party == "zk-node 2"


def test_internal_text_never_crosses_the_wire(server, node, caplog):
    node.error = KeyError(INSIDE)
    with caplog.at_level(logging.CRITICAL):
        error = raw_call(server.endpoint, "GetStatus", b"")
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    assert INSIDE not in repr(error)
    assert code_of(error) == "internal"


def test_an_unexpected_exception_is_an_internal_error(client, node):
    node.error = RuntimeError(INSIDE)
    with pytest.raises(ZkpflError, match="internal error") as raised:
        client.status(timeout_s=5)
    assert type(raised.value) is ZkpflError


def test_an_error_in_mid_stream_arrives(client, node):
    def fails():
        yield b"1"
        raise zkpfl_errors.CorruptContent("block 7")

    node.contents["bafy1"] = fails()
    with pytest.raises(zkpfl_errors.CorruptContent):
        client.fetch("bafy1", max_size_bytes=10, timeout_s=5)


def test_a_class_outside_the_table_travels_as_its_nearest_ancestor():
    class Stale(zkpfl_errors.LedgerError):
        code = "stale"

    status, text, trailers = errors.to_status(Stale("x"))
    assert (status, text) == errors.PUBLIC[zkpfl_errors.LedgerError]
    assert dict(trailers)["zkpfl-code"] == "ledger"


class Refusal:
    """A failed call with these trailers."""

    def __init__(self, status=grpc.StatusCode.INTERNAL, **trailers):
        self._status = status
        self._trailers = tuple((key.replace("_", "-"), value) for key, value in trailers.items())

    def code(self):
        return self._status

    def trailing_metadata(self):
        return self._trailers


@pytest.mark.parametrize("party", [b"\xff\xfe", b"a\nb", b"\x1b[31m", b""])
def test_a_party_that_is_not_printable_text_is_dropped(party):
    error = errors.from_call(Refusal(zkpfl_code="bad_share", zkpfl_party_bin=party), "zk-node 2", "h:1")
    assert isinstance(error, zkpfl_errors.BadShare)
    assert error.party is None


def test_a_long_field_is_cut():
    error = errors.from_call(
        Refusal(zkpfl_code="bad_share", zkpfl_field_bin=b"f" * 10_000), "zk-node 2", "h:1"
    )
    assert len(error.field) == errors.MAX_TRAILER_CHARACTERS


def test_a_code_that_nobody_knows_is_a_plain_failure():
    error = errors.from_call(Refusal(zkpfl_code="made_up"), "zk-node 2", "h:1")
    assert type(error) is ZkpflError
    assert error.party == "zk-node 2"


@pytest.mark.parametrize("status", [status for status in grpc.StatusCode if status is not grpc.StatusCode.OK])
def test_every_status_of_grpc_becomes_an_error_that_names_the_node(status):
    error = errors.from_call(Refusal(status), "zk-node 2", "h:1")
    assert isinstance(error, ZkpflError)
    assert error.party == "zk-node 2"
    assert "h:1" in str(error)


def test_only_absence_is_temporary(server):
    expected = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    found = {
        status
        for status in grpc.StatusCode
        if errors.is_temporary(Refusal(status), errors.from_call(Refusal(status), "zk-node 2", "h:1"))
    }
    assert found == expected
    too_large = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, zkpfl_code="content_too_large")
    assert not errors.is_temporary(too_large, errors.from_call(too_large, "zk-node 2", "h:1"))


def test_a_refusal_is_not_repeated(start, node):
    calls = []
    node.error = zkpfl_errors.WrongPhase("x")
    fail = node._fail
    node._fail = lambda: (calls.append(1), fail())
    with connect(start(node).endpoint) as client, pytest.raises(zkpfl_errors.WrongPhase):
        client.status(timeout_s=5)
    assert len(calls) == 1
