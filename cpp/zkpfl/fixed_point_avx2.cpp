#include "zkpfl/fixed_point_avx2.h"

#if defined(__x86_64__)

#include <immintrin.h>

// No function of another header is called here: a copy of an inline function compiled with AVX2
// could be the one that the linker keeps for everybody.

namespace zkpfl::avx2 {

namespace {

__m256d wide(const float* v) { return _mm256_cvtps_pd(_mm_loadu_ps(v)); }

// Eight sign masks from the bits of one byte, least significant first.
__m256 sign_mask(std::uint8_t bits) {
  const __m256i to_the_top = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
  const __m256i shifted = _mm256_sllv_epi32(_mm256_set1_epi32(bits), to_the_top);
  return _mm256_and_ps(_mm256_castsi256_ps(shifted), _mm256_set1_ps(-0.0f));
}

void butterfly(__m256& a, __m256& b) {
  const __m256 sum = _mm256_add_ps(a, b);
  b = _mm256_sub_ps(a, b);
  a = sum;
}

// (a, b) -> (a + b, a - b) inside a register: `low` has a in both places, `high` has b, and the
// mask has the sign bit where the difference goes. a + (-b) is a - b exactly.
__m256 butterfly_inside(__m256 low, __m256 high, __m256 mask) {
  return _mm256_add_ps(low, _mm256_xor_ps(high, mask));
}

// Distances 1, 2 and 4.
__m256 butterflies_inside(__m256 x) {
  const float n = -0.0f;
  x = butterfly_inside(_mm256_moveldup_ps(x), _mm256_movehdup_ps(x),
                       _mm256_setr_ps(0, n, 0, n, 0, n, 0, n));
  x = butterfly_inside(_mm256_permute_ps(x, 0x44), _mm256_permute_ps(x, 0xee),
                       _mm256_setr_ps(0, 0, n, n, 0, 0, n, n));
  return butterfly_inside(_mm256_permute2f128_ps(x, x, 0x00), _mm256_permute2f128_ps(x, x, 0x11),
                          _mm256_setr_ps(0, 0, 0, 0, n, n, n, n));
}

// Three levels between eight registers.
void butterflies_between(__m256 (&x)[8]) {
  for (int distance = 1; distance < 8; distance *= 2) {
    for (int i = 0; i < 8; ++i) {
      if (!(i & distance)) butterfly(x[i], x[i + distance]);
    }
  }
}

void first_six_levels(float* v) {
  __m256 x[8];
  for (int i = 0; i < 8; ++i) x[i] = butterflies_inside(_mm256_loadu_ps(v + 8 * i));
  butterflies_between(x);
  for (int i = 0; i < 8; ++i) _mm256_storeu_ps(v + 8 * i, x[i]);
}

void three_levels(float* v, std::size_t count, std::size_t distance) {
  for (std::size_t block = 0; block < count; block += 8 * distance) {
    for (std::size_t i = block; i < block + distance; i += 8) {
      __m256 x[8];
      for (std::size_t k = 0; k < 8; ++k) x[k] = _mm256_loadu_ps(v + i + k * distance);
      butterflies_between(x);
      for (std::size_t k = 0; k < 8; ++k) _mm256_storeu_ps(v + i + k * distance, x[k]);
    }
  }
}

void one_level(float* v, std::size_t count, std::size_t distance) {
  for (std::size_t block = 0; block < count; block += 2 * distance) {
    for (std::size_t i = block; i < block + distance; i += 8) {
      __m256 a = _mm256_loadu_ps(v + i), b = _mm256_loadu_ps(v + i + distance);
      butterfly(a, b);
      _mm256_storeu_ps(v + i, a);
      _mm256_storeu_ps(v + i + distance, b);
    }
  }
}

// Four big-endian 32-bit words as float64: unsigned, so through the signed number 2^31 below.
__m256d words(const std::uint8_t* stream) {
  const __m128i swap = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
  const __m128i u =
      _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(stream)), swap);
  const __m256d below = _mm256_cvtepi32_pd(_mm_xor_si128(u, _mm_set1_epi32(INT32_MIN)));
  return _mm256_add_pd(below, _mm256_set1_pd(0x1p31));
}

