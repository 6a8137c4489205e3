"""Run one fuzz target with atheris: ``python -m tests.fuzz TARGET [options of libFuzzer] [folders]``."""

from __future__ import annotations

import sys
from functools import partial
from importlib.machinery import ModuleSpec
from typing import Any

import atheris


class PlainLoaders:
    """Finds modules of the package without the loaders that an editable install wraps around them.

    Atheris changes the code that a loader gives, and does not see through those.
    """

    def __init__(self) -> None:
        self._finders: list[Any] = list(sys.meta_path)

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        for finder in self._finders if name.partition(".")[0] == "zkpfl" else ():
            if spec := finder.find_spec(name, path, target):
                spec.loader = getattr(spec.loader, "_skbuild_loader", spec.loader)
                return spec
        return None


sys.meta_path.insert(0, PlainLoaders())  # type: ignore[arg-type]
with atheris.instrument_imports(include=["zkpfl"]):
    from tests.fuzz.targets import fuzz_one


def main(name: str, *options: str) -> None:
    # The name of the program is what merging runs again, in a shell.
    atheris.Setup([f"{sys.executable} -m tests.fuzz {name}", *options], partial(fuzz_one, name))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
