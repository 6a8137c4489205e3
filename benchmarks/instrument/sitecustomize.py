"""Times the proofs of every process that finds this on its path: see `benchmarks.job_share`.

Python imports it by its name when it starts. Each process writes a file, each call a line.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(os.environ["ZKPFL_TIMES"])
TIMED = {
    "zkpfl.crypto.proofs.norm": ("prove", "verify_batch"),
    "zkpfl.crypto.proofs.contribution": ("prove", "verify_batch"),
}


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, writing down how long each call takes."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            with (FOLDER / str(os.getpid())).open("a") as file:
                file.write(f"{name} {time.perf_counter() - begin}\n")

    return call


class TimingFinder(importlib.abc.MetaPathFinder):
    """Lets the modules be found as ever, and wraps their functions once they have been loaded."""

    # What it is called with besides says where to look, which it leaves to those who find as ever.
    def find_spec(
        self,
        fullname: str,
        path: Any,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in TIMED:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            for function in TIMED[fullname]:
                name = f"{fullname.rsplit('.', 1)[1]}.{function}"
                setattr(module, function, timed(name, getattr(module, function)))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, TimingFinder())
