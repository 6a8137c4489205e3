#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

// Four numbers modulo p in step: limb j of all four is one vector of 14, with 28 bits a limb, in
// Montgomery form with R = 2^392. For files compiled with AVX2 only, hence no external linkage.
//
// How large things get. "Carried": limbs below 2^28 and a value below 2.01 p, what products give;
// a "reduced" number is below 1.01 p. "Raw": limbs below 2^30 and a value below 11 p, what
// difference() gives. A product takes a raw and a carried number, a square a carried one.

struct Fp4 {
  __m256i limb[14];
};

// Made by generate/fp_mul4.py: out = a b, out = a^2. `out` may be an operand.
extern "C" {
void zkpfl_fp_mul4(Fp4* out, const Fp4* a, const Fp4* b);
void zkpfl_fp_sqr4(Fp4* out, const Fp4* a);
}

namespace zkpfl {
namespace {

constexpr int kLimbs = 14;
constexpr int kLimbBits = 28;
constexpr std::uint64_t kLimbMask = (1u << kLimbBits) - 1;
constexpr std::uint64_t kPrime[kLimbs] = {0xfffaaab, 0xfefffff, 0x3ffffb9, 0xfffeb15, 0x6241eab,
                                          0xa0f6b0f, 0xf6730d2, 0xf38512b, 0x4774b84, 0x4bacd76,
                                          0xba7b643, 0xe69a4b1, 0x1ea397f, 0x1a011};

struct alignas(32) Constant {
  std::uint64_t limb[kLimbs][4];
};

// `factor` times p; each limb borrows 2^(28 + spare) from the next, so that subtracting carried
// numbers limb by limb stays above zero.
constexpr Constant multiple_of_prime(std::uint64_t factor, int spare) {
  Constant out{};
  std::uint64_t carry = 0;
  for (int j = 0; j < kLimbs; ++j) {
    const std::uint64_t sum = kPrime[j] * factor + carry;
    const bool top = j == kLimbs - 1;
    carry = sum >> kLimbBits;
    std::uint64_t limb = top ? sum : sum & kLimbMask;
    if (spare > 0 && !top) limb += std::uint64_t{1} << (kLimbBits + spare);
    if (spare > 0 && j > 0) limb -= std::uint64_t{1} << spare;
    for (std::uint64_t& lane : out.limb[j]) lane = limb;
  }
  return out;
}

constexpr Constant kOneP = multiple_of_prime(1, 0);
constexpr Constant kRoom = multiple_of_prime(8, 1);      // limbs between 2^29 - 2 and 2^30 - 2^28
constexpr Constant kWideRoom = multiple_of_prime(8, 8);  // room for 16 p as well

// 2^32 / p in units of 2^364, rounded down.
constexpr std::uint64_t kReciprocal =
    (std::uint64_t{1} << 60) / ((kPrime[13] << kLimbBits) + kPrime[12] + 1);

inline __m256i load(const std::uint64_t (&lanes)[4]) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes));
}

// Limbs of one number, 16 words of 32 bits; the last two are padding.
using Words = std::uint32_t[16];

inline __m256i load_words(const Words& words, int first) {
  return _mm256_cvtepu32_epi64(_mm_load_si128(reinterpret_cast<const __m128i*>(words + first)));
}

// Transposes four numbers into vectors; returns their last words of padding.
inline __m256i gather(Fp4& out, const Words& a, const Words& b, const Words& c, const Words& d) {
  __m256i padding = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int q = 0; q < 16; q += 4) {
    const __m256i w0 = load_words(a, q), w1 = load_words(b, q);
    const __m256i w2 = load_words(c, q), w3 = load_words(d, q);
    const __m256i even_ab = _mm256_unpacklo_epi64(w0, w1), odd_ab = _mm256_unpackhi_epi64(w0, w1);
    const __m256i even_cd = _mm256_unpacklo_epi64(w2, w3), odd_cd = _mm256_unpackhi_epi64(w2, w3);
    out.limb[q] = _mm256_permute2x128_si256(even_ab, even_cd, 0x20);
    out.limb[q + 1] = _mm256_permute2x128_si256(odd_ab, odd_cd, 0x20);
    if (q < 12) out.limb[q + 2] = _mm256_permute2x128_si256(even_ab, even_cd, 0x31);
    const __m256i last = _mm256_permute2x128_si256(odd_ab, odd_cd, 0x31);
    if (q < 12) out.limb[q + 3] = last;
    if (q == 12) padding = last;
  }
  return padding;
}

