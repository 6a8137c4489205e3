"""Published figures of proofs that hidden updates keep to a norm bound: ``python -m benchmarks.published``.

Other machines, other security and other work than what is measured here, so that nothing is computed from
these figures, and the report has them in a section of their own. `Published.read` says in which text a
figure was found; "not found" means that none was found that could be read, not that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

NOT_FOUND = "not found"


@dataclass(frozen=True)
class Published:
    """One figure.

    Parameters
    ----------
    system
        As its authors call it.
    counted
        What takes so long or is so large.
    value
        With its unit, or `NOT_FOUND`.
    parameters
        Of the model; None where it is not said.
    bound
        Whether what is proved is exactly the bound.
    hardware
        As far as it is named.
    source
        Paper, and table or figure.
    read
        The text in which the figure was found.
    address
        Of that text.
    """

    system: str
    counted: str
    value: str
    parameters: int | None
    bound: str
    hardware: str
    source: str
    read: str
    address: str = ""


_RISEFL = Published(
    system="RiseFL",
    counted="a client in total, k = 1000",
    value="79.3 s",
    parameters=1_000_000,
    bound="approximate: random projections",
    hardware="Intel i7-8550U, 16 GB",
    source="Zhu et al., PVLDB 17(9), 2024; arXiv 2311.15310v1, Table 2",
    read="a reader's notes on the table",
    address="https://github.com/Make111GreatAgain/Nahida/blob/57b088ef675188fc04569e3022cca0bce3703c37/vault/"
    "03_Sources/papers/arxiv-2311-15310v1-secure-verifiable-data-collaboration-low-cost-zkp.md",
)
_RISEFL_SMALL = replace(_RISEFL, value="9.3 s", parameters=100_000)
_RISEFL_HERE = Published(
    system="RiseFL, built and run by us",
    counted="one thread, an earlier machine; what was counted is not noted",
    value="157 s and 35 MB",
    parameters=1 << 20,
    bound="approximate: lets 1.2·B pass",
    hardware="two cores of Zen 3 (AVX2, ADX), of which one was used",
    source="our own run",
    read="our note of it; neither script nor log were kept",
)
_ROFL = Published(
    system="RoFL",
    counted="a round of 48 clients with L2 proofs, training included (without proofs 2.3 s)",
    value="47.2 s",
    parameters=19_166,
    bound="exact, of quantised values: range proofs of all of them and of the sum of squares",
    hardware="AWS c5d.9xlarge for server and clients, as the authors' scripts have it",
    source="Lycklama et al., IEEE S&P 2023; arXiv 2107.03311, data of the end-to-end table",
    read="the authors' data and scripts",
    address="https://github.com/pps-lab/rofl-project-code/blob/58868fcad38507dacc0ced87682c5c531a23c5a3/plots/"
    "data/e2e_table.csv",
)
_ACORN = Published(
    system="ACORN",
    counted="a client in total, 16-bit values",
    value="under 80 s",
    parameters=250_000,
    bound="L0, L2 or L∞; whether exactly is not said there",
    hardware="not named there",
    source="Bell et al., USENIX Security 2023; eprint 2022/1461, abstract",
    read="the abstract",
    address="https://www.usenix.org/conference/usenixsecurity23/presentation/bell",
)
_PINE = Published(
    system="PINE",
    counted="what a client sends more than without proofs, large models (before: 16 to 32 times as much)",
    value="a few percent",
    parameters=None,
    bound="exact, two servers that do not collude",
    hardware="none: sizes",
    source="Rothblum, Omri, Chen, Talwar; arXiv 2311.10237v2, abstract",
    read="the abstract",
    address="https://arxiv.org/html/2311.10237v2",
)

PUBLISHED: tuple[Published, ...] = (
    _RISEFL,
    replace(_RISEFL, counted="what a client sends, k = 1000", value="30.9 MB"),
    replace(
        _RISEFL, counted="the server in total, k = 1000 (for how many clients is not said)", value="1,338 s"
    ),
    _RISEFL_SMALL,
    _RISEFL_HERE,
    _ROFL,
    replace(
        _ROFL,
        counted="a round of 48 clients with L2 proofs, training included (without proofs 1.9 s)",
        value="110.5 s",
        parameters=62_006,
    ),
    replace(
        _ROFL,
        counted="a round of 48 clients with L2 proofs, training included (without proofs 21.7 s)",
        value="149.3 s",
        parameters=274_442,
        bound="exact, but of an update in a random subspace of 41,000 dimensions",
    ),
    replace(
        _ROFL,
        counted="create the range proofs of all values, a part of an L2 proof",
        value="166 s",
        parameters=1 << 19,
        hardware="36 cores: AWS c5d.9xlarge, as the authors' scripts have it",
        source="Lycklama et al., IEEE S&P 2023; arXiv 2107.03311, data of the microbenchmarks",
        address="https://github.com/pps-lab/rofl-project-code/blob/87d5a3b04dd7509d870ba5bb739586027227f4f3/"
        "plots/data/microbenchmarks/large/create-rangeproof-16-08-524288-(2023-03-27-18-57-54).bench",
    ),
    replace(
        _RISEFL_SMALL,
        system="RoFL, by the authors of RiseFL",
        counted="a client in total",
        value="502 s (out of memory at 1,000,000)",
        bound="strict, in the words of the notes",
    ),
    _ACORN,
    replace(
        _ACORN, counted="what a client sends more than without validation", value="0.1 times", parameters=None
    ),
    replace(
        _RISEFL_SMALL,
        system="ACORN, by the authors of RiseFL",
        counted="a client in total",
        value="261 s (out of memory at 1,000,000)",
        bound="strict, in the words of the notes",
    ),
    replace(_ACORN, system="ACORN-detect", value=NOT_FOUND, parameters=None),
    replace(_ACORN, system="ACORN-robust", value=NOT_FOUND, parameters=None),
    _PINE,
    replace(_PINE, counted="a client's time", value=NOT_FOUND),
)


def table(records: Sequence[Published] = PUBLISHED) -> str:
    """A text table: what a figure is, then where it is from."""
    lines = ["published by others or of their systems, on other machines:"]
    for record in records:
        size = f", {record.parameters:,} parameters" if record.parameters else ""
        lines += [
            f"{record.system}: {record.counted}{size}: {record.value}",
            f"    bound: {record.bound}",
            f"    hardware: {record.hardware}",
            f"    source: {record.source}; read: {record.read} {record.address}".rstrip(),
        ]
    return "\n".join(lines)


def as_json() -> list[dict[str, str | int | None]]:
    """The records as JSON objects."""
    return [asdict(record) for record in PUBLISHED]


if __name__ == "__main__":
    print(table())
