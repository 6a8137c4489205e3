#include "zkpfl/packing.h"

#include <algorithm>
#include <string>

#include "zkpfl/errors.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

// ORs a field of `width` <= 63 bits into an empty place of `x`.
void put_field(Scalar& x, std::size_t bit, std::uint64_t field) {
  const std::size_t limb = bit / 64, shift = bit % 64;
  x.limbs[limb] |= field << shift;
  if (shift != 0 && limb + 1 < 4) x.limbs[limb + 1] |= field >> (64 - shift);
}

std::uint64_t get_field(const Scalar& x, std::size_t bit, std::size_t width) {
  const std::size_t limb = bit / 64, shift = bit % 64;
  std::uint64_t field = x.limbs[limb] >> shift;
  if (shift != 0 && limb + 1 < 4) field |= x.limbs[limb + 1] << (64 - shift);
  return field & ((std::uint64_t{1} << width) - 1);
}

// sum_l 2^(width l) 2^(width-1): makes every lane of a sum in range non-negative.
Scalar lane_offset(const Lanes& layout) {
  Scalar offset{};
  for (std::size_t l = 0; l < layout.lanes; ++l) {
    put_field(offset, l * layout.width, std::uint64_t{1} << (layout.width - 1));
  }
  return offset;
}

std::string at(std::size_t p, std::size_t c) {
  return "packed row " + std::to_string(p) + ", column " + std::to_string(c);
}

}  // namespace

template <typename Integer>
void pack(Scalar* out, const Integer* values, const Lanes& layout) {
  const Scalar offset = lane_offset(layout);
  const std::int64_t half = std::int64_t{1} << (layout.width - 1);
  const auto pack_one = [&](std::size_t p, std::size_t c) {
    Scalar packed{};
    for (std::size_t l = 0; l < layout.lanes; ++l) {
      const std::size_t k = (p * layout.lanes + l) * layout.columns + c;
      const std::int64_t value = k < layout.dimension ? std::int64_t{values[k]} : 0;
      if (value < -half || value >= half)
        throw InvalidUpdate("coordinate " + std::to_string(k) + " does not fit in a lane");
      put_field(packed, l * layout.width, static_cast<std::uint64_t>(value + half));
    }
    return packed - offset;
  };
  parallel_for(layout.packed_rows(), 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      for (std::size_t c = 0; c < layout.columns; ++c) {
        out[p * layout.columns + c] = pack_one(p, c);
      }
    }
  });
}

template void pack(Scalar*, const std::int16_t*, const Lanes&);
template void pack(Scalar*, const std::int64_t*, const Lanes&);

void unpack_sum(std::int64_t* out, const Scalar* packed, const Lanes& layout) {
  const Scalar offset = lane_offset(layout);
  const std::int64_t half = std::int64_t{1} << (layout.width - 1);
  const auto unpack_one = [&](std::size_t p, std::size_t c) {
    const Scalar lanes = packed[p * layout.columns + c] + offset;
    if (bit_length(lanes) > layout.lanes * layout.width)
      throw InvalidEncoding("the sum at " + at(p, c) + " does not fit in its lanes");
    for (std::size_t l = 0; l < layout.lanes; ++l) {
      const std::size_t k = (p * layout.lanes + l) * layout.columns + c;
      if (k >= layout.dimension) return;
      const std::uint64_t field = get_field(lanes, l * layout.width, layout.width);
      out[k] = static_cast<std::int64_t>(field) - half;
    }
  };
  parallel_for(layout.packed_rows(), 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      for (std::size_t c = 0; c < layout.columns; ++c) unpack_one(p, c);
    }
  });
}

void pack_scalars(Scalar* out, const Scalar* lane_values, std::size_t lane_rows,
                  const Lanes& layout) {
  Scalar shift{};
  put_field(shift, layout.width, 1);
  const Multiplier factor(shift);
  for (std::size_t p = 0; p * layout.lanes < lane_rows; ++p) {
    const std::size_t first = p * layout.lanes;
    const std::size_t last = std::min(first + layout.lanes, lane_rows);
    out[p] = Scalar{};
    for (std::size_t row = last; row-- > first;) out[p] = factor * out[p] + lane_values[row];
  }
}

G1Points pack_points(const G1Points& lane_values, const Lanes& layout) {
  std::vector<blst_p1> packed((lane_values.size() + layout.lanes - 1) / layout.lanes, blst_p1{});
  parallel_for(packed.size(), 8, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      const std::size_t first = p * layout.lanes;
      const std::size_t last = std::min(first + layout.lanes, lane_values.size());
      for (std::size_t row = last; row-- > first;) {
        for (std::size_t i = 0; i < layout.width; ++i) blst_p1_double(&packed[p], &packed[p]);
        blst_p1_add_or_double_affine(&packed[p], &packed[p], &lane_values[row]);
      }
    }
  });
  return to_affine(packed);
}

}  // namespace zkpfl
