"""The command line as a person or a program meets it, without any process or socket."""

import json
from pathlib import Path

import pytest

from zkpfl import __version__
from zkpfl.cli import keys
from zkpfl.cli.app import run
from zkpfl.errors import BadShare, DeadlineExceeded, JobFailed, Unavailable, ZkpflError
from zkpfl.roles.identity import Identity

COMMANDS = [
    ["keys", "new"],
    ["ledger", "serve"],
    ["ledger", "deploy"],
    ["node", "serve"],
    ["trainer", "run"],
    ["job", "submit"],
    ["job", "follow"],
    ["job", "list"],
    ["job", "status"],
    ["job", "result"],
    ["verify"],
    ["demo"],
]


def last_line(text: str) -> dict[str, object]:
    value = json.loads(text.splitlines()[-1])
    assert isinstance(value, dict)
    return value


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_without_arguments_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    out = capsys.readouterr().out
    assert all(group in out for group in ("keys", "ledger", "node", "trainer", "job", "verify", "demo"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_json(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["job"],
        ["job", "status"],
        ["job", "status", "--network", "n", "zero"],
        ["job", "status", "--network", "n", "0"],
        ["demo", "--data", "faces"],
        ["demo", "--seed", "-1"],
        ["demo", "--unknown"],
        ["trainer", "run", "--device", "abacus"],
    ],
    ids=" ".join,
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage" in captured.err
    assert "--help" in captured.err


def test_usage_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["job", "status", "--json"]) == 4
    captured = capsys.readouterr()
    error = last_line(captured.out)["error"]
    assert isinstance(error, dict)
    assert error["code"] == "usage"
    assert error["hint"] == "zkpfl job status --help lists the options"
    assert captured.err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--trainers", "5"],
        ["demo", "--trainers", "1"],
        ["demo", "--data", "digits", "--trainers", "65"],
        ["demo", "--nodes", "2"],
        ["demo", "--nodes", "11"],
        ["demo", "--threshold", "1"],
        ["demo", "--nodes", "4", "--threshold", "3"],
        ["demo", "--target", "1.5"],
        ["demo", "--target", "high"],
        [
            "ledger",
            "deploy",
            "--url",
            "u",
            "--identity",
            "i",
            "--network",
            "n",
            "--store",
            "s",
            "--fund",
            "x",
        ],
        ["job", "list", "--network", "missing.json"],
        ["verify", "--data-dir", "missing"],
        ["node", "serve", "--network", "n", "--identity", "i", "--data-dir", "d", "--stake", "-5"],
        ["trainer", "run", "--network", "n", "--identity", "i", "--job", "1", "--data", "nothing"],
    ],
    ids=" ".join,
)
def test_bad_values(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*arguments, "--json"]) == 4
    error = last_line(capsys.readouterr().out)["error"]
    assert isinstance(error, dict)
    assert error["field"]
    assert list(tmp_path.iterdir()) == []


def test_a_demo_never_writes_into_a_used_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("data")
    assert run(["demo", "--data-dir", str(tmp_path)]) == 4
    assert "not an empty folder" in capsys.readouterr().err


def test_new_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.json"
    assert run(["keys", "new", str(path), "--node", "--json"]) == 0
    out = capsys.readouterr().out
    identity = Identity.load(path)
    assert last_line(out) == {"path": str(path), **identity.public()}
    assert len(out.splitlines()) == 1
    assert identity.bls is not None
    assert identity.bls.hex() not in out
    assert identity.account.to_bytes().hex() not in out
    assert run(["keys", "new", str(path)]) == 4


@pytest.mark.parametrize(
    ("error", "code"),
    [(JobFailed("lost"), 1), (Unavailable("away"), 2), (DeadlineExceeded("late"), 3), (BadShare("bad"), 5)],
)
def test_an_error_ends_the_process_with_its_code_and_hint(
    error: ZkpflError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error.party, error.hint = "zk-node 2", "look there"

    def fail(_as_json: bool) -> None:
        raise error

    monkeypatch.setattr(keys, "Output", fail)
    monkeypatch.setattr(Identity, "save", lambda _self, _path: None)
    assert run(["keys", "new", "unused"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"[{error.code}] zk-node 2: {error.message}" in captured.err
    assert "look there" in captured.err
    assert "Traceback" not in captured.err
    assert run(["--debug", "keys", "new", "unused", "--json"]) == code
    captured = capsys.readouterr()
    assert last_line(captured.out)["error"] == {
        "code": error.code,
        "message": error.message,
        "party": "zk-node 2",
        "hint": "look there",
    }
    assert "Traceback" in captured.err


def test_the_text_of_an_unforeseen_error_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_with_bls: bool) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(Identity, "generate", fail)
    assert run(["keys", "new", "unused"]) == 5
    captured = capsys.readouterr()
    assert "a secret" not in captured.out + captured.err
    assert "internal" in captured.err
