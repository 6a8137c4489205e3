"""Vectors of docs/spec.md §2 and §3: hashing, rotation, rounding, exact integers, packing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.reference import encoding, group, hashing, sharing
from tests.reference.material import Case, floats, refused, scalars, secret, words

SEED = secret("seed")


def transcript() -> Iterator[Case]:
    yield (
        "scalar_and_short_challenges",
        *_transcript(
            "zkpfl/v1/aggregation",
            [
                ("absorb", "context", bytes(40)),
                ("absorb", "", b""),
                ("scalar", "e"),
                ("short", "x"),
                ("short", "x"),
            ],
        ),
    )
    yield "label_and_data_are_framed", *_transcript("d", [("absorb", "ab", b"c"), ("scalar", "y")])
    yield "label_and_data_are_framed_2", *_transcript("d", [("absorb", "a", b"bc"), ("scalar", "y")])


def _transcript(domain: str, steps: list[tuple[Any, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
    running, challenges = hashing.Transcript(domain.encode()), []
    for kind, label, *data in steps:
        if kind == "absorb":
            running.absorb(label.encode(), data[0])
        else:
            draw = running.scalar if kind == "scalar" else running.short
            challenges.append(group.encode_scalar(draw(label.encode())).hex())
    written = [[kind, label, *(part.hex() for part in data)] for kind, label, *data in steps]
    return {"domain": domain, "steps": written}, {"challenges": challenges, "state": running.state.hex()}


def key_stream() -> Iterator[Case]:
    for number in (0, 1, 2**64 - 1):
        given = {"key": SEED.hex(), "number": str(number), "length": 40}
        yield f"number_{number}", given, {"stream": hashing.stream(SEED, number, 40).hex()}


def merkle() -> Iterator[Case]:
    for count in (1, 2, 3, 5, 8):
        leaves = [bytes([index]) * (index + 1) for index in range(count)]
        given = {"leaves": [leaf.hex() for leaf in leaves]}
        yield f"leaves_{count}", given, {"root": hashing.merkle_root(leaves).hex()}


def blob_hash() -> Iterator[Case]:
    for length in (1, 16384, 16385, 150_000):
        given = {"seed": secret(f"blob {length}").hex(), "length": length}
        blob = hashing.stream(secret(f"blob {length}"), 0, length)
        yield f"length_{length}", given, {"hash": hashing.hash_blob(blob).hex()}
    yield (
        "bad_empty",
        {"seed": bytes(32).hex(), "length": 0},
        refused("InvalidParameter", lambda: hashing.hash_blob(b"")),
    )


def share_root() -> Iterator[Case]:
    for rows, width in ((1, 257), (2, 257), (2, 513), (1, 1025)):
        matrix = sharing.expand_seed(SEED, rows, width)
        given = {"seed": SEED.hex(), "rows": rows, "width": width}
        yield f"rows_{rows}_width_{width}", given, {"root": sharing.share_root(matrix).hex()}


def rotation() -> Iterator[Case]:
    for dimension in (1, 2, 3, 512, 600):
        v = floats(f"rotation {dimension}", dimension)
        rotated = encoding.rotate(v, SEED)
        given = {"seed": SEED.hex(), "vector": _f32(v)}
        yield (
            f"dimension_{dimension}",
            given,
            {
                "rotated": _f32(rotated),
                "unrotated": _f32(encoding.unrotate(rotated, SEED)),
            },
        )


def rotation_seed() -> Iterator[Case]:
    context = bytes(range(40))
    yield "context", {"context": context.hex()}, {"seed": encoding.rotation_seed(context).hex()}


def rounding() -> Iterator[Case]:
    for bits, clip_norm in ((8, 1.0), (12, 0.25), (16, 10.0)):
        v = floats(f"rounding {bits}", 600)
        norm = math.sqrt(math.fsum(float(x) ** 2 for x in v))  # NumPy's depends on the machine
        v *= np.float32(0.99 * clip_norm / norm)
        given = {"vector": _f32(v), "value_bits": bits, "clip_norm": clip_norm, "seed": SEED.hex()}
        yield (
            f"bits_{bits}",
            given,
            {
                "integers": encoding.round_vector(v, bits, clip_norm, SEED),
                "norm_bound": encoding.norm_bound(600, bits, clip_norm),
            },
        )
    spike = np.zeros(600, dtype=np.float32)
    spike[7] = 1.0
    given = {"vector": _f32(spike), "value_bits": 12, "clip_norm": 1.0, "seed": SEED.hex()}
    yield (
        "bad_outside_value_range",
        given,
        refused("InvalidUpdate", lambda: encoding.round_vector(spike, 12, 1.0, SEED)),
    )


def mean_update() -> Iterator[Case]:
    for dimension, count in ((512, 2), (600, 7)):
        total = [int(word % 4001) * count - 2000 * count for word in words(f"mean {dimension}", dimension)]
        given = {"total": total, "value_bits": 12, "clip_norm": 0.5, "seed": SEED.hex(), "count": count}
        yield (
            f"dimension_{dimension}",
            given,
            {"mean": _f32(encoding.mean_update(total, 12, 0.5, SEED, count))},
        )


def integers() -> Iterator[Case]:
    values = [0, 1, -1, 2047, 2048, -2048, -2049, 123456789012, -123456789012, 2**46, -(2**47) + 2**40]
    for bits in (8, 12, 13, 16):
        written = [digit for value in values for digit in encoding.digits(value, bits)]
        total = [3 * digit for digit in written]
        yield (
            f"bits_{bits}",
            {"values": values, "value_bits": bits},
            {
                "digits": written,
                "sum_of_three": encoding.from_digits(total, bits),
            },
        )
    largest = 2**47 - 1
    yield (
        "bad_carry",
        {"values": [largest], "value_bits": 12},
        refused("InvalidInput", lambda: encoding.digits(largest, 12)),
    )


def packing() -> Iterator[Case]:
    for name, shape in (("one_row", SMALL), ("two_rows", WIDE)):
        x = [int(word % 4096) - 2048 for word in words(name, shape.d)]
        packed = sharing.pack(x, shape)
        yield (
            name,
            {**shape_fields(shape), "values": x},
            {
                "lane_width": shape.w,
                "lanes": shape.L,
                "packed_root": sharing.share_root(packed).hex(),
                "total": sharing.unpack(packed, shape),
            },
        )
    noisy = sharing.Shape(600, 256, SMALL.B, 246, 3, 1 << 20)
    most = noisy.n_max * noisy.B + noisy.m * noisy.B_noise
    x = [most, -most] + [0] * 254 + [-most, most] * 172
    yield (
        "lanes_with_room_for_noise",
        {**shape_fields(noisy), "values": x},
        {
            "lane_width": noisy.w,
            "lanes": noisy.L,
            "packed_root": sharing.share_root(sharing.pack(x, noisy)).hex(),
            "total": x,
        },
    )
    extreme = [sign * SMALL.n_max * SMALL.B for sign in (1, -1)] + [0] * 254 + [SMALL.n_max * SMALL.B] * 300
    shape = sharing.Shape(len(extreme), 256, SMALL.B, SMALL.n_max)
    yield (
        "lanes_full_to_the_bound",
        {**shape_fields(shape), "values": extreme},
        {
            "lane_width": shape.w,
            "lanes": shape.L,
            "packed_root": sharing.share_root(sharing.pack(extreme, shape)).hex(),
            "total": extreme,
        },
    )


def unpacking() -> Iterator[Case]:
    too_big = [[group.R // 2] + [0] * 255]
    shape = sharing.Shape(256, 256, SMALL.B, SMALL.n_max)
    yield (
        "bad_scalar_beyond_the_lanes",
        {**shape_fields(shape), "packed": [scalars(row) for row in too_big]},
        refused("InvalidEncoding", lambda: sharing.unpack(too_big, shape)),
    )


SMALL = sharing.Shape(600, 256, 60000, 256)
WIDE = sharing.Shape(1541, 256, 2**31 - 1, 256)
"""Wide lanes: six to a scalar, so seven lane rows make two packed rows."""


def shape_fields(shape: sharing.Shape) -> dict[str, Any]:
    return {
        "dimension": shape.d,
        "columns": shape.N,
        "norm_bound": shape.B,
        "max_trainers": shape.n_max,
        "noise_parties": shape.m,
        "noise_bound": shape.B_noise,
    }


def _f32(v: encoding.F32) -> str:
    """Little-endian IEEE 754 in hexadecimal: every bit counts."""
    return v.astype("<f4").tobytes().hex()


OPERATIONS = {
    "transcript": transcript,
    "key_stream": key_stream,
    "merkle": merkle,
    "blob_hash": blob_hash,
    "share_root": share_root,
    "rotation": rotation,
    "rotation_seed": rotation_seed,
    "rounding": rounding,
    "mean_update": mean_update,
    "integers": integers,
    "packing": packing,
    "unpacking": unpacking,
}
