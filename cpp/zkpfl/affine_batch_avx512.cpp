#include "zkpfl/affine_batch.h"

#if defined(__x86_64__) && defined(__ELF__)

#include "zkpfl/affine_batch_vector.h"
#include "zkpfl/fp8_avx512.h"

namespace zkpfl {

namespace {

struct Lanes8 : Numbers8 {
  using Point = Avx512Adder::Point;
  using Operation = Addition<Point>;

  static bool is_infinity(const Point& point) { return point.x[7] >> 63 != 0; }
  static void set_infinity(Point& point) { point.x[7] = std::uint64_t{1} << 63; }

  // The differences of x.
  static bool chords(Fp8& out, const Operation* o) {
    Fp8 ax, bx;
    load_targets(ax, o, &Point::x);
    load_addends(bx, o, &Point::x);
    difference(out, bx, ax);
    return some_infinite(ax) || some_infinite(bx);
  }

  static bool tangents(Fp8& out, const Point* points) {
    Fp8 x, y;
    load_points(x, points, &Point::x);
    load_points(y, points, &Point::y);
    __m512i doubled[kLimbs];
    for (std::size_t j = 0; j < kLimbs; ++j) doubled[j] = _mm512_add_epi64(y.limb[j], y.limb[j]);
    carry(out, doubled);
    return some_infinite(x);
  }

  // The line through both points meets the curve in a third; reflected, that is the sum.
  static void add(const Operation* o, const Fp8& inverse) {
    Fp8 ax, bx, ay, by, rise, slope;
    load_targets(ay, o, &Point::y);
    load_addends(by, o, &Point::y);
    signed_difference(rise, by, negations(o), ay);
    multiply(slope, rise, inverse);
    load_targets(ax, o, &Point::x);
    load_addends(bx, o, &Point::x);
    std::uint64_t *xs[8], *ys[8];
    for (int i = 0; i < 8; ++i) xs[i] = at(o, i).target->x, ys[i] = at(o, i).target->y;
    finish(xs, ys, slope, ax, bx, ay);
  }

  static void twice(Point* points, const Fp8& inverse) {
    Fp8 x, y, rise, slope;
    load_points(x, points, &Point::x);
    load_points(y, points, &Point::y);
    square(rise, x);
    __m512i tripled[kLimbs];
    for (std::size_t j = 0; j < kLimbs; ++j) {
      tripled[j] = _mm512_add_epi64(rise.limb[j], _mm512_add_epi64(rise.limb[j], rise.limb[j]));
    }
    carry(rise, tripled);
    multiply(slope, rise, inverse);
    std::uint64_t *xs[8], *ys[8];
    for (int i = 0; i < 8; ++i) xs[i] = points[kLaneOrder[i]].x, ys[i] = points[kLaneOrder[i]].y;
    finish(xs, ys, slope, x, x, y);
  }

 private:
  static const Operation& at(const Operation* o, int i) { return o[kLaneOrder[i]]; }

  static void load_targets(Fp8& out, const Operation* o, Words Point::* coordinate) {
    const std::uint64_t* from[8];
    for (int i = 0; i < 8; ++i) from[i] = at(o, i).target->*coordinate;
    load(out, from);
  }

  static void load_addends(Fp8& out, const Operation* o, Words Point::* coordinate) {
    const std::uint64_t* from[8];
    for (int i = 0; i < 8; ++i) from[i] = at(o, i).addend->*coordinate;
    load(out, from);
  }

  static void load_points(Fp8& out, const Point* points, Words Point::* coordinate) {
    const std::uint64_t* from[8];
    for (int i = 0; i < 8; ++i) from[i] = points[kLaneOrder[i]].*coordinate;
    load(out, from);
  }

  static bool some_infinite(const Fp8& x) { return _mm512_movepi64_mask(x.limb[kLimbs - 1]) != 0; }

  static __mmask8 negations(const Operation* o) {
    unsigned mask = 0;
    for (unsigned i = 0; i < 8; ++i) mask |= static_cast<unsigned>(o[i].negate) << i;
    return static_cast<__mmask8>(mask);
  }

  // b - a, or -b - a where `negate` says so, plus 5 p.
  static void signed_difference(Fp8& out, const Fp8& b, __mmask8 negate, const Fp8& a) {
    __m512i t[kLimbs];
    const __m512i zero = _mm512_setzero_si512();
    for (std::size_t j = 0; j < kLimbs; ++j) {
      const __m512i signed_limb = _mm512_mask_sub_epi64(b.limb[j], negate, zero, b.limb[j]);
      t[j] = _mm512_add_epi64(signed_limb, all(kFiveP.limb[j]));
    }
    subtract(t, a);
    carry(out, t);
  }

  // The line of the given slope through a and a point at bx: its third point, reflected.
  static void finish(std::uint64_t* const (&xs)[8], std::uint64_t* const (&ys)[8], const Fp8& slope,
                     const Fp8& ax, const Fp8& bx, const Fp8& ay) {
    Fp8 x, y, run;
    __m512i t[kLimbs];
    square(x, slope);
    raise<3>(t, x);
    subtract(t, ax);
    subtract(t, bx);
    reduce(x, t);
    difference(run, ax, x);
    multiply(y, run, slope);
    raise<3>(t, y);
    subtract(t, ay);
    reduce(y, t);
    store(x, xs);
    store(y, ys);
  }

  static constexpr Constant kFiveP = multiple_of_prime(5);
};

}  // namespace

void Avx512Adder::import_points(Point* out, const blst_p1_affine* points, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) import_point<Lanes8>(out + i, points[i]);
}

void Avx512Adder::export_points(blst_p1_affine* out, const Point* points, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = export_point<Lanes8>(points[i]);
}

void Avx512Adder::negate(Point& point) {
  if (Lanes8::is_infinity(point)) return;
  std::int64_t rest = 0;
  for (int j = 0; j < kLimbs; ++j) {
    rest += static_cast<std::int64_t>(2 * kPrime.limb[j]) - static_cast<std::int64_t>(point.y[j]);
    const bool top = j == kLimbs - 1;
    point.y[j] =
        static_cast<std::uint64_t>(top ? rest : rest & static_cast<std::int64_t>(kLimbMask));
    rest >>= kLimbBits;
  }
}

void Avx512Adder::add(const Addition<Point>* additions, std::size_t count) {
  BatchOn<Lanes8>::add(additions, count);
}

void Avx512Adder::twice(Point* points, std::size_t count) { BatchOn<Lanes8>::twice(points, count); }

}  // namespace zkpfl

#endif
