#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

// Eight numbers modulo p in step, for AVX-512 with IFMA: limb j of all eight is one vector of 8,
// with 52 bits a limb, in Montgomery form with R = 2^416. For files compiled for it only, hence no
// external linkage.
//
// How large things get. Limbs are always carried: the multiplier reads their low 52 bits only.
// R is 2^35 p, so that products of anything below 2^16 p are below 2.01 p; a "reduced" number is
// below 1.01 p.

namespace zkpfl {
namespace {

struct Fp8 {
  __m512i limb[8];
};

constexpr int kLimbs = 8;
constexpr int kLimbBits = 52;
constexpr std::uint64_t kLimbMask = (std::uint64_t{1} << kLimbBits) - 1;

struct Constant {
  std::uint64_t limb[kLimbs];
};

constexpr Constant kPrime = {{0xeffffffffaaab, 0xfeb153ffffb9f, 0x6b0f6241eabff, 0x12bf6730d2a0f,
                              0x764774b84f385, 0x1ba7b6434bacd, 0x1ea397fe69a4b, 0x1a011}};

// -1/p mod 2^52, by Newton's iteration.
constexpr std::uint64_t negative_inverse() {
  std::uint64_t inverse = 1;
  for (int i = 0; i < 6; ++i) inverse *= 2 - kPrime.limb[0] * inverse;
  return (0 - inverse) & kLimbMask;
}

constexpr std::uint64_t kInverse = negative_inverse();

// factor p, and what does not fit the limbs in the highest one.
constexpr Constant multiple_of_prime(std::uint64_t factor) {
  Constant out{};
  unsigned __int128 carry = 0;
  for (int j = 0; j < kLimbs; ++j) {
    carry += static_cast<unsigned __int128>(kPrime.limb[j]) * factor;
    out.limb[j] = static_cast<std::uint64_t>(carry) & (j < kLimbs - 1 ? kLimbMask : ~0ull);
    carry >>= kLimbBits;
  }
  return out;
}

// (p' + 1) / 2^52 with p' = p kInverse, which is -1 modulo 2^52: adding m p' to a sum whose lowest
// limb is m clears that limb and adds this many m to the others. No multiplier need be computed.
constexpr Constant shifted_multiple() {
  Constant out{};
  unsigned __int128 carry = 0;
  for (int j = 0; j <= kLimbs; ++j) {
    if (j < kLimbs) carry += static_cast<unsigned __int128>(kPrime.limb[j]) * kInverse;
    if (j > 0) out.limb[j - 1] = static_cast<std::uint64_t>(carry) & kLimbMask;
    carry >>= kLimbBits;
    if (j == 0) carry += 1;
  }
  return out;
}

constexpr Constant kMultiple = shifted_multiple();

inline __m512i low(__m512i sum, __m512i a, __m512i b) { return _mm512_madd52lo_epu64(sum, a, b); }
inline __m512i high(__m512i sum, __m512i a, __m512i b) { return _mm512_madd52hi_epu64(sum, a, b); }

inline __m512i all(std::uint64_t value) { return _mm512_set1_epi64(static_cast<long long>(value)); }

// t[0 .. 9] without its lowest limb, which a multiple of p has cleared.
inline void drop_limb(__m512i (&t)[10]) {
  const __m512i m = t[0];
  t[1] = _mm512_add_epi64(t[1], _mm512_srli_epi64(m, kLimbBits));
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) t[j + 1] = low(t[j + 1], m, all(kMultiple.limb[j]));
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) t[j + 2] = high(t[j + 2], m, all(kMultiple.limb[j]));
#pragma GCC unroll 9
  for (int j = 0; j < 9; ++j) t[j] = t[j + 1];
  t[9] = _mm512_setzero_si512();
}

// The last one by p itself, which brings the result from 2^52 p down to 2.01 p.
inline void drop_last_limb(__m512i (&t)[10]) {
  const __m512i m = low(_mm512_setzero_si512(), t[0], all(kInverse));
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) t[j] = low(t[j], m, all(kPrime.limb[j]));
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) t[j + 1] = high(t[j + 1], m, all(kPrime.limb[j]));
  t[1] = _mm512_add_epi64(t[1], _mm512_srli_epi64(t[0], kLimbBits));
#pragma GCC unroll 9
  for (int j = 0; j < 9; ++j) t[j] = t[j + 1];
}

