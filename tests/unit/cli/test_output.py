"""JSON lines are JSON and nothing else; text is text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.cli.output import Output, describe
from zkpfl.roles.events import RoleEvent

EVENT = RoleEvent("share_received", 3, 7, {"trainer": "0x" + "ab" * 20, "bytes": 12, "text": "[bold]x\n"})


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(True)
    output(EVENT)
    output.text("for people")
    output.result({"done": True, "accuracy": None}, lambda console: console.print("for people"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [EVENT.to_dict(), {"done": True, "accuracy": None}]


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(False)
    output(EVENT)
    output.result({"path": "[red]"})
    text = capsys.readouterr().out
    assert "share received" in text
    assert "0xabab…abab" in text
    assert "[bold]x" in text, "what others wrote is never markup"
    assert "path: [red]" in text


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans(), st.none())))
def test_any_event_can_be_described(fields: dict[str, object]) -> None:
    assert "fault" in describe({**fields, "event": "fault", "job": 1, "round": None})
