#include <algorithm>
#include <array>
#include <cmath>

#include "zkpfl/cpu.h"
#include "zkpfl/fixed_point.h"
#include "zkpfl/fixed_point_avx2.h"
#include "zkpfl/parallel.h"

// The Walsh-Hadamard transform in cache blocks. A butterfly at one distance touches each value
// once, so the levels may be grouped as long as each value sees them in order: first all distances
// inside blocks that fit in the first cache, then eight levels at a time, on strips of a cache line
// from 256 places at once. The strips are copied together: places that lie a power of two apart
// would push each other out of the cache.

namespace zkpfl {

namespace {

constexpr std::size_t kBlock = 4096;  // 16 KiB
constexpr std::size_t kLine = 16;     // floats in a cache line
constexpr std::size_t kMostPlaces = 256;
constexpr std::size_t kGrain = 1 << 16;  // values that are worth a thread

void butterflies(float* v, std::size_t count, std::size_t first) {
#if defined(__x86_64__)
  if (count >= 64 && has_avx2()) return avx2::butterflies(v, count, first);
#endif
  for (std::size_t distance = first; distance < count; distance *= 2) {
    for (std::size_t start = 0; start < count; start += 2 * distance) {
      for (std::size_t i = start; i < start + distance; ++i) {
        const float a = v[i], b = v[i + distance];
        v[i] = a + b;
        v[i + distance] = a - b;
      }
    }
  }
}

void blocks(float* v, std::size_t count) {
  const std::size_t size = std::min(count, kBlock);
  parallel_for(count / size, kGrain / kBlock, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) butterflies(v + b * size, size, 1);
  });
}

// All levels between `places` lines that lie `distance` apart.
void strip(float* v, std::size_t places, std::size_t distance) {
  std::array<float, kMostPlaces * kLine> lines;
  for (std::size_t k = 0; k < places; ++k) {
    std::copy_n(v + k * distance, kLine, lines.data() + k * kLine);
  }
  butterflies(lines.data(), places * kLine, kLine);
  for (std::size_t k = 0; k < places; ++k) {
    std::copy_n(lines.data() + k * kLine, kLine, v + k * distance);
  }
}

void strips(float* v, std::size_t count, std::size_t places, std::size_t distance) {
  const std::size_t lines = distance / kLine;  // strips in each group of places * distance values
  parallel_for(count / places / kLine, kGrain / kLine / places,
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t s = begin; s < end; ++s) {
                   const std::size_t group = s / lines * places * distance;
                   strip(v + group + s % lines * kLine, places, distance);
                 }
               });
}

void scale_by_root(float* v, std::size_t count) {
  const auto factor = static_cast<float>(1.0 / std::sqrt(static_cast<double>(count)));
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) v[i] *= factor;
  });
}

}  // namespace

void hadamard(float* v, std::size_t count) {
  blocks(v, count);
  for (std::size_t distance = kBlock; distance < count;) {
    const std::size_t places = std::min(count / distance, kMostPlaces);
    strips(v, count, places, distance);
    distance *= places;
  }
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

}  // namespace zkpfl