// Limbs of 52 bits from signed ones, of a sum that is not negative.
inline void carry(Fp8& out, const __m512i* t) {
  const __m512i mask = all(kLimbMask);
  __m512i limb = t[0];
#pragma GCC unroll 7
  for (int j = 0; j < kLimbs - 1; ++j) {
    out.limb[j] = _mm512_and_si512(limb, mask);
    limb = _mm512_add_epi64(t[j + 1], _mm512_srai_epi64(limb, kLimbBits));
  }
  out.limb[kLimbs - 1] = limb;
}

// out = a b / R; `out` may be an operand.
__attribute__((noinline)) void multiply(Fp8& out, const Fp8& a, const Fp8& b) {
  __m512i t[10];
#pragma GCC unroll 10
  for (int j = 0; j < 10; ++j) t[j] = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int i = 0; i < kLimbs; ++i) {
    const __m512i factor = b.limb[i];
#pragma GCC unroll 8
    for (int j = 0; j < kLimbs; ++j) t[j] = low(t[j], a.limb[j], factor);
#pragma GCC unroll 8
    for (int j = 0; j < kLimbs; ++j) t[j + 1] = high(t[j + 1], a.limb[j], factor);
    if (i < kLimbs - 1) {
      drop_limb(t);
    } else {
      drop_last_limb(t);
    }
  }
  carry(out, t);
}

// out = a^2 / R.
__attribute__((noinline)) void square(Fp8& out, const Fp8& a) {
  __m512i wide[17];
#pragma GCC unroll 17
  for (int j = 0; j < 17; ++j) wide[j] = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int i = 0; i < kLimbs; ++i) {
#pragma GCC unroll 8
    for (int j = i + 1; j < kLimbs; ++j) {
      wide[i + j] = low(wide[i + j], a.limb[i], a.limb[j]);
      wide[i + j + 1] = high(wide[i + j + 1], a.limb[i], a.limb[j]);
    }
  }
#pragma GCC unroll 17
  for (int j = 0; j < 17; ++j) wide[j] = _mm512_add_epi64(wide[j], wide[j]);
#pragma GCC unroll 8
  for (int i = 0; i < kLimbs; ++i) {
    wide[2 * i] = low(wide[2 * i], a.limb[i], a.limb[i]);
    wide[2 * i + 1] = high(wide[2 * i + 1], a.limb[i], a.limb[i]);
  }
  __m512i t[10];
#pragma GCC unroll 10
  for (int j = 0; j < 10; ++j) t[j] = wide[j];
#pragma GCC unroll 8
  for (int i = 0; i < kLimbs; ++i) {
    if (i < kLimbs - 1) {
      drop_limb(t);
      t[9] = wide[10 + i];
    } else {
      drop_last_limb(t);
    }
  }
  carry(out, t);
}

// A number plus `kMultiples` p, limb by limb and not yet carried.
template <int kMultiples>
inline void raise(__m512i* t, const Fp8& a) {
  constexpr Constant kRaised = multiple_of_prime(kMultiples);
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) t[j] = _mm512_add_epi64(a.limb[j], all(kRaised.limb[j]));
}

inline void subtract(__m512i* t, const Fp8& a) {
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) t[j] = _mm512_sub_epi64(t[j], a.limb[j]);
}

// a - b plus 2 p, of reduced numbers.
inline void difference(Fp8& out, const Fp8& a, const Fp8& b) {
  __m512i t[kLimbs];
  raise<2>(t, a);
  subtract(t, b);
  carry(out, t);
}

struct alignas(64) Multiples {
  std::uint64_t limb[kLimbs][8];
};

constexpr Multiples small_multiples() {
  Multiples out{};
  for (std::uint64_t k = 0; k < 8; ++k) {
    for (int j = 0; j < kLimbs; ++j) out.limb[j][k] = multiple_of_prime(k).limb[j];
  }
  return out;
}

constexpr Multiples kMultiples = small_multiples();

