"""What contributions do to pay: the accuracy factors of a round's trainers (docs/spec.md §9.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from zkpfl.errors import InvalidParameter
from zkpfl.ledger.rules import ONE, weighted_median

LEAST_PERCENT = 80
MOST_PERCENT = 125
STEP_PERCENT = 20
"""What a contribution adds that is as large as the reference."""

PARTS_OF_A_SHARE = 10
"""A contribution below this part of an even share of the whole counts as none."""

_WORDS, _BYTES = 8, 32


def percents(contributions: Mapping[int, int], stakes: Mapping[int, int], whole: int) -> dict[int, int]:
    """Return the factor of each trainer of a round, in percent.

    A contribution counts if it is positive and at least a tenth of an even share of the whole. The reference
    m is the stake-weighted lower median of those that count; one of s earns ``min(125, 80 + ⌊20·s/m⌋)``. One
    that does not count, is not proved or missing earns 80. If none counts, there are no factors.

    Parameters
    ----------
    contributions
        What was proved, by number of the trainer; any common unit.
    stakes
        Of all trainers of the accepted set, by number.
    whole
        `Direction.squared_norm`, in the same unit; not negative.
    """
    counts = {i: contributions[i] for i in stakes if is_material(contributions.get(i, 0), len(stakes), whole)}
    if not counts:
        return {}
    reference = weighted_median((value, stakes[i]) for i, value in counts.items())
    earned = {i: LEAST_PERCENT + STEP_PERCENT * value // reference for i, value in counts.items()}
    return {i: min(MOST_PERCENT, earned.get(i, LEAST_PERCENT)) for i in stakes}


def is_material(contribution: int, trainers: int, whole: int) -> bool:
    """Whether a contribution counts: what is left of a repetition by rounding does not."""
    return contribution > 0 and PARTS_OF_A_SHARE * trainers * contribution >= whole


def accuracy_factor(percent: int) -> int:
    """Return a factor in units of 10**-18; 1 where nothing was decided (0)."""
    return percent * ONE // 100 if percent else ONE


def packed_factors(by_trainer: Mapping[int, int]) -> tuple[int, ...]:
    """Write percentages as the contract has them: byte i of eight words, from the lowest, is trainer i's."""
    words = [0] * _WORDS
    for number, percent in by_trainer.items():
        if not (0 <= number < _WORDS * _BYTES and LEAST_PERCENT <= percent <= MOST_PERCENT):
            text = f"must be {LEAST_PERCENT} to {MOST_PERCENT} percent of trainers 0 to 255"
            raise InvalidParameter(f"{text}, got {percent} of {number}", field="factors")
        words[number // _BYTES] |= percent << 8 * (number % _BYTES)
    return tuple(words)


def unpacked_factors(words: Sequence[int]) -> dict[int, int]:
    """Inverse of `packed_factors`."""
    found = b"".join(word.to_bytes(_BYTES, "little") for word in words)
    return {number: percent for number, percent in enumerate(found) if percent}


def decided_factors(attested: Iterable[tuple[tuple[int, ...], int]], total_stake: int) -> dict[int, int]:
    """Return the list that more than half of the stake attested, or none.

    Parameters
    ----------
    attested
        Packed factors and stake of each trainer that attested.
    total_stake
        Of all trainers of the accepted set.
    """
    support: Counter[tuple[int, ...]] = Counter()
    for words, stake in attested:
        support[words] += stake
    decided = [words for words, stake in support.items() if 2 * stake > total_stake]
    return unpacked_factors(decided[0]) if decided else {}
