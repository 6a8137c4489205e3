#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/affine_batch.h"
#include "zkpfl/fp_vector.h"

// Batches of additions on the numbers of one instruction set, with the rules of fp_vector.h:
// templates over a Lanes, which is a Numbers and has
//   Point, Operation               a point in memory, Addition<Point>
//   is_infinity, set_infinity      of a point; of one that is zero
//   chords, tangents               denominators of kLanes slopes; whether a point is infinite
//   add, twice                     the rest of it, given their inverses

namespace zkpfl {
namespace {

template <typename Lanes>
void import_point(typename Lanes::Point* out, const blst_p1_affine& point) {
  *out = typename Lanes::Point{};
  if (is_zero(point.x) && is_zero(point.y)) {
    Lanes::set_infinity(*out);
    return;
  }
  import_limbs<Lanes>(out->x, 1, point.x);
  import_limbs<Lanes>(out->y, 1, point.y);
}

template <typename Lanes>
blst_p1_affine export_point(const typename Lanes::Point& point) {
  if (Lanes::is_infinity(point)) return {};
  return {export_limbs<Lanes>(point.x, 1), export_limbs<Lanes>(point.y, 1)};
}

constexpr std::size_t kChunk = 2048;  // amortises an inverse; its prefixes stay in cache
constexpr std::size_t kAhead = 2;     // vectors between a prefetch and its use
constexpr std::size_t kSlowChunk = 32;

// Calls finish(v, inverses) for each of some vectors v, last first, with the inverses of the
// denominators that denominators(out, v) gives. False, and nothing is finished, if that says that a
// point is infinite or if a denominator is zero. prefetch(v, for_finish) comes a little before.
template <typename Lanes, typename Denominators, typename Finish, typename Prefetch>
bool with_inverses(std::size_t vectors, const Denominators& denominators, const Finish& finish,
                   const Prefetch& prefetch) {
  using Vector = typename Lanes::Vector;
  Vector prefixes[kChunk / Lanes::kLanes];
  Vector denominator, own, inverse = ones<Lanes>();
  bool infinite = false;
  for (std::size_t v = 0; v < vectors; ++v) {
    if (v + kAhead < vectors) prefetch(v + kAhead, false);
    infinite |= denominators(denominator, v);
    prefixes[v] = inverse;
    Lanes::multiply(inverse, denominator, inverse);
  }
  if (infinite || !invert_lanes<Lanes>(inverse)) return false;
  for (std::size_t v = vectors; v-- > 0;) {
    if (v >= kAhead) prefetch(v - kAhead, true);
    Lanes::multiply(own, inverse, prefixes[v]);
    denominators(denominator, v);
    Lanes::multiply(inverse, denominator, inverse);
    finish(v, own);
  }
  return true;
}

template <typename Lanes>
class BatchOn {
 public:
  using Point = typename Lanes::Point;
  using Operation = Addition<Point>;

  static void add(const Operation* operations, std::size_t count) {
    std::size_t begin = 0;
    for (std::size_t size; begin + kLanes <= count; begin += size) {
      size = whole(count - begin);
      if (!add_distinct(operations + begin, size)) add_sorted_out(operations + begin, size);
    }
    const std::size_t rest = count - begin;
    if (rest > 0 && !add_padded(operations + begin, rest)) {
      add_sorted_out(operations + begin, rest);
    }
  }

  static void twice(Point* points, std::size_t count) {
    std::size_t begin = 0;
    for (std::size_t size; begin + kLanes <= count; begin += size) {
      size = whole(count - begin);
      if (!twice_finite(points + begin, size)) twice_portably(points + begin, size);
    }
    if (begin < count) twice_portably(points + begin, count - begin);
  }

 private:
  static constexpr std::size_t kLanes = Lanes::kLanes;

  // The most of `count` operations that fill vectors and a chunk.
  static std::size_t whole(std::size_t count) {
    return (count < kChunk ? count : kChunk) / kLanes * kLanes;
  }

  static void prefetch(const Operation* operations, bool with_y) {
    for (const Operation* o = operations; o < operations + kLanes; ++o) {
      __builtin_prefetch(o->target->x);
      __builtin_prefetch(o->addend->x);
      if (with_y) __builtin_prefetch(o->target->y);
      if (with_y) __builtin_prefetch(o->addend->y);
    }
  }

