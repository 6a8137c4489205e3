"""Each file has a tuple FIGURES and a test with the arguments `benchmark` and `figure`."""

from __future__ import annotations

from operator import attrgetter

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "figure" in metafunc.fixturenames:
        metafunc.parametrize("figure", metafunc.module.FIGURES, ids=attrgetter("name"))
