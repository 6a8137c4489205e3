"""What share of a job's time its proofs take: ``python -m benchmarks.job_share``.

Runs ``zkpfl demo`` as anybody would, every party a process of its own, with the calls of the proofs timed in
each of them (`benchmarks/instrument`), and compares the sum of all calls with the wall time of the rounds and
of the job. Calls of different parties overlap, so proofs cannot have made the job longer than by that sum.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

INSTRUMENT = Path(__file__).with_name("instrument")


def run(arguments: list[str]) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Run a demo; returns its report, and seconds of each call by name of the function."""
    with TemporaryDirectory() as folder:
        times, data = Path(folder, "times"), Path(folder, "demo")
        times.mkdir()
        path = os.pathsep.join([str(INSTRUMENT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "ZKPFL_TIMES": str(times)}
        command = [sys.executable, "-m", "zkpfl", "demo", "--json", "--data-dir", str(data), *arguments]
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, env=environment
        )
        found: dict[str, list[float]] = defaultdict(list)
        for file in times.iterdir():
            for line in file.read_text().splitlines():
                name, seconds = line.split()
                found[name].append(float(seconds))
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report, dict(found)


def main() -> None:
    """Command line; what it does not know goes to the demo."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.job_share", description=__doc__)
    _, arguments = parser.parse_known_args()
    report, found = run(arguments)
    for name, seconds in sorted(found.items()):
        print(f"{name:<28}{len(seconds):>4} calls{sum(seconds):>8.3f} s, the longest {max(seconds):.3f} s")
    total, rounds = sum(map(sum, found.values())), report["stages"]["rounds"]
    print(f"all proofs {total:.2f} s: {total / rounds:.1%} of {rounds:.1f} s of rounds, ", end="")
    print(f"{total / report['wall_s']:.1%} of {report['wall_s']:.1f} s of job")


if __name__ == "__main__":
    main()
