#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/fr.h"
#include "zkpfl/g1.h"

namespace zkpfl {

// Lanes of docs/spec.md §3: coordinate k lies in lane row k / columns, and packed row p holds lane
// rows p * lanes + l, l < lanes, each `width` bits wide; lanes * width <= 254.
struct Lanes {
  std::size_t dimension, columns, lanes, width;

  std::size_t lane_rows() const { return (dimension + columns - 1) / columns; }
  std::size_t packed_rows() const { return (lane_rows() + lanes - 1) / lanes; }
};

// Throws InvalidUpdate for a value outside [-2^(width-1), 2^(width-1)).
template <typename Integer>
void pack(Scalar* out, const Integer* values, const Lanes& layout);

// The inverse, on sums. Throws InvalidEncoding for a scalar that does not fit in its lanes.
void unpack_sum(std::int64_t* out, const Scalar* packed, const Lanes& layout);

// out[p] = sum_l 2^(width l) in[p * lanes + l]: blindings of packed rows.
void pack_scalars(Scalar* out, const Scalar* lane_values, std::size_t lane_rows,
                  const Lanes& layout);

// The same for commitments.
G1Points pack_points(const G1Points& lane_values, const Lanes& layout);

}  // namespace zkpfl
