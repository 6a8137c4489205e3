"""Parameters: derived sizes, and each refusal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zkpfl.errors import InvalidParameter
from zkpfl.params import Committee, FixedPoint, Layout, columns_for


def test_default_layout_of_a_million_parameters() -> None:
    scale = FixedPoint(1 << 20, clip_norm=1.0)
    layout = Layout(1 << 20, scale.norm_bound, columns=columns_for(1 << 20))
    assert (layout.lane_width, layout.lanes, layout.columns) == (27, 9, 2048)
    assert (layout.lane_rows, layout.packed_rows) == (512, 57)


@given(
    d=st.integers(1, 1 << 22),
    bits=st.integers(8, 16),
    clip=st.floats(1e-3, 1e3),
    trainers=st.integers(2, 256),
)
def test_hostile_submissions_inside_the_bound_still_decode(
    d: int, bits: int, clip: float, trainers: int
) -> None:
    scale = FixedPoint(d, clip, bits)
    layout = Layout(d, scale.norm_bound, bits, trainers)
    worst_sum = trainers * scale.norm_bound
    assert worst_sum < 1 << (layout.lane_width - 1)
    assert layout.lanes * layout.lane_width <= 254
    assert layout.lanes >= 1


@given(
    bound=st.integers(1, 1 << 20),
    noise=st.integers(1, (1 << 31) - 1),
    m=st.integers(2, 10),
    n=st.integers(2, 246),
)
def test_lanes_have_room_for_the_noise_of_every_zk_node(bound: int, noise: int, m: int, n: int) -> None:
    layout = Layout(100, bound, max_trainers=n, noise_parties=m, noise_bound=noise)
    worst_sum = n * bound + m * noise
    assert 1 << (layout.lane_width - 2) <= worst_sum < 1 << (layout.lane_width - 1)
    assert layout.lanes >= 1


@given(d=st.integers(1, 1 << 22), bits=st.integers(8, 16))
def test_largest_expected_coordinate_fits_the_value_bits(d: int, bits: int) -> None:
    scale = FixedPoint(d, 1.0, bits)
    largest = (1 << (bits - 1)) - 1
    assert scale.scale * scale.headroom / math.sqrt(scale.rotation_size) == pytest.approx(largest - 1)
    assert scale.norm_bound >= scale.scale


@pytest.mark.parametrize(("size", "threshold"), [(2, 2), (4, 3), (11, 2), (3, 1), (3, 0)])
def test_bad_committee(size: int, threshold: int) -> None:
    with pytest.raises(InvalidParameter):
        Committee(size, threshold)


BAD_LAYOUTS = [
    {"dimension": 0},
    {"dimension": (1 << 26) + 1},
    {"norm_bound": 0},
    {"norm_bound": 1 << 31},
    {"value_bits": 7},
    {"value_bits": 17},
    {"max_trainers": 1},
    {"max_trainers": 257},
    {"columns": 255},
    {"columns": 300},
    {"columns": 32768},
    {"noise_parties": 11, "noise_bound": 1},
    {"noise_parties": -1},
    {"noise_bound": 1},
    {"noise_bound": 0, "noise_parties": 3},
    {"noise_bound": 1 << 31, "noise_parties": 3},
    {"max_trainers": 247, "noise_parties": 3, "noise_bound": 5},
]


@pytest.mark.parametrize("change", BAD_LAYOUTS, ids=str)
def test_bad_layout_names_the_field(change: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(change))):
        Layout(**({"dimension": 100, "norm_bound": 1000} | change))


@pytest.mark.parametrize("clip", [0.0, -1.0, math.inf, math.nan])
def test_bad_clip_norm(clip: float) -> None:
    with pytest.raises(InvalidParameter, match="clip_norm"):
        FixedPoint(10, clip)


def test_columns_grow_with_the_square_root() -> None:
    assert [columns_for(d) for d in (1, 600, 1 << 16, 1 << 20, 1 << 22, 1 << 26)] == [
        256, 256, 512, 2048, 4096, 4096,
    ]  # fmt: skip
