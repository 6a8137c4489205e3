#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/errors.h"
#include "zkpfl/g1.h"

namespace zkpfl {

// The one door where bytes from a peer become trusted values (docs/spec.md §2).

constexpr std::size_t kScalarBytes = 32;
constexpr std::size_t kPointBytes = 48;

// Throws InvalidScalar for the first scalar that is not below r.
void decode_scalars(Scalar* out, const std::uint8_t* wire, std::size_t count);
void encode_scalars(std::uint8_t* wire, const Scalar* scalars, std::size_t count);

// Throws InvalidPoint for the first point that is not canonical, not on the curve or not in the
// prime-order subgroup. Infinity is a point.
G1Points decode_points(const std::uint8_t* wire, std::size_t count);
void encode_points(std::uint8_t* wire, const G1Points& points);

}  // namespace zkpfl
