"""Vectors of docs/spec.md §8: the noise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.reference import discrete_gaussian as reference
from tests.reference.material import Case, refused, secret

SEED = secret("noise")


def discrete_gaussian() -> Iterator[Case]:
    for sigma in (0.5, 1.0, 3.7, 100.0, 1234.5):
        given = {"sigma": sigma, "count": 24, "seed": SEED.hex()}
        yield f"sigma_{sigma}", given, {"samples": reference.sample(sigma, 24, SEED)}
    for name, sigma, seed in (
        ("sigma_below_a_half", 0.499, SEED),
        ("sigma_too_large", 65537.0, SEED),
        ("short_seed", 1.0, SEED[:31]),
    ):
        given = {"sigma": sigma, "count": 1, "seed": seed.hex()}
        yield f"bad_{name}", given, refused("InvalidParameter", partial(reference.sample, sigma, 1, seed))


OPERATIONS = {"discrete_gaussian": discrete_gaussian}