struct Rounding {
  __m256d scale, low, high;
};

// Four values as 32-bit integers; adds how many were outside to every lane's share in `outside`.
__m128i rounded(const float* v, const std::uint8_t* stream, const Rounding& to, __m256i& outside) {
  const __m256d y = _mm256_mul_pd(to.scale, wide(v));
  const __m256d floor = _mm256_floor_pd(y);
  const __m256d threshold = _mm256_mul_pd(_mm256_sub_pd(y, floor), _mm256_set1_pd(0x1p32));
  const __m256d up =
      _mm256_and_pd(_mm256_cmp_pd(words(stream), threshold, _CMP_LT_OQ), _mm256_set1_pd(1.0));
  const __m256d x = _mm256_add_pd(floor, up);
  const __m256d clamped = _mm256_min_pd(_mm256_max_pd(x, to.low), to.high);
  const __m256d differs = _mm256_cmp_pd(clamped, x, _CMP_NEQ_UQ);
  outside = _mm256_sub_epi64(outside, _mm256_castpd_si256(differs));  // the mask is -1
  return _mm256_cvtpd_epi32(clamped);
}

// Squares of eight 16-bit integers: the sum of two fits in 32 bits without a sign.
__m256i squares(__m128i x) { return _mm256_cvtepu32_epi64(_mm_madd_epi16(x, x)); }

std::uint64_t sum(__m256i x) {
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), x);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

}  // namespace

void add_squares(double* sums, const float* v, std::size_t count) {
  __m256d total[4];
  for (int k = 0; k < 4; ++k) total[k] = _mm256_loadu_pd(sums + 4 * k);
  for (std::size_t i = 0; i < count; i += 16) {
    for (int k = 0; k < 4; ++k) {
      const __m256d x = wide(v + i + 4 * k);
      total[k] = _mm256_add_pd(total[k], _mm256_mul_pd(x, x));
    }
  }
  for (int k = 0; k < 4; ++k) _mm256_storeu_pd(sums + 4 * k, total[k]);
}

void scale(float* out, const float* v, std::size_t count, double factor) {
  const __m256d f = _mm256_set1_pd(factor);
  for (std::size_t i = 0; i < count; i += 4) {
    _mm_storeu_ps(out + i, _mm256_cvtpd_ps(_mm256_mul_pd(f, wide(v + i))));
  }
}

void flip_signs(float* v, const std::uint8_t* bits, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 8) {
    _mm256_storeu_ps(v + i, _mm256_xor_ps(_mm256_loadu_ps(v + i), sign_mask(bits[i / 8])));
  }
}

Rounded round_stochastic(std::int16_t* out, const float* v, std::size_t count, double scale,
                         const std::uint8_t* stream, int limit) {
  const Rounding to{_mm256_set1_pd(scale), _mm256_set1_pd(-limit), _mm256_set1_pd(limit - 1)};
  __m256i norm = _mm256_setzero_si256(), outside = _mm256_setzero_si256();
  for (std::size_t i = 0; i < count; i += 8) {
    const __m128i low = rounded(v + i, stream + 4 * i, to, outside);
    const __m128i high = rounded(v + i + 4, stream + 4 * i + 16, to, outside);
    const __m128i x = _mm_packs_epi32(low, high);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), x);
    norm = _mm256_add_epi64(norm, squares(x));
  }
  return {sum(norm), sum(outside)};
}

void butterflies(float* v, std::size_t count, std::size_t first) {
  std::size_t distance = first;
  if (first == 1) {
    for (std::size_t i = 0; i < count; i += 64) first_six_levels(v + i);
    distance = 64;
  }
  for (; 8 * distance <= count; distance *= 8) three_levels(v, count, distance);
  for (; distance < count; distance *= 2) one_level(v, count, distance);
}

}  // namespace zkpfl::avx2

#endif
