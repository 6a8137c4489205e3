#include "zkpfl/packing.h"

#include <algorithm>
#include <array>
#include <string>

#include "zkpfl/errors.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kTile = 64;  // columns at a time: their limbs fit in the first cache

// The limbs of a tile of scalars, limb by limb, so that lanes are cut and joined for many columns
// at once by plain loops that compilers vectorize.
struct Tile {
  std::array<std::array<std::uint64_t, kTile>, 5> limbs{};  // the last takes what is shifted out

  // ORs fields of `width` <= 62 bits into an empty place.
  void put(std::size_t bit, const std::uint64_t* fields) {
    auto& low = limbs[bit / 64];
    auto& high = limbs[bit / 64 + 1];
    const std::size_t shift = bit % 64;
    for (std::size_t c = 0; c < kTile; ++c) {
      low[c] |= fields[c] << shift;
      high[c] |= fields[c] >> 1 >> (63 - shift);
    }
  }

  void get(std::uint64_t* fields, std::size_t bit, std::size_t width) const {
    const auto& low = limbs[bit / 64];
    const auto& high = limbs[bit / 64 + 1];
    const std::size_t shift = bit % 64;
    const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
    for (std::size_t c = 0; c < kTile; ++c) {
      fields[c] = (low[c] >> shift | high[c] << 1 << (63 - shift)) & mask;
    }
  }

  Scalar scalar(std::size_t c) const {
    return {{limbs[0][c], limbs[1][c], limbs[2][c], limbs[3][c]}};
  }

  void set(std::size_t c, const Scalar& x) {
    for (std::size_t k = 0; k < 4; ++k) limbs[k][c] = x.limbs[k];
  }
};

// 2^bit, bit < 254.
Scalar power_of_two(std::size_t bit) {
  Scalar out{};
  out.limbs[bit / 64] = std::uint64_t{1} << bit % 64;
  return out;
}

// sum_l 2^(width l) 2^(width-1): makes every lane of a sum in range non-negative.
Scalar lane_offset(const Lanes& layout) {
  Scalar offset{};
  for (std::size_t l = 0; l < layout.lanes; ++l) {
    offset = offset + power_of_two(l * layout.width + layout.width - 1);
  }
  return offset;
}

std::int64_t half_of_lane(const Lanes& layout) { return std::int64_t{1} << (layout.width - 1); }

// How many of the tile's columns [c, c + kTile) exist at lane row `row`, and where they start.
struct Span {
  std::size_t first, count;

  Span(const Lanes& layout, std::size_t row, std::size_t c) : first(row * layout.columns + c) {
    const std::size_t columns = std::min(kTile, layout.columns - c);
    count = first < layout.dimension ? std::min(columns, layout.dimension - first) : 0;
  }
};

// body(p, c) for the first column of every tile.
template <typename Body>
void for_tiles(const Lanes& layout, const Body& body) {
  parallel_for(layout.packed_rows(), 4, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      for (std::size_t c = 0; c < layout.columns; c += kTile) body(p, c);
    }
  });
}

template <typename Integer>
[[noreturn]] void refuse_outside(const Integer* values, const Span& span, std::int64_t half) {
  std::size_t k = span.first;
  while (values[k] >= -half && values[k] < half) ++k;
  throw InvalidUpdate("coordinate " + std::to_string(k) + " does not fit in a lane");
}

// fields = values + half, where padding counts as zero; all must fit in the lane.
template <typename Integer>
void read_fields(std::uint64_t* fields, const Integer* values, const Span& span,
                 const Lanes& layout) {
  const std::int64_t half = half_of_lane(layout);
  std::uint64_t beyond = 0;
  for (std::size_t i = 0; i < span.count; ++i) {
    fields[i] = static_cast<std::uint64_t>(values[span.first + i]) + std::uint64_t(half);
    beyond |= fields[i] >> layout.width;
  }
  if (beyond != 0) refuse_outside(values, span, half);
  for (std::size_t i = span.count; i < kTile; ++i) fields[i] = std::uint64_t(half);
}

[[noreturn]] void refuse_sum(std::size_t p, std::size_t c) {
  throw InvalidEncoding("the sum at packed row " + std::to_string(p) + ", column " +
                        std::to_string(c) + " does not fit in its lanes");
}

}  // namespace

template <typename Integer>
void pack(Scalar* out, const Integer* values, const Lanes& layout) {
  const Scalar offset = lane_offset(layout);
  for_tiles(layout, [&](std::size_t p, std::size_t c) {
    Tile tile;
    std::array<std::uint64_t, kTile> fields;
    for (std::size_t l = 0; l < layout.lanes; ++l) {
      read_fields(fields.data(), values, Span(layout, p * layout.lanes + l, c), layout);
      tile.put(l * layout.width, fields.data());
    }
    Scalar* packed = out + p * layout.columns + c;
    const std::size_t columns = std::min(kTile, layout.columns - c);
    for (std::size_t i = 0; i < columns; ++i) packed[i] = tile.scalar(i) - offset;
  });
}

template void pack(Scalar*, const std::int16_t*, const Lanes&);
template void pack(Scalar*, const std::int64_t*, const Lanes&);

void unpack_sum(std::int64_t* out, const Scalar* packed, const Lanes& layout) {
  const Scalar offset = lane_offset(layout);
  const std::int64_t half = half_of_lane(layout);
  for_tiles(layout, [&](std::size_t p, std::size_t c) {
    Tile tile;
    const Scalar* scalars = packed + p * layout.columns + c;
    const std::size_t columns = std::min(kTile, layout.columns - c);
    for (std::size_t i = 0; i < columns; ++i) {
      const Scalar lanes = scalars[i] + offset;
      if (bit_length(lanes) > layout.lanes * layout.width) refuse_sum(p, c + i);
      tile.set(i, lanes);
    }
    std::array<std::uint64_t, kTile> fields;
    for (std::size_t l = 0; l < layout.lanes; ++l) {
      const Span span(layout, p * layout.lanes + l, c);
      tile.get(fields.data(), l * layout.width, layout.width);
      for (std::size_t i = 0; i < span.count; ++i) {
        out[span.first + i] = static_cast<std::int64_t>(fields[i]) - half;
      }
    }
  });
}

void pack_scalars(Scalar* out, const Scalar* lane_values, std::size_t lane_rows,
                  const Lanes& layout) {
  const Multiplier factor(power_of_two(layout.width));
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
