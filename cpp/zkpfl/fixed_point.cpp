#include "zkpfl/fixed_point.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace zkpfl {

namespace {

// Halves first: the same operations on the same values as pass by pass, but within the cache.
void butterflies(float* v, std::size_t count) {
  if (count == 1) return;
  const std::size_t half = count / 2;
  butterflies(v, half);
  butterflies(v + half, half);
  for (std::size_t i = 0; i < half; ++i) {
    const float a = v[i], b = v[half + i];
    v[i] = a + b;
    v[half + i] = a - b;
  }
}

void scale_by_root(float* v, std::size_t count) {
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(count)));
  for (std::size_t i = 0; i < count; ++i) v[i] *= factor;
}

std::uint32_t word(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | std::uint32_t{bytes[3]};
}

}  // namespace

double squared_norm(const float* v, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(v[i]) * v[i];
  return sum;
}

void hadamard(float* v, std::size_t count) {
  butterflies(v, count);
  scale_by_root(v, count);
}

void hadamard_naive(float* v, std::size_t count) {
  for (std::size_t distance = 1; distance < count; distance *= 2) {
    for (std::size_t i = 0; i < count; ++i) {
      if (i & distance) continue;
      const float a = v[i], b = v[i + distance];
      v[i] = a + b;
      v[i + distance] = a - b;
    }
  }
  scale_by_root(v, count);
}

void flip_signs(float* v, const std::uint8_t* bits, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t sign = (bits[i / 8] >> (i % 8)) & 1;
    v[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(v[i]) ^ sign << 31);
  }
}

Rounded round_stochastic(std::int16_t* out, const float* v, std::size_t count, double scale,
                         const std::uint8_t* stream, int limit) {
  const double low = -limit, high = limit - 1;
  Rounded result{0, 0};
  for (std::size_t i = 0; i < count; ++i) {
    const double y = scale * static_cast<double>(v[i]);
    const double floor = std::floor(y);
    const double up = word(stream + 4 * i) < (y - floor) * 0x1p32 ? 1 : 0;
    const double x = std::clamp(floor + up, low, high);
    if (x != floor + up) ++result.outside;
    out[i] = static_cast<std::int16_t>(x);
    const auto integer = static_cast<std::int64_t>(out[i]);
    result.squared_norm += static_cast<std::uint64_t>(integer * integer);
  }
  return result;
}

}  // namespace zkpfl
