#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "zkpfl/fr.h"

namespace zkpfl {

// Sums that are reduced once, at their end: what makes sum_scalars and linear_combination fast.
// Time depends on no value.

// 2^512 mod r: blst's multiplication by it is one by 2^256, because it divides by 2^256.
constexpr Scalar kTwoTo512 = {
    {0xc999e990f3f29c6d, 0x2b6cedcb87925c23, 0x05d314967254398f, 0x0748d9d99f59ff11}};

// 2^256 mod r.
constexpr Scalar kTwoTo256 = {
    {0x00000001fffffffe, 0x5884b7fa00034802, 0x998c4fefecbc4ff5, 0x1824b159acc5056f}};

// Little-endian sum of products, each of two numbers below 2^255.
using WideSum = std::array<std::uint64_t, 9>;

// x - r, or x if that would be negative.
inline Scalar subtract_order_once(const Scalar& x) {
  Scalar out;
  std::uint64_t borrow = 0;
  for (int i = 0; i < 4; ++i) {
    const uint128 difference = uint128{x.limbs[i]} - kOrder[i] - borrow;
    out.limbs[i] = static_cast<std::uint64_t>(difference);
    borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
  }
  const std::uint64_t keep = 0 - borrow;
  for (int i = 0; i < 4; ++i) out.limbs[i] = (x.limbs[i] & keep) | (out.limbs[i] & ~keep);
  return out;
}

// Five limbs s < 2^316 mod r, after Barrett: with v = floor(s / 2^254) and m = floor(2^318 / r),
// q = floor(v·m / 2^64) gives 0 <= s/r - q < 2^254/r + v/2^64 + 1 < 2, so one subtraction finishes.
inline Scalar reduce_sum(const std::uint64_t* sum) {
  constexpr std::uint64_t kReciprocal = 0x8d54253b7fb78ddf;
  const std::uint64_t top = sum[4] << 2 | sum[3] >> 62;
  const auto quotient = static_cast<std::uint64_t>(uint128{top} * kReciprocal >> 64);
  Scalar out;
  std::uint64_t borrow = 0;
  for (int i = 0; i < 4; ++i) {
    const uint128 taken = uint128{quotient} * kOrder[i] + borrow;
    const auto low = static_cast<std::uint64_t>(taken);
    out.limbs[i] = sum[i] - low;
    borrow = static_cast<std::uint64_t>(taken >> 64) + (sum[i] < low);
  }
  return subtract_order_once(out);
}

// Nine limbs below 2^572 mod r: low four limbs + 2^256 · (high five).
inline Scalar reduce_products(const WideSum& sum) {
  const std::uint64_t low[5] = {sum[0], sum[1], sum[2], sum[3], 0};
  const Scalar high = reduce_sum(sum.data() + 4);
  Scalar shifted;
  blst_fr_mul(as_fr(&shifted), as_fr(&high), as_fr(&kTwoTo512));
  return reduce_sum(low) + shifted;
}

}  // namespace zkpfl
