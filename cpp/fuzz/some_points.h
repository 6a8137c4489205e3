#pragma once

#include <blst.h>

#include "input.h"
#include "zkpfl/bytes.h"
#include "zkpfl/eip2537.h"
#include "zkpfl/fr.h"
#include "zkpfl/g1.h"

// Points of the kinds that decoders must tell apart: arbitrary bytes are hardly ever a point, and
// a point on the curve is hardly ever in the subgroup.

namespace zkpfl::fuzz {

template <typename Point>
Bytes compressed(const Point& point);

template <>
inline Bytes compressed(const blst_p1_affine& point) {
  Bytes out(48);
  blst_p1_affine_compress(out.data(), &point);
  return out;
}

template <>
inline Bytes compressed(const blst_p2_affine& point) {
  Bytes out(96);
  blst_p2_affine_compress(out.data(), &point);
  return out;
}

inline blst_fp small_fp(std::uint64_t value) {
  const std::uint64_t limbs[6] = {value, 0, 0, 0, 0, 0};
  blst_fp out;
  blst_fp_from_uint64(&out, limbs);
  return out;
}

// (0, 2): order 3, the smallest factor of the cofactor.
inline blst_p1_affine g1_of_order_three() { return {small_fp(0), small_fp(2)}; }

inline blst_p1_affine plus(const blst_p1_affine& a, const blst_p1_affine& b) {
  const G1Points left = {a}, right = {b};
  return sum_points({&left, &right})[0];
}

inline blst_p1_affine g1_of_subgroup(std::uint8_t number) {
  const blst_fp u = small_fp(number);
  blst_p1 point;
  blst_map_to_g1(&point, &u, nullptr);
  return to_affine({point})[0];
}

// Hardly ever in the subgroup; of order 3 if there is none at x.
inline blst_p1_affine g1_at(std::uint16_t x, bool sign) {
  Bytes wire(48);
  wire[0] = sign ? 0xa0 : 0x80;
  wire[46] = static_cast<std::uint8_t>(x >> 8), wire[47] = static_cast<std::uint8_t>(x);
  blst_p1_affine point;
  return blst_p1_uncompress(&point, wire.data()) == BLST_SUCCESS ? point : g1_of_order_three();
}

inline blst_p1_affine some_g1(Reader& in) {
  switch (in.below(6)) {
    case 0:
      return {};
    case 1:
      return g1_of_order_three();
    case 2:
      return plus(g1_of_subgroup(in.byte()), g1_of_order_three());
    case 3: {
      const std::uint16_t x = in.u16();
      return g1_at(x, in.byte() & 1);
    }
    case 4:
      return negated(g1_of_subgroup(in.byte()));
    default:
      return g1_of_subgroup(in.byte());
  }
}

inline blst_p2_affine g2_of_subgroup(std::uint8_t number) {
  const blst_fp2 u = {{small_fp(number), small_fp(1)}};
  blst_p2 point;
  blst_map_to_g2(&point, &u, nullptr);
  blst_p2_affine out;
  blst_p2_to_affine(&out, &point);
  return out;
}

inline blst_p2_affine some_g2(Reader& in) {
  const std::size_t kind = in.below(4);
  if (kind == 0) return {};
  if (kind == 1) {
    Bytes wire(96);
    wire[0] = 0x80, wire[47] = in.byte(), wire[95] = in.byte();
    blst_p2_affine point;
    if (blst_p2_uncompress(&point, wire.data()) == BLST_SUCCESS) return point;
  }
  blst_p2_affine point = g2_of_subgroup(in.byte());
  if (kind == 2) blst_fp2_cneg(&point.y, &point.y, true);
  return point;
}

// By the definition: r times the point is infinity.
inline bool in_subgroup_naive(const blst_p1_affine& point) {
  blst_p1 product = from_affine(point);
  blst_p1_mult(&product, &product, as_bytes(Scalar{kOrder}), 255);
  return blst_p1_is_inf(&product);
}

// Whether 48 bytes are the only encoding of a point of the subgroup, infinity included.
inline bool is_point_naive(const Bytes& wire) {
  blst_p1_affine point;
  return blst_p1_uncompress(&point, wire.data()) == BLST_SUCCESS && compressed(point) == wire &&
         in_subgroup_naive(point);
}

}  // namespace zkpfl::fuzz