// The inverse of gather, with padding of zeros.
inline void scatter(const Fp4& in, Words& a, Words& b, Words& c, Words& d) {
  const __m256i zero = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int q = 0; q < 16; q += 4) {
    const __m256i second = q < 12 ? in.limb[q + 2] : zero, third = q < 12 ? in.limb[q + 3] : zero;
    const __m256i low = _mm256_or_si256(in.limb[q], _mm256_slli_epi64(in.limb[q + 1], 32));
    const __m256i high = _mm256_or_si256(second, _mm256_slli_epi64(third, 32));
    const __m256i ac = _mm256_unpacklo_epi64(low, high), bd = _mm256_unpackhi_epi64(low, high);
    _mm_store_si128(reinterpret_cast<__m128i*>(a + q), _mm256_castsi256_si128(ac));
    _mm_store_si128(reinterpret_cast<__m128i*>(b + q), _mm256_castsi256_si128(bd));
    _mm_store_si128(reinterpret_cast<__m128i*>(c + q), _mm256_extracti128_si256(ac, 1));
    _mm_store_si128(reinterpret_cast<__m128i*>(d + q), _mm256_extracti128_si256(bd, 1));
  }
}

// a - b, raw, of carried numbers below 2.01 p.
inline void difference(Fp4& out, const Fp4& a, const Fp4& b) {
#pragma GCC unroll 14
  for (int j = 0; j < kLimbs; ++j) {
    const __m256i above = _mm256_add_epi64(a.limb[j], load(kRoom.limb[j]));
    out.limb[j] = _mm256_sub_epi64(above, b.limb[j]);
  }
}

// b - a where `signs` is 0 and -b - a where it is -1; raw, of carried numbers.
inline void signed_difference(Fp4& out, const Fp4& b, __m256i signs, const Fp4& a) {
#pragma GCC unroll 14
  for (int j = 0; j < kLimbs; ++j) {
    const __m256i signed_b = _mm256_sub_epi64(_mm256_xor_si256(b.limb[j], signs), signs);
    const __m256i above = _mm256_sub_epi64(load(kRoom.limb[j]), a.limb[j]);
    out.limb[j] = _mm256_add_epi64(above, signed_b);
  }
}

// Reduces 8 p plus what the limbs say: the quotient by p is guessed from the highest limb, at
// most 1 + 2^-10 too low.
inline void reduce(Fp4& out, const __m256i (&limb)[kLimbs]) {
  const __m256i top = _mm256_add_epi64(limb[13], _mm256_srli_epi64(limb[12], kLimbBits));
  const __m256i scaled = _mm256_mul_epu32(top, _mm256_set1_epi64x(kReciprocal));
  const __m256i quotient = _mm256_srli_epi64(scaled, 32);
  const __m256i mask = _mm256_set1_epi64x(kLimbMask);
  __m256i carry = _mm256_setzero_si256();
#pragma GCC unroll 14
  for (int j = 0; j < kLimbs; ++j) {
    const __m256i part = _mm256_mul_epu32(quotient, load(kOneP.limb[j]));
    const __m256i rest = _mm256_add_epi64(_mm256_sub_epi64(limb[j], part), carry);
    carry = _mm256_srli_epi64(rest, kLimbBits);
    out.limb[j] = j < kLimbs - 1 ? _mm256_and_si256(rest, mask) : rest;
  }
}

// a - b - c, reduced.
inline void reduced_difference(Fp4& out, const Fp4& a, const Fp4& b, const Fp4& c) {
  __m256i limb[kLimbs];
#pragma GCC unroll 14
  for (int j = 0; j < kLimbs; ++j) {
    const __m256i above = _mm256_add_epi64(a.limb[j], load(kWideRoom.limb[j]));
    limb[j] = _mm256_sub_epi64(_mm256_sub_epi64(above, b.limb[j]), c.limb[j]);
  }
  reduce(out, limb);
}

// a - b, reduced.
inline void reduced_difference(Fp4& out, const Fp4& a, const Fp4& b) {
  __m256i limb[kLimbs];
#pragma GCC unroll 14
  for (int j = 0; j < kLimbs; ++j) {
    const __m256i above = _mm256_add_epi64(a.limb[j], load(kWideRoom.limb[j]));
    limb[j] = _mm256_sub_epi64(above, b.limb[j]);
  }
  reduce(out, limb);
}

}  // namespace
}  // namespace zkpfl
