#include "zkpfl/bytes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "zkpfl/fp_roots.h"
#include "zkpfl/g1_subgroup.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kScalarGrain = 8192;  // less than a thread costs

// Several threads look for the first fault.
void lower(std::atomic<std::size_t>& least, std::size_t value) {
  std::size_t seen = least;
  while (value < seen && !least.compare_exchange_weak(seen, value)) {
  }
}

// Why the bytes are no point of the subgroup, or nullptr.
const char* decode_point(blst_p1_affine* out, const std::uint8_t* wire) {
  switch (blst_p1_uncompress(out, wire)) {
    case BLST_SUCCESS:
      break;
    case BLST_POINT_NOT_ON_CURVE:
      return "is not on the curve";
    case BLST_POINT_NOT_IN_GROUP:
      return "is not in the prime-order subgroup";
    default:
      return "is not a canonical compressed encoding";
  }
  return blst_p1_affine_in_g1(out) ? nullptr : "is not in the prime-order subgroup";
}

constexpr std::size_t kPointsAtOnce = 64;  // whose roots are taken together
constexpr std::uint8_t kCompressed = 0x80, kInfinity = 0x40, kLarger = 0x20;

using FieldBytes = std::array<std::uint8_t, kPointBytes>;

constexpr FieldBytes kPrime = {
    0x1a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x9a, 0x4b, 0x1b, 0xa7, 0xb6, 0x43, 0x4b, 0xac, 0xd7,
    0x64, 0x77, 0x4b, 0x84, 0xf3, 0x85, 0x12, 0xbf, 0x67, 0x30, 0xd2, 0xa0, 0xf6, 0xb0, 0xf6, 0x24,
    0x1e, 0xab, 0xff, 0xfe, 0xb1, 0x53, 0xff, 0xff, 0xb9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xaa, 0xab};

// floor(p / 2), the largest y that needs no flag.
constexpr FieldBytes half_of_prime() {
  FieldBytes out{};
  for (std::size_t i = 0, carried = 0; i < out.size(); carried = kPrime[i++] & 1) {
    out[i] = static_cast<std::uint8_t>(carried << 7 | kPrime[i] >> 1);
  }
  return out;
}

constexpr FieldBytes kHalf = half_of_prime();

// Of the curve y^2 = x^3 + 4.
const blst_fp& four() {
  static const blst_fp value = [] {
    blst_fp out;
    const std::uint64_t words[6] = {4};
    blst_fp_from_uint64(&out, words);
    return out;
  }();
  return value;
}

// x and y^2 of a compressed point; infinity is taken for (0, 0). False if it is not canonical.
bool decode_x(blst_fp* x, blst_fp* y_squared, const std::uint8_t* wire) {
  FieldBytes bytes;
  std::copy_n(wire, kPointBytes, bytes.data());
  *x = *y_squared = blst_fp{};
  if (bytes[0] & kInfinity) {
    return bytes[0] == (kCompressed | kInfinity) &&
           std::all_of(bytes.begin() + 1, bytes.end(), [](std::uint8_t byte) { return byte == 0; });
  }
  if (!(bytes[0] & kCompressed)) return false;
  bytes[0] &= kLarger - 1;
  if (bytes >= kPrime) return false;
  blst_fp_from_bendian(x, bytes.data());
  blst_fp_sqr(y_squared, x);
  blst_fp_mul(y_squared, y_squared, x);
  blst_fp_add(y_squared, y_squared, &four());
  return true;
}

// y from a candidate for it; false if there is none.
bool decode_y(blst_fp* y, const blst_fp& root, const blst_fp& y_squared, bool larger) {
  blst_fp squared;
  blst_fp_sqr(&squared, &root);
  if (std::memcmp(&squared, &y_squared, sizeof squared) != 0) return false;
  FieldBytes bytes;
  blst_bendian_from_fp(bytes.data(), &root);
  *y = root;
  blst_fp_cneg(y, y, (bytes > kHalf) != larger);
  return true;
}

// Up to kPointsAtOnce points of the curve.
bool decode_block(blst_p1_affine* out, const std::uint8_t* wire, std::size_t count) {
  blst_fp y_squared[kPointsAtOnce] = {}, roots[kPointsAtOnce];
  for (std::size_t i = 0; i < count; ++i) {
    if (!decode_x(&out[i].x, &y_squared[i], wire + kPointBytes * i)) return false;
  }
  candidate_roots(roots, y_squared, count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool larger = wire[kPointBytes * i] & kLarger;
    if (!decode_y(&out[i].y, roots[i], y_squared[i], larger)) return false;
  }
  return true;
}

// Whether all bytes are points of the curve, perhaps outside the subgroup; then they are in `out`.
bool all_on_curve(G1Points& out, const std::uint8_t* wire) {
  std::atomic<bool> good = true;
  parallel_for(out.size(), kPointsAtOnce, [&](std::size_t begin, std::size_t end) {
    for (std::size_t first = begin; first < end && good; first += kPointsAtOnce) {
      const std::size_t count = std::min(kPointsAtOnce, end - first);
      if (!decode_block(&out[first], wire + kPointBytes * first, count)) good = false;
    }
  });
  return good;
}

void decode_one_by_one(G1Points& points, const std::uint8_t* wire) {
  std::atomic<std::size_t> first_bad = points.size();
  parallel_for(points.size(), 8, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      if (decode_point(&points[i], wire + kPointBytes * i) != nullptr) return lower(first_bad, i);
    }
  });
  const std::size_t bad = first_bad;
  if (bad < points.size()) {
    throw InvalidPoint(bad, decode_point(&points[bad], wire + kPointBytes * bad));
  }
}

}  // namespace

void decode_scalars(Scalar* out, const std::uint8_t* wire, std::size_t count) {
  std::atomic<std::size_t> first_bad = count;
  parallel_for(count, kScalarGrain, [&](std::size_t begin, std::size_t end) {
    bool good = true;
    for (std::size_t i = begin; i < end; ++i) {
      out[i] = load_bendian(wire + kScalarBytes * i);
      good &= is_below_order(out[i]);
    }
    if (good) return;
    const Scalar* bad = std::find_if_not(out + begin, out + end, is_below_order);
    lower(first_bad, static_cast<std::size_t>(bad - out));
  });
  if (first_bad < count) throw InvalidScalar(first_bad);
}

void encode_scalars(std::uint8_t* wire, const Scalar* scalars, std::size_t count) {
  parallel_for(count, kScalarGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) store_bendian(wire + kScalarBytes * i, scalars[i]);
  });
}

G1Points decode_points(const std::uint8_t* wire, std::size_t count) {
  G1Points points(count);
  // The batch says only that some point is bad; one by one says which, and why.
  const bool good =
      count >= kSubgroupSteps && all_on_curve(points, wire) && all_in_subgroup(points);
  if (!good) decode_one_by_one(points, wire);
  return points;
}

void encode_points(std::uint8_t* wire, const G1Points& points) {
  for (const auto& point : points) {
    blst_p1_affine_compress(wire, &point);
    wire += kPointBytes;
  }
}

}  // namespace zkpfl
