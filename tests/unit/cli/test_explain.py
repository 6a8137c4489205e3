"""``zkpfl explain`` shows each term, of everybody or of one account, and says if the contract differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.cheats import SHORT, RealRound
from tests.ledger.conftest import CHAIN_ID
from tests.ledger.world import FEE, World, node_url

from zkpfl.cli.addresses import format_address
from zkpfl.cli.app import run
from zkpfl.ledger.events import Rewarded
from zkpfl.ledger.judge import Judge
from zkpfl.ledger.reader import LedgerReader
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import LocalPlace


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with node_url("embedded", tmp_path_factory) as url:
        made = World(url)
        yield made
        made.close()


@pytest.fixture(scope="module")
def job(world: World) -> int:
    """A scored round, in which a node was slashed and another convicted; then the job fails."""
    real = RealRound(world, SHORT)
    real.submit()
    world.aggregate(real.job, [1, 2])
    world.pass_deadline(real.job)
    world.attest(real.job)
    one, two = real.attestation(2, 7, b"a" * 32), real.attestation(2, 6, b"a" * 32)
    Judge(world.party()).prove_equivocation(real.job, 1, 2, one, two)
    world.score(real.job, dict.fromkeys(range(3), 800_000))
    while not world.state(real.job).status.ended:
        world.pass_deadline(real.job)
    return real.job


@pytest.fixture
def network(world: World, tmp_path: Path) -> str:
    path = tmp_path / "network.json"
    Network(world.url, CHAIN_ID, world.admin.contract, LocalPlace(tmp_path)).save(path)
    return str(path)


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run(["explain", *arguments, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_every_term_is_there(
    world: World, job: int, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = explained(capsys, str(job), "--network", network)
    assert result["agrees"] is True
    assert result["fee"] == str(FEE // 10**18)
    first = result["rounds"][0]
    assert (first["accuracy_ppm"], first["lower_bound_ppm"]) == (800_000, 800_000)
    assert [len(r["rewards"]) for r in result["rounds"][:2]] == [5, 0]
    assert [slash["account"] for slash in first["slashes"]] == [format_address(world.nodes[2].account)]
    (conviction,) = result["convictions"]
    assert conviction["offence"] == "equivocation"
    convicted = next(r for r in first["rewards"] if r["account"] == conviction["account"])
    assert (convicted["convicted"], convicted["amount"]) == (True, "0")
    assert result["rounds"][1]["failure"] == "too_few_submissions"


def test_one_account_alone(world: World, job: int, network: str, capsys: pytest.CaptureFixture[str]) -> None:
    address = format_address(world.trainers[1].account)
    result = explained(capsys, str(job), "--network", network, "--trainer", address)
    assert [[r["account"] for r in round_["rewards"]] for round_ in result["rounds"][:2]] == [[address], []]
    assert list(result["owed"]) == [address]
    assert result["convictions"] == []


def test_people_get_lines(job: int, network: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(job), "--network", network]) == 0
    text = capsys.readouterr().out
    for words in ("improvement", "surely above", "equal parts", "convicted of equivocation", "just that"):
        assert words in text


def test_what_the_contract_paid_otherwise_is_shown(
    job: int, network: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = LedgerReader.events

    def altered(self: LedgerReader, number: int) -> list[Any]:
        found = honest(self, number)
        return [replace(e, amount=e.amount + 1) if isinstance(e, Rewarded) else e for e in found]

    monkeypatch.setattr(LedgerReader, "events", altered)
    assert run(["explain", str(job), "--network", network]) == 1
    assert "reward of" in capsys.readouterr().out
