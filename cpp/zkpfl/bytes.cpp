#include "zkpfl/bytes.h"

#include <algorithm>
#include <atomic>

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

// Whether all bytes are points of the curve, perhaps outside the subgroup; then they are in `out`.
bool all_on_curve(G1Points& out, const std::uint8_t* wire) {
  std::atomic<bool> good = true;
  parallel_for(out.size(), 8, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end && good; ++i) {
      if (blst_p1_uncompress(&out[i], wire + kPointBytes * i) != BLST_SUCCESS) good = false;
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
      count >= kSubgroupBatch && all_on_curve(points, wire) && all_in_subgroup(points);
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