// Reduces a positive sum below 8 p. The quotient by p is guessed from the highest limb, a little
// too low rather than too high: by at most 1 + 2^-13.
inline void reduce(Fp8& out, __m512i* t) {
  constexpr std::uint64_t kReciprocal =
      (std::uint64_t{1} << kLimbBits) / (kPrime.limb[kLimbs - 1] + 1);
  constexpr std::uint64_t kUncarried = 4;  // more than the lower limbs can borrow
  const __m512i top = _mm512_sub_epi64(t[kLimbs - 1], all(kUncarried));
  const __m512i quotient = high(_mm512_setzero_si512(), top, all(kReciprocal));
#pragma GCC unroll 8
  for (int j = 0; j < kLimbs; ++j) {
    const __m512i multiple =
        _mm512_permutexvar_epi64(quotient, _mm512_load_si512(kMultiples.limb[j]));
    t[j] = _mm512_sub_epi64(t[j], multiple);
  }
  carry(out, t);
}

// One number as it lies in memory: 8 limbs in 64-bit words.
using Words = std::uint64_t[8];

// Which of eight pointers ends in which lane; its own inverse.
constexpr int kLaneOrder[8] = {0, 1, 4, 5, 2, 3, 6, 7};

// Transposes eight numbers into vectors, number kLaneOrder[i] from in[i].
inline void load(Fp8& out, const std::uint64_t* const (&in)[8]) {
#pragma GCC unroll 2
  for (int half = 0; half < 8; half += 4) {
    __m512i a[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m256i first = _mm256_load_si256(reinterpret_cast<const __m256i*>(in[i] + half));
      const __m256i second = _mm256_load_si256(reinterpret_cast<const __m256i*>(in[i + 4] + half));
      a[i] = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    }
    const __m512i even01 = _mm512_unpacklo_epi64(a[0], a[1]);
    const __m512i odd01 = _mm512_unpackhi_epi64(a[0], a[1]);
    const __m512i even23 = _mm512_unpacklo_epi64(a[2], a[3]);
    const __m512i odd23 = _mm512_unpackhi_epi64(a[2], a[3]);
    out.limb[half] = _mm512_shuffle_i64x2(even01, even23, 0x88);
    out.limb[half + 1] = _mm512_shuffle_i64x2(odd01, odd23, 0x88);
    out.limb[half + 2] = _mm512_shuffle_i64x2(even01, even23, 0xdd);
    out.limb[half + 3] = _mm512_shuffle_i64x2(odd01, odd23, 0xdd);
  }
}

// The inverse of load.
inline void store(const Fp8& in, std::uint64_t* const (&out)[8]) {
  const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
  const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
#pragma GCC unroll 2
  for (int half = 0; half < 8; half += 4) {
    const __m512i even01 = _mm512_permutex2var_epi64(in.limb[half], first, in.limb[half + 2]);
    const __m512i even23 = _mm512_permutex2var_epi64(in.limb[half], second, in.limb[half + 2]);
    const __m512i odd01 = _mm512_permutex2var_epi64(in.limb[half + 1], first, in.limb[half + 3]);
    const __m512i odd23 = _mm512_permutex2var_epi64(in.limb[half + 1], second, in.limb[half + 3]);
    const __m512i a[4] = {
        _mm512_unpacklo_epi64(even01, odd01), _mm512_unpackhi_epi64(even01, odd01),
        _mm512_unpacklo_epi64(even23, odd23), _mm512_unpackhi_epi64(even23, odd23)};
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out[i] + half), _mm512_castsi512_si256(a[i]));
      _mm256_store_si256(reinterpret_cast<__m256i*>(out[i + 4] + half),
                         _mm512_extracti64x4_epi64(a[i], 1));
    }
  }
}

// For fp_vector.h.
struct Numbers8 {
  using Vector = Fp8;

  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kLimbs = zkpfl::kLimbs;
  static constexpr std::size_t kLimbBits = zkpfl::kLimbBits;
  static constexpr int kShift = 32;  // from 2^384 to 2^416

  static void multiply(Fp8& out, const Fp8& a, const Fp8& b) { zkpfl::multiply(out, a, b); }
  static void square(Fp8& out, const Fp8& a) { zkpfl::square(out, a); }

  static void set_lanes(Fp8& out, const std::uint64_t (&limbs)[kLimbs][kLanes]) {
    for (std::size_t j = 0; j < kLimbs; ++j) out.limb[j] = _mm512_load_si512(limbs[j]);
  }

  static void get_lanes(std::uint64_t (&limbs)[kLimbs][kLanes], const Fp8& in) {
    for (std::size_t j = 0; j < kLimbs; ++j) _mm512_store_si512(limbs[j], in.limb[j]);
  }
};

}  // namespace
}  // namespace zkpfl
