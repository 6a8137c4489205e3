#pragma once

#include <blst.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace zkpfl {

// A scalar of the BLS12-381 group order r: four little-endian 64-bit limbs, canonical (below r,
// not in Montgomery form). Additions work on this form as it is; a product with one factor in
// Montgomery form is canonical again, so only multipliers are ever converted.
struct Scalar {
  std::array<std::uint64_t, 4> limbs;
  bool operator==(const Scalar&) const = default;
};
static_assert(sizeof(Scalar) == 32 && sizeof(blst_fr) == 32);

using uint128 = unsigned __int128;

// r, little-endian.
constexpr std::array<std::uint64_t, 4> kOrder = {0xffffffff00000001, 0x53bda402fffe5bfe,
                                                 0x3339d80809a1d805, 0x73eda753299d7d48};

// A multiplier: the same number in Montgomery form.
struct Multiplier {
  blst_fr montgomery;
  explicit Multiplier(const Scalar& value) { blst_fr_from_uint64(&montgomery, value.limbs.data()); }
};

inline blst_fr* as_fr(Scalar* x) { return reinterpret_cast<blst_fr*>(x->limbs.data()); }
inline const blst_fr* as_fr(const Scalar* x) {
  return reinterpret_cast<const blst_fr*>(x->limbs.data());
}

inline Scalar operator+(const Scalar& a, const Scalar& b) {
  Scalar out;
  blst_fr_add(as_fr(&out), as_fr(&a), as_fr(&b));
  return out;
}

inline Scalar operator-(const Scalar& a, const Scalar& b) {
  Scalar out;
  blst_fr_sub(as_fr(&out), as_fr(&a), as_fr(&b));
  return out;
}

inline Scalar operator*(const Multiplier& a, const Scalar& b) {
  Scalar out;
  blst_fr_mul(as_fr(&out), &a.montgomery, as_fr(&b));
  return out;
}

inline const std::uint8_t* as_bytes(const Scalar& x) {
  return reinterpret_cast<const std::uint8_t*>(x.limbs.data());
}

// Any 256-bit number from 32 bytes, and back.
static_assert(std::endian::native == std::endian::little, "limbs are swapped as they are stored");
inline Scalar load_bendian(const std::uint8_t* bytes) {
  Scalar out;
  for (int limb = 0; limb < 4; ++limb) {
    std::uint64_t word;
    std::memcpy(&word, bytes + 8 * (3 - limb), 8);
    out.limbs[limb] = __builtin_bswap64(word);
  }
  return out;
}

inline void store_bendian(std::uint8_t* bytes, const Scalar& x) {
  for (int limb = 0; limb < 4; ++limb) {
    const std::uint64_t word = __builtin_bswap64(x.limbs[limb]);
    std::memcpy(bytes + 8 * (3 - limb), &word, 8);
  }
}

// Whether a 256-bit number is below r. Constant time.
inline bool is_below_order(const Scalar& x) {
  std::uint64_t borrow = 0;
  for (int i = 0; i < 4; ++i) {
    borrow = static_cast<std::uint64_t>((uint128{x.limbs[i]} - kOrder[i] - borrow) >> 64) & 1;
  }
  return borrow != 0;
}

// Number of bits of the value, 0 for zero.
std::size_t bit_length(const Scalar& x);

// Whether x is above (r - 1)/2, that is, stands for a negative number.
bool is_negative(const Scalar& x);

// accumulator[i] += x[i].
void add_into(Scalar* accumulator, const Scalar* x, std::size_t count);

// out[i] = sum_k coefficients[k] * rows[k][i], reduced once; `out` may be one of the rows. Small
// coefficients, also negative ones, are cheap: the time depends on their sizes, not on the rows.
void linear_combination(Scalar* out, const std::vector<const Scalar*>& rows,
                        const Scalar* coefficients, std::size_t count);
void linear_combination_naive(Scalar* out, const std::vector<const Scalar*>& rows,
                              const Scalar* coefficients, std::size_t count);

// Copies the scalars among `count` big-endian 32-byte blocks that are below r once their top bit
// is cleared, at most `wanted`; returns how many (docs/spec.md §5).
std::size_t accept_scalars(Scalar* out, std::size_t wanted, const std::uint8_t* blocks,
                           std::size_t count);

}  // namespace zkpfl
