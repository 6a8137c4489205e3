#include "zkpfl/affine_batch.h"

#if defined(__x86_64__) && defined(__ELF__)

#include "zkpfl/affine_batch_vector.h"
#include "zkpfl/fp4_avx2.h"

namespace zkpfl {

namespace {

struct Lanes4 : Numbers4 {
  using Point = Avx2Adder::Point;
  using Operation = Addition<Point>;

  static bool is_infinity(const Point& point) { return point.x[15] != 0; }
  static void set_infinity(Point& point) { point.x[15] = 1; }

  // The differences of x. Infinite is a pair of which one point is; if both are, it is zero.
  static bool chords(Fp4& out, const Operation* o) {
    Packed differences[4];
    for (int i = 0; i < 4; ++i) {
      differences[i] = difference(load(o[i].addend->x), load(o[i].target->x));
    }
    const __m256i padding = unpack<For::kProducts>(out, differences);
    return !_mm256_testz_si256(padding, padding);
  }

  static bool tangents(Fp4& out, const Point* points) {
    Fp4 x, y;
    const __m256i padding = load_points(x, points, &Point::x);
    load_points(y, points, &Point::y);
    for (std::size_t j = 0; j < kLimbs; ++j) out.limb[j] = _mm256_add_epi64(y.limb[j], y.limb[j]);
    return !_mm256_testz_si256(padding, padding);
  }

  // The line through both points meets the curve in a third; reflected, that is the sum.
  static void add(const Operation* o, const Fp4& inverse) {
    Fp4 ax, bx, ay, rise, slope, x, y;
    Packed a[4], b[4];
    for (int i = 0; i < 4; ++i) {
      a[i] = load(o[i].target->y);
      b[i] = difference(signed_by(load(o[i].addend->y), o[i].negate), a[i]);
    }
    unpack<For::kAnything>(ay, a);
    unpack<For::kProducts>(rise, b);
    zkpfl_fp_mul4(&slope, &rise, &inverse);
    zkpfl_fp_sqr4(&x, &slope);
    for (int i = 0; i < 4; ++i) {
      a[i] = load(o[i].target->x);
      b[i] = load(o[i].addend->x);
    }
    unpack<For::kAnything>(ax, a);
    unpack<For::kAnything>(bx, b);
    reduced_difference(x, x, ax, bx);
    difference(rise, ax, x);
    zkpfl_fp_mul4(&y, &rise, &slope);
    reduced_difference(y, y, ay);
    store(x, {o[0].target->x, o[1].target->x, o[2].target->x, o[3].target->x});
    store(y, {o[0].target->y, o[1].target->y, o[2].target->y, o[3].target->y});
  }

  static void twice(Point* points, const Fp4& inverse) {
    Fp4 ax, ay, rise, slope, x, y;
    load_points(ax, points, &Point::x);
    load_points(ay, points, &Point::y);
    zkpfl_fp_sqr4(&rise, &ax);
    for (__m256i& limb : rise.limb) limb = _mm256_add_epi64(limb, _mm256_add_epi64(limb, limb));
    zkpfl_fp_mul4(&slope, &rise, &inverse);
    zkpfl_fp_sqr4(&x, &slope);
    reduced_difference(x, x, ax, ax);
    difference(rise, ax, x);
    zkpfl_fp_mul4(&y, &rise, &slope);
    reduced_difference(y, y, ay);
    store(x, {points[0].x, points[1].x, points[2].x, points[3].x});
    store(y, {points[0].y, points[1].y, points[2].y, points[3].y});
  }

 private:
  static __m256i load_points(Fp4& out, const Point* points, Words Point::* coordinate) {
    Packed packed[4];
    for (int i = 0; i < 4; ++i) packed[i] = load(points[i].*coordinate);
    return unpack<For::kAnything>(out, packed);
  }
};

}  // namespace

void Avx2Adder::import_points(Point* out, const blst_p1_affine* points, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) import_point<Lanes4>(out + i, points[i]);
}

void Avx2Adder::export_points(blst_p1_affine* out, const Point* points, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = export_point<Lanes4>(points[i]);
}

void Avx2Adder::negate(Point& point) {
  if (Lanes4::is_infinity(point)) return;
  std::int64_t borrow = 0;
  for (int j = 0; j < kLimbs; ++j) {
    const auto twice = static_cast<std::int64_t>(2 * kPrime[j]);
    const std::int64_t rest = twice - std::int64_t{point.y[j]} + borrow;
    const bool top = j == kLimbs - 1;
    point.y[j] = static_cast<std::uint32_t>(top ? rest : rest & std::int64_t{kLimbMask});
    borrow = rest >> kLimbBits;
  }
}

void Avx2Adder::add(const Addition<Point>* additions, std::size_t count) {
  BatchOn<Lanes4>::add(additions, count);
}

void Avx2Adder::twice(Point* points, std::size_t count) { BatchOn<Lanes4>::twice(points, count); }

}  // namespace zkpfl

#endif
