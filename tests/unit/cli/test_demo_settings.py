"""What a demo may be asked for."""

from pathlib import Path

import pytest

from zkpfl.cli.demo.baseline import _records
from zkpfl.cli.demo.settings import Attack, DemoData, DemoSettings, Partition
from zkpfl.cli.sources import data_source
from zkpfl.errors import InvalidParameter
from zkpfl.learning.digits import digits_recipe


def settings(folder: Path, data: DemoData, partition: Partition) -> DemoSettings:
    return DemoSettings(data, 3, 0, None, None, 3, 2, folder, partition, 0.25)


@pytest.mark.parametrize("partition", Partition)
def test_trainers_hold_what_the_baseline_trains_on(tmp_path: Path, partition: Partition) -> None:
    demo = settings(tmp_path, DemoData.DIGITS, partition)
    for number, plain in enumerate(_records(demo)):
        own = data_source(demo.source(number), demo.seed).load(digits_recipe())
        assert own.features.tobytes() == plain.features.tobytes()


def test_hospitals_are_not_spread(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="digits only"):
        settings(tmp_path, DemoData.HEART, Partition.DIRICHLET)


def test_an_attack_needs_a_quorum_of_others(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="quorum without the attacker") as caught:
        DemoSettings(DemoData.HEART, 2, 0, None, None, 3, 2, tmp_path, attack=Attack.BOOST)
    assert caught.value.field == "trainers"
