#include "zkpfl/fixed_point.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <mutex>
#include <vector>

#include "zkpfl/cpu.h"
#include "zkpfl/fixed_point_avx2.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kBlock = 1 << 16;  // values that are worth a thread, and one sum of squares
constexpr std::size_t kSums = 16;

std::uint32_t word(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | std::uint32_t{bytes[3]};
}

// How many of `count` values the vector code takes; the rest, or all, is for the portable loop.
std::size_t vectorized(std::size_t count, std::size_t multiple) {
  return has_avx2() ? count - count % multiple : 0;
}

double squared_norm_of_block(const float* v, std::size_t count) {
  std::array<double, kSums> sums{};
  const std::size_t fast = vectorized(count, kSums);
#if defined(__x86_64__)
  if (fast > 0) avx2::add_squares(sums.data(), v, fast);
#endif
  for (std::size_t i = fast; i < count; ++i) sums[i % kSums] += static_cast<double>(v[i]) * v[i];
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// body(begin, end) on ranges that begin at multiples of kBlock.
void for_blocks(std::size_t count,
                const std::function<void(std::size_t begin, std::size_t end)>& body) {
  parallel_for((count + kBlock - 1) / kBlock, 1, [&](std::size_t begin, std::size_t end) {
    body(begin * kBlock, std::min(end * kBlock, count));
  });
}

}  // namespace

double squared_norm(const float* v, std::size_t count) {
  std::vector<double> norms((count + kBlock - 1) / kBlock);
  parallel_for(norms.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end; ++b) {
      norms[b] = squared_norm_of_block(v + b * kBlock, std::min(kBlock, count - b * kBlock));
    }
  });
  double total = 0;
  for (const double norm : norms) total += norm;
  return total;
}

void scale(float* out, const float* v, std::size_t count, double factor) {
  for_blocks(count, [&](std::size_t begin, std::size_t end) {
    const std::size_t fast = begin + vectorized(end - begin, 8);
#if defined(__x86_64__)
    if (fast > begin) avx2::scale(out + begin, v + begin, fast - begin, factor);
#endif
    for (std::size_t i = fast; i < end; ++i) {
      out[i] = static_cast<float>(factor * static_cast<double>(v[i]));
    }
  });
}

void flip_signs(float* v, const std::uint8_t* bits, std::size_t count) {
  for_blocks(count, [&](std::size_t begin, std::size_t end) {
    const std::size_t fast = begin + vectorized(end - begin, 8);
#if defined(__x86_64__)
    if (fast > begin) avx2::flip_signs(v + begin, bits + begin / 8, fast - begin);
#endif
    for (std::size_t i = fast; i < end; ++i) {
      const std::uint32_t sign = (bits[i / 8] >> (i % 8)) & 1;
      v[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(v[i]) ^ sign << 31);
    }
  });
}

Rounded round_stochastic(std::int16_t* out, const float* v, std::size_t count, double scale,
                         const std::uint8_t* stream, int limit) {
  Rounded result{0, 0};
  std::mutex result_mutex;
  const auto add = [&](const Rounded& part) {
    const std::lock_guard lock(result_mutex);
    result.squared_norm += part.squared_norm;
    result.outside += part.outside;
  };
  for_blocks(count, [&](std::size_t begin, std::size_t end) {
    const std::size_t fast = begin + vectorized(end - begin, 8);
#if defined(__x86_64__)
    if (fast > begin)
      add(avx2::round_stochastic(out + begin, v + begin, fast - begin, scale, stream + 4 * begin,
                                 limit));
#endif
    add(round_stochastic_naive(out + fast, v + fast, end - fast, scale, stream + 4 * fast, limit));
  });
  return result;
}

Rounded round_stochastic_naive(std::int16_t* out, const float* v, std::size_t count, double scale,
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

void mean(float* out, const std::int64_t* total, std::size_t count, double scale,
          double submissions) {
  for_blocks(count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      out[i] = static_cast<float>((static_cast<double>(total[i]) / scale) / submissions);
    }
  });
}

}  // namespace zkpfl
