#include "zkpfl/affine_batch.h"

#if defined(__x86_64__) && defined(__ELF__)

#include "zkpfl/fp4_avx2.h"

// Nothing here may instantiate a template of the standard library: the linker could keep the
// copy that was compiled for AVX2 and run it elsewhere.

namespace zkpfl {

namespace {

using Point = VectorAdder::Point;
using Operation = Addition<Point>;

constexpr std::size_t kChunk = 2048;  // amortises an inverse; its 229 kB of prefixes stay in cache
constexpr std::size_t kVectors = kChunk / 4;
constexpr std::size_t kAhead = 8;  // additions between a prefetch and its use
constexpr std::size_t kSlowChunk = 32;

// Between a 2^384, blst's form, and a 2^392, ours: a product with 2^8 or its inverse.
const blst_fp& shift_in() {
  static const blst_fp factor = [] {
    blst_fp out;
    const std::uint64_t value[6] = {256};
    blst_fp_from_uint64(&out, value);
    return out;
  }();
  return factor;
}

const blst_fp& shift_out() {
  static const blst_fp factor = [] {
    blst_fp out;
    blst_fp_inverse(&out, &shift_in());
    return out;
  }();
  return factor;
}

template <typename Word>
void import_limbs(Word* limbs, std::size_t stride, const blst_fp& number) {
  blst_fp shifted;
  blst_fp_mul(&shifted, &number, &shift_in());
  for (std::size_t j = 0; j < kLimbs; ++j) {
    const std::size_t word = kLimbBits * j / 64, offset = kLimbBits * j % 64;
    std::uint64_t bits = shifted.l[word] >> offset;
    if (offset > 64 - kLimbBits && word < 5) bits |= shifted.l[word + 1] << (64 - offset);
    limbs[stride * j] = static_cast<Word>(bits & kLimbMask);
  }
}

// Carried limbs; the product with blst also reduces what is above p.
template <typename Word>
blst_fp export_limbs(const Word* limbs, std::size_t stride) {
  blst_fp number{};
  for (std::size_t j = 0; j < kLimbs; ++j) {
    const std::size_t word = kLimbBits * j / 64, offset = kLimbBits * j % 64;
    const std::uint64_t limb = limbs[stride * j];
    number.l[word] |= limb << offset;
    if (offset > 64 - kLimbBits && word < 5) number.l[word + 1] |= limb >> (64 - offset);
  }
  blst_fp_mul(&number, &number, &shift_out());
  return number;
}

bool is_zero(const blst_fp& number) {
  std::uint64_t any = 0;
  for (const std::uint64_t word : number.l) any |= word;
  return any == 0;
}

void import_point(Point* out, const blst_p1_affine& point) {
  *out = Point{};
  if (is_zero(point.x) && is_zero(point.y)) {
    *out = VectorAdder::infinity();
    return;
  }
  import_limbs(out->x, 1, point.x);
  import_limbs(out->y, 1, point.y);
}

blst_p1_affine export_point(const Point& point) {
  if (VectorAdder::is_infinity(point)) return {};
  return {export_limbs(point.x, 1), export_limbs(point.y, 1)};
}

// The inverses of four numbers, by one inversion; false if one of them is zero.
bool invert_lanes(Fp4& numbers) {
  blst_fp lane[4], prefix[4];
  alignas(32) std::uint64_t limbs[kLimbs][4];
  for (int j = 0; j < kLimbs; ++j) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(limbs[j]), numbers.limb[j]);
  }
  for (int i = 0; i < 4; ++i) {
    lane[i] = export_limbs(&limbs[0][i], 4);
    prefix[i] = lane[i];
    if (i > 0) blst_fp_mul(&prefix[i], &prefix[i - 1], &lane[i]);
  }
  if (is_zero(prefix[3])) return false;
  blst_fp inverse;
  blst_fp_inverse(&inverse, &prefix[3]);
  for (int i = 3; i >= 0; --i) {
    blst_fp own = inverse;
    if (i > 0) blst_fp_mul(&own, &inverse, &prefix[i - 1]);
    blst_fp_mul(&inverse, &inverse, &lane[i]);
    import_limbs(&limbs[0][i], 4, own);
  }
  for (int j = 0; j < kLimbs; ++j) numbers.limb[j] = load(limbs[j]);
  return true;
}

void set_one(Fp4& out) {
  std::uint64_t limbs[kLimbs];
  import_limbs(limbs, 1, blst_p1_generator()->z);
  for (int j = 0; j < kLimbs; ++j) {
    out.limb[j] = _mm256_set1_epi64x(static_cast<long long>(limbs[j]));
  }
}

// The differences of x, and what it takes to unpack them.
__m256i unpack_denominators(Fp4& out, const Operation* o) {
  Packed differences[4];
  for (int i = 0; i < 4; ++i)
    differences[i] = difference(load(o[i].addend->x), load(o[i].target->x));
  return unpack<For::kProducts>(out, differences);
}

void prefetch(const Operation* operations, std::size_t index, std::size_t count, bool with_y) {
  if (index >= count) return;  // also where a backward walk has wrapped around
  for (const Operation* o = operations + index; o < operations + index + 4; ++o) {
    __builtin_prefetch(o->target->x);
    __builtin_prefetch(o->addend->x);
    if (with_y) __builtin_prefetch(o->target->y);
    if (with_y) __builtin_prefetch(o->addend->y);
  }
}

