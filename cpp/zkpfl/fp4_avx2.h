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

// One number as it lies in memory: 14 limbs in 32-bit words, and two words of padding.
using Words = std::uint32_t[16];

struct Packed {
  __m256i half[2];
};

inline Packed load(const Words& words) {
  const auto* halves = reinterpret_cast<const __m256i*>(words);
  return {{_mm256_load_si256(halves), _mm256_load_si256(halves + 1)}};
}

struct alignas(32) PackedConstant {
  Words words;
};

constexpr PackedConstant packed(const Constant& constant) {
  PackedConstant out{};
  for (int j = 0; j < kLimbs; ++j) out.words[j] = static_cast<std::uint32_t>(constant.limb[j][0]);
  return out;
}

constexpr PackedConstant kPackedRoom = packed(kRoom);

// b - a, raw, of carried numbers. Raw limbs still fit the words, so that this is the place to
// subtract: half as many instructions as on unpacked ones.
inline Packed difference(const Packed& b, const Packed& a) {
  const Packed room = load(kPackedRoom.words);
  Packed out;
  for (int h = 0; h < 2; ++h) {
    out.half[h] = _mm256_sub_epi32(_mm256_add_epi32(b.half[h], room.half[h]), a.half[h]);
  }
  return out;
}

// -b if `negate` is set; limbs may be negative until something raw is added.
inline Packed signed_by(const Packed& b, bool negate) {
  const __m256i sign = _mm256_set1_epi32(-static_cast<int>(negate));
  Packed out;
  for (int h = 0; h < 2; ++h) {
    out.half[h] = _mm256_sub_epi32(_mm256_xor_si256(b.half[h], sign), sign);
  }
  return out;
}

// What the limbs are good for: a product ignores the upper halves of its operands' lanes.
enum class For { kProducts, kAnything };

// Transposes four numbers into vectors. Returns their padding: zero if all of it is.
template <For kUse>
inline __m256i unpack(Fp4& out, const Packed (&in)[4]) {
  __m256i pairs[8];
  for (int h = 0; h < 2; ++h) {
    const __m256i even01 = _mm256_unpacklo_epi64(in[0].half[h], in[1].half[h]);
    const __m256i odd01 = _mm256_unpackhi_epi64(in[0].half[h], in[1].half[h]);
    const __m256i even23 = _mm256_unpacklo_epi64(in[2].half[h], in[3].half[h]);
    const __m256i odd23 = _mm256_unpackhi_epi64(in[2].half[h], in[3].half[h]);
    pairs[4 * h] = _mm256_permute2x128_si256(even01, even23, 0x20);
    pairs[4 * h + 1] = _mm256_permute2x128_si256(odd01, odd23, 0x20);
    pairs[4 * h + 2] = _mm256_permute2x128_si256(even01, even23, 0x31);
    pairs[4 * h + 3] = _mm256_permute2x128_si256(odd01, odd23, 0x31);
  }
  const __m256i zero = _mm256_setzero_si256();
#pragma GCC unroll 7
  for (int j = 0; j < kLimbs / 2; ++j) {
    const bool clear = kUse == For::kAnything;
    out.limb[2 * j] = clear ? _mm256_blend_epi32(pairs[j], zero, 0xaa) : pairs[j];
    out.limb[2 * j + 1] = _mm256_srli_epi64(pairs[j], 32);
  }
  return pairs[7];
}

// The inverse of unpack, into memory, with padding of zeros.
inline void store(const Fp4& in, std::uint32_t* const (&out)[4]) {
  __m256i pairs[8];
#pragma GCC unroll 7
  for (int j = 0; j < kLimbs / 2; ++j) {
    pairs[j] = _mm256_or_si256(in.limb[2 * j], _mm256_slli_epi64(in.limb[2 * j + 1], 32));
  }
  pairs[7] = _mm256_setzero_si256();
  for (int h = 0; h < 2; ++h) {
    const __m256i ac0 = _mm256_unpacklo_epi64(pairs[4 * h], pairs[4 * h + 1]);
    const __m256i bd0 = _mm256_unpackhi_epi64(pairs[4 * h], pairs[4 * h + 1]);
    const __m256i ac1 = _mm256_unpacklo_epi64(pairs[4 * h + 2], pairs[4 * h + 3]);
    const __m256i bd1 = _mm256_unpackhi_epi64(pairs[4 * h + 2], pairs[4 * h + 3]);
    const __m256i whole[4] = {
        _mm256_permute2x128_si256(ac0, ac1, 0x20), _mm256_permute2x128_si256(bd0, bd1, 0x20),
        _mm256_permute2x128_si256(ac0, ac1, 0x31), _mm256_permute2x128_si256(bd0, bd1, 0x31)};
    for (int i = 0; i < 4; ++i) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out[i] + 8 * h), whole[i]);
    }
  }
}

// a - b, raw, of carried numbers.
inline void difference(Fp4& out, const Fp4& a, const Fp4& b) {
#pragma GCC unroll 14
  for (int j = 0; j < kLimbs; ++j) {
    const __m256i above = _mm256_add_epi64(a.limb[j], load(kRoom.limb[j]));
    out.limb[j] = _mm256_sub_epi64(above, b.limb[j]);
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

// For fp_vector.h.
struct Numbers4 {
  using Vector = Fp4;

  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kLimbs = zkpfl::kLimbs;
  static constexpr std::size_t kLimbBits = zkpfl::kLimbBits;
  static constexpr int kShift = 8;  // from 2^384 to 2^392

  static void multiply(Fp4& out, const Fp4& a, const Fp4& b) { zkpfl_fp_mul4(&out, &a, &b); }
  static void square(Fp4& out, const Fp4& a) { zkpfl_fp_sqr4(&out, &a); }

  static void set_lanes(Fp4& out, const std::uint64_t (&limbs)[kLimbs][kLanes]) {
    for (std::size_t j = 0; j < kLimbs; ++j) out.limb[j] = load(limbs[j]);
  }

  static void get_lanes(std::uint64_t (&limbs)[kLimbs][kLanes], const Fp4& in) {
    for (std::size_t j = 0; j < kLimbs; ++j) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(limbs[j]), in.limb[j]);
    }
  }
};

}  // namespace
}  // namespace zkpfl
