#include "zkpfl/affine_batch.h"

#include <algorithm>
#include <array>

namespace zkpfl {

namespace {

constexpr std::size_t kChunk = 512;  // amortises an inverse, and its scratch stays in cache
constexpr std::size_t kAhead = 6;    // additions between a prefetch and its use

enum class Kind { kAdd, kDouble, kCopy, kCancel, kNothing };

bool is_zero(const blst_fp& x) {
  limb_t any = 0;
  for (const limb_t limb : x.l) any |= limb;
  return any == 0;
}

blst_fp one() { return blst_p1_generator()->z; }

blst_fp operator-(const blst_fp& a, const blst_fp& b) {
  blst_fp out;
  blst_fp_sub(&out, &a, &b);
  return out;
}

blst_fp operator*(const blst_fp& a, const blst_fp& b) {
  blst_fp out;
  blst_fp_mul(&out, &a, &b);
  return out;
}

blst_fp square(const blst_fp& a) {
  blst_fp out;
  blst_fp_sqr(&out, &a);
  return out;
}

blst_fp triple(const blst_fp& a) {
  blst_fp out;
  blst_fp_mul_by_3(&out, &a);
  return out;
}

blst_fp doubled(const blst_fp& a) {
  blst_fp out;
  blst_fp_add(&out, &a, &a);
  return out;
}

blst_fp signed_y(const Addition<blst_p1_affine>& addition) {
  blst_fp y = addition.addend->y;
  if (addition.negate) blst_fp_cneg(&y, &y, true);
  return y;
}

void prefetch(const blst_p1_affine* point) {
  __builtin_prefetch(&point->x);
  __builtin_prefetch(&point->y);
}

// The denominator of the slope: x2 - x1, or 2 y1 of a tangent. No point has y = 0, because the
// order of the curve is odd.
Kind classify(const Addition<blst_p1_affine>& addition, blst_fp* denominator) {
  const blst_p1_affine &a = *addition.target, &b = *addition.addend;
  *denominator = b.x - a.x;
  if (is_zero(b.y) && is_zero(b.x)) return Kind::kNothing;
  if (is_zero(a.y) && is_zero(a.x)) return Kind::kCopy;
  if (!is_zero(*denominator)) return Kind::kAdd;
  if (!is_zero(signed_y(addition) - a.y)) return Kind::kCancel;
  *denominator = doubled(a.y);
  return Kind::kDouble;
}

// The line of the given slope through a and a point at other_x: its third point, reflected.
void finish(blst_p1_affine* a, const blst_fp& slope, const blst_fp& other_x) {
  const blst_fp x = square(slope) - a->x - other_x;
  a->y = slope * (a->x - x) - a->y;
  a->x = x;
}

void add_chunk(const Addition<blst_p1_affine>* additions, std::size_t count) {
  std::array<Kind, kChunk> kinds;
  std::array<blst_fp, kChunk> denominators, prefixes;
  blst_fp product = one();
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      prefetch(additions[i + kAhead].target);
      prefetch(additions[i + kAhead].addend);
    }
    kinds[i] = classify(additions[i], &denominators[i]);
    if (kinds[i] > Kind::kDouble) continue;
    prefixes[i] = product;
    product = product * denominators[i];
  }
  blst_fp inverse;
  blst_fp_inverse(&inverse, &product);
  for (std::size_t i = count; i-- > 0;) {
    blst_p1_affine* a = additions[i].target;
    const blst_fp y = signed_y(additions[i]), x = additions[i].addend->x;
    if (kinds[i] == Kind::kCopy) *a = {x, y};
    if (kinds[i] == Kind::kCancel) *a = {};
    if (kinds[i] > Kind::kDouble) continue;
    const blst_fp rise = kinds[i] == Kind::kAdd ? y - a->y : triple(square(x));
    const blst_fp slope = rise * (inverse * prefixes[i]);
    inverse = inverse * denominators[i];
    finish(a, slope, x);
  }
}

}  // namespace

void PortableAdder::import_points(Point* out, const blst_p1_affine* points, std::size_t count) {
  std::copy_n(points, count, out);
}

void PortableAdder::export_points(blst_p1_affine* out, const Point* points, std::size_t count) {
  std::copy_n(points, count, out);
}

void PortableAdder::negate(Point& point) { blst_fp_cneg(&point.y, &point.y, true); }

void PortableAdder::add(const Addition<Point>* additions, std::size_t count) {
  for (std::size_t begin = 0; begin < count; begin += kChunk) {
    add_chunk(additions + begin, std::min(kChunk, count - begin));
  }
}

void PortableAdder::twice(Point* points, std::size_t count) {
  Addition<Point> additions[kChunk];
  for (std::size_t begin = 0; begin < count; begin += kChunk) {
    const std::size_t size = std::min(kChunk, count - begin);
    for (std::size_t i = 0; i < size; ++i) {
      additions[i] = {points + begin + i, points + begin + i, false};
    }
    add_chunk(additions, size);
  }
}

}  // namespace zkpfl