  // Up to kChunk additions, whole vectors of them; false, with nothing changed, if a point is
  // infinite or two have the same x.
  static bool add_distinct(const Operation* operations, std::size_t count) {
    return with_inverses<Lanes>(
        count / kLanes,
        [&](auto& out, std::size_t v) { return Lanes::chords(out, operations + kLanes * v); },
        [&](std::size_t v, const auto& inverse) { Lanes::add(operations + kLanes * v, inverse); },
        [&](std::size_t v, bool with_y) { prefetch(operations + kLanes * v, with_y); });
  }

  // Points that lie in a row need no prefetch.
  static bool twice_finite(Point* points, std::size_t count) {
    return with_inverses<Lanes>(
        count / kLanes,
        [&](auto& out, std::size_t v) { return Lanes::tangents(out, points + kLanes * v); },
        [&](std::size_t v, const auto& inverse) { Lanes::twice(points + kLanes * v, inverse); },
        [](std::size_t, bool) {});
  }

  // Pads to a vector with copies of the first addition, whose results nobody reads.
  static bool add_padded(const Operation* operations, std::size_t count) {
    Operation padded[kLanes];
    Point spare[kLanes];
    for (std::size_t i = 0; i < kLanes; ++i) {
      if (i < count) {
        padded[i] = operations[i];
      } else {
        spare[i] = *operations[0].target;
        padded[i] = {&spare[i], operations[0].addend, operations[0].negate};
      }
    }
    return add_distinct(padded, kLanes);
  }

  static bool add_any_count(const Operation* operations, std::size_t count) {
    const std::size_t whole = count / kLanes * kLanes;
    if (whole > 0 && !add_distinct(operations, whole)) return false;
    if (whole == count) return true;
    return add_padded(operations + whole, count - whole);
  }

  // The exceptional additions of a chunk portably, the others as fast as ever.
  static void add_sorted_out(const Operation* operations, std::size_t count) {
    Operation ordinary[kChunk], exceptional[kChunk];
    std::size_t ordinaries = 0, exceptionals = 0;
    for (std::size_t i = 0; i < count; ++i) {
      (is_exceptional(operations[i]) ? exceptional[exceptionals++] : ordinary[ordinaries++]) =
          operations[i];
    }
    add_portably(exceptional, exceptionals);
    add_any_count(ordinary, ordinaries);
  }

  static bool is_exceptional(const Operation& operation) {
    if (Lanes::is_infinity(*operation.target)) return true;
    if (Lanes::is_infinity(*operation.addend)) return true;
    const blst_fp a = export_limbs<Lanes>(operation.target->x, 1);
    const blst_fp b = export_limbs<Lanes>(operation.addend->x, 1);
    return __builtin_memcmp(&a, &b, sizeof a) == 0;
  }

  // Any number of additions by the complete path.
  static void add_portably(const Operation* operations, std::size_t count) {
    blst_p1_affine a[kSlowChunk], b[kSlowChunk];
    Addition<blst_p1_affine> portable[kSlowChunk];
    for (std::size_t begin = 0; begin < count; begin += kSlowChunk) {
      const std::size_t size = count - begin < kSlowChunk ? count - begin : kSlowChunk;
      for (std::size_t i = 0; i < size; ++i) {
        const Operation& operation = operations[begin + i];
        a[i] = export_point<Lanes>(*operation.target);
        b[i] = export_point<Lanes>(*operation.addend);
        portable[i] = {&a[i], &b[i], operation.negate};
      }
      PortableAdder::add(portable, size);
      for (std::size_t i = 0; i < size; ++i) {
        import_point<Lanes>(operations[begin + i].target, a[i]);
      }
    }
  }

  static void twice_portably(Point* points, std::size_t count) {
    blst_p1_affine portable[kSlowChunk];
    for (std::size_t begin = 0; begin < count; begin += kSlowChunk) {
      const std::size_t size = count - begin < kSlowChunk ? count - begin : kSlowChunk;
      for (std::size_t i = 0; i < size; ++i) portable[i] = export_point<Lanes>(points[begin + i]);
      PortableAdder::twice(portable, size);
      for (std::size_t i = 0; i < size; ++i) import_point<Lanes>(&points[begin + i], portable[i]);
    }
  }
};

}  // namespace
}  // namespace zkpfl