// prefixes[v] = product of the denominators before vector v; returns the whole product. False if
// one point of a pair is infinite; if both are, the product is zero.
bool multiply_denominators(Fp4* prefixes, Fp4& product, const Operation* operations,
                           std::size_t count) {
  Fp4 denominator;
  __m256i infinite = _mm256_setzero_si256();
  set_one(product);
  for (std::size_t i = 0; i < count; i += 4) {
    prefetch(operations, i + kAhead, count, false);
    infinite = _mm256_or_si256(infinite, unpack_denominators(denominator, operations + i));
    prefixes[i / 4] = product;
    zkpfl_fp_mul4(&product, &denominator, &product);
  }
  return _mm256_testz_si256(infinite, infinite);
}

// The line through both points meets the curve in a third; reflected, that is the sum.
void add_four(const Operation* o, const Fp4& inverse) {
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

// Up to kChunk additions, a multiple of four; false, with nothing changed, if a point is infinite
// or two have the same x.
bool add_distinct(const Operation* operations, std::size_t count) {
  Fp4 prefixes[kVectors];
  Fp4 inverse, own, denominator;
  if (!multiply_denominators(prefixes, inverse, operations, count)) return false;
  if (!invert_lanes(inverse)) return false;
  for (std::size_t i = count; i > 0;) {
    i -= 4;
    prefetch(operations, i - kAhead, count, true);
    zkpfl_fp_mul4(&own, &inverse, &prefixes[i / 4]);
    unpack_denominators(denominator, operations + i);
    zkpfl_fp_mul4(&inverse, &denominator, &inverse);
    add_four(operations + i, own);
  }
  return true;
}

// Any number of additions by the complete path.
void add_portably(const Operation* operations, std::size_t count) {
  blst_p1_affine a[kSlowChunk], b[kSlowChunk];
  Addition<blst_p1_affine> portable[kSlowChunk];
  for (std::size_t begin = 0; begin < count; begin += kSlowChunk) {
    const std::size_t size = count - begin < kSlowChunk ? count - begin : kSlowChunk;
    for (std::size_t i = 0; i < size; ++i) {
      const Operation& operation = operations[begin + i];
      a[i] = export_point(*operation.target);
      b[i] = export_point(*operation.addend);
      portable[i] = {&a[i], &b[i], operation.negate};
    }
    PortableAdder::add(portable, size);
    for (std::size_t i = 0; i < size; ++i) import_point(operations[begin + i].target, a[i]);
  }
}

bool is_exceptional(const Operation& operation) {
  if (VectorAdder::is_infinity(*operation.target)) return true;
  if (VectorAdder::is_infinity(*operation.addend)) return true;
  const blst_fp a = export_limbs(operation.target->x, 1);
  const blst_fp b = export_limbs(operation.addend->x, 1);
  return __builtin_memcmp(&a, &b, sizeof a) == 0;
}

// Pads to a multiple of four with copies of the first addition, whose results nobody reads.
bool add_padded(const Operation* operations, std::size_t count) {
  Operation padded[4];
  Point spare[4];
  for (std::size_t i = 0; i < 4; ++i) {
    if (i < count) {
      padded[i] = operations[i];
    } else {
      spare[i] = *operations[0].target;
      padded[i] = {&spare[i], operations[0].addend, operations[0].negate};
    }
  }
  return add_distinct(padded, 4);
}

bool add_any_count(const Operation* operations, std::size_t count) {
  const std::size_t whole = count / 4 * 4;
  if (whole > 0 && !add_distinct(operations, whole)) return false;
  if (whole == count) return true;
  return add_padded(operations + whole, count - whole);
}

// The exceptional additions of a chunk portably, the others as fast as ever.
void add_sorted_out(const Operation* operations, std::size_t count) {
  Operation ordinary[kChunk], exceptional[kChunk];
  std::size_t ordinaries = 0, exceptionals = 0;
  for (std::size_t i = 0; i < count; ++i) {
    (is_exceptional(operations[i]) ? exceptional[exceptionals++] : ordinary[ordinaries++]) =
        operations[i];
  }
  add_portably(exceptional, exceptionals);
  add_any_count(ordinary, ordinaries);
}

}  // namespace

void VectorAdder::import_points(Point* out, const blst_p1_affine* points, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) import_point(out + i, points[i]);
}

void VectorAdder::export_points(blst_p1_affine* out, const Point* points, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = export_point(points[i]);
}

VectorAdder::Point VectorAdder::negated(const Point& point) {
  if (is_infinity(point)) return point;
  Point out = point;
  std::int64_t borrow = 0;
  for (int j = 0; j < kLimbs; ++j) {
    const auto twice = static_cast<std::int64_t>(2 * kPrime[j]);
    const std::int64_t rest = twice - std::int64_t{point.y[j]} + borrow;
    const bool top = j == kLimbs - 1;
    out.y[j] = static_cast<std::uint32_t>(top ? rest : rest & std::int64_t{kLimbMask});
    borrow = rest >> kLimbBits;
  }
  return out;
}

void VectorAdder::add(const Addition<Point>* additions, std::size_t count) {
  std::size_t begin = 0;
  for (std::size_t size; begin + 4 <= count; begin += size) {
    size = (count - begin < kChunk ? count - begin : kChunk) / 4 * 4;
    if (!add_distinct(additions + begin, size)) add_sorted_out(additions + begin, size);
  }
  const std::size_t rest = count - begin;
  if (rest > 0 && !add_padded(additions + begin, rest)) add_sorted_out(additions + begin, rest);
}

}  // namespace zkpfl

#endif
