"""Shapes of the rounds that a bundle asks for (docs/spec.md §3)."""

from __future__ import annotations

from zkpfl.crypto.encoding import integer_layout
from zkpfl.learning.bundle import Bundle
from zkpfl.learning.weights import dimension
from zkpfl.params import FixedPoint, Layout, columns_for
from zkpfl.privacy.client_level import ClientPrivacy


def fixed_point(bundle: Bundle) -> FixedPoint:
    """Scale of the bundle's encoded updates."""
    recipe = bundle.recipe
    return FixedPoint(dimension(bundle.model()), recipe.clip_norm, recipe.value_bits)


def training_layout(bundle: Bundle, max_trainers: int, nodes: int) -> Layout:
    """Layout of a training round: one coordinate for each parameter, and room for what ``nodes`` add."""
    scale, privacy = fixed_point(bundle), bundle.recipe.privacy
    noise_parties = noise_bound = 0
    if nodes and isinstance(privacy, ClientPrivacy):
        noise_parties, noise_bound = nodes, privacy.noise_bound(scale.dimension, scale.norm_bound)
    return Layout(
        dimension=scale.dimension,
        norm_bound=scale.norm_bound,
        value_bits=scale.value_bits,
        max_trainers=max_trainers,
        columns=columns_for(scale.dimension),
        noise_parties=noise_parties,
        noise_bound=noise_bound,
    )


def statistics_layout(bundle: Bundle, max_trainers: int) -> Layout | None:
    """Layout of the statistics round: count, sums and sums of squares; None if the recipe has none."""
    if not bundle.recipe.statistics:
        return None
    count = 1 + 2 * len(bundle.recipe.features)
    return integer_layout(count, bundle.recipe.value_bits, max_trainers=max_trainers)
