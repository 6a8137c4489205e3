#pragma once

#include <blst.h>

#include <cstddef>
#include <cstdint>

#include "zkpfl/cpu.h"

namespace zkpfl {

// Additions of affine points, many at a time: the slope of each needs an inverse, and Montgomery's
// trick turns n inverses into one and 3 n products. An addition then costs 5 products and a
// square, against 11 and 5 in projective coordinates.
//
// An adder is a representation of points and the way to add them. All adders have the members of
// PortableAdder and give the same points; kernels are templates over the adder. They are complete:
// equal points, opposite points and infinity are handled, at some cost when they are frequent.
// Time depends on the points.

// target += addend, or target -= addend if `negate` is set.
template <typename P>
struct Addition {
  P* target;
  const P* addend;
  bool negate;
};

// On blst's representation and arithmetic.
struct PortableAdder {
  using Point = blst_p1_affine;

  static void import_points(Point* out, const blst_p1_affine* points, std::size_t count);
  static void export_points(blst_p1_affine* out, const Point* points, std::size_t count);
  static bool is_infinity(const Point& point) { return blst_p1_affine_is_inf(&point); }
  static Point infinity() { return {}; }

  // In place, because compilers forget the alignment of points that a function returns.
  static void negate(Point& point);

  // No target occurs twice, and none is the addend of another addition; its own addend it may be.
  // Best with 256 additions or more.
  static void add(const Addition<Point>* additions, std::size_t count);

  // Doubles some points that lie in a row.
  static void twice(Point* points, std::size_t count);
};

#if defined(__x86_64__) && defined(__ELF__)

// On four numbers at a time, with AVX2 (fp4_avx2.h).
struct Avx2Adder {
  // Limbs of 28 bits in Montgomery form with R = 2^392, below 2.01 p; the last word of x is 1 and
  // all others are 0 at infinity.
  struct alignas(64) Point {
    std::uint32_t x[16], y[16];
  };

  static void import_points(Point* out, const blst_p1_affine* points, std::size_t count);
  static void export_points(blst_p1_affine* out, const Point* points, std::size_t count);
  static bool is_infinity(const Point& point) { return point.x[15] != 0; }
  static Point infinity() {
    Point point{};
    point.x[15] = 1;
    return point;
  }
  static void negate(Point& point);
  static void add(const Addition<Point>* additions, std::size_t count);
  static void twice(Point* points, std::size_t count);
};

// On eight numbers at a time, with AVX-512 IFMA (fp8_avx512.h).
struct Avx512Adder {
  // Limbs of 52 bits in Montgomery form with R = 2^416, x below 1.01 p and y below 2.01 p; at
  // infinity the highest bit of x is 1 and all others are 0.
  struct alignas(64) Point {
    std::uint64_t x[8], y[8];
  };

  static void import_points(Point* out, const blst_p1_affine* points, std::size_t count);
  static void export_points(blst_p1_affine* out, const Point* points, std::size_t count);
  static bool is_infinity(const Point& point) { return point.x[7] >> 63 != 0; }
  static Point infinity() {
    Point point{};
    point.x[7] = std::uint64_t{1} << 63;
    return point;
  }
  static void negate(Point& point);
  static void add(const Addition<Point>* additions, std::size_t count);
  static void twice(Point* points, std::size_t count);
};

#endif

// kernel(adder) with the fastest adder of this machine.
template <typename Kernel>
auto with_adder(const Kernel& kernel) {
#if defined(__x86_64__) && defined(__ELF__)
  if (has_avx512_ifma()) return kernel(Avx512Adder{});
  if (has_avx2()) return kernel(Avx2Adder{});
#endif
  return kernel(PortableAdder{});
}

}  // namespace zkpfl
