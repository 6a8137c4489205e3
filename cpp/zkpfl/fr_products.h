#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "zkpfl/fr.h"
#include "zkpfl/fr_wide.h"

namespace zkpfl {

// A sum of products in columns: column c counts 2^(64 c) and has room for 2^63 pieces of 64 bits,
// so that no carry moves until the end.
template <std::size_t kLimbs>
using Columns = std::array<uint128, kLimbs + 4>;

// sum += x * (the first kLimbs limbs of y).
template <std::size_t kLimbs>
inline void multiply_add(Columns<kLimbs>& sum, const Scalar& x, const Scalar& y) {
#pragma GCC unroll 4
  for (std::size_t j = 0; j < kLimbs; ++j) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      const uint128 product = uint128{x.limbs[i]} * y.limbs[j];
      sum[i + j] += static_cast<std::uint64_t>(product);
      sum[i + j + 1] += static_cast<std::uint64_t>(product >> 64);
    }
  }
}

template <std::size_t kLimbs>
Scalar reduced(const Columns<kLimbs>& columns) {
  WideSum sum = {};
  uint128 carry = 0;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    carry += columns[c];
    sum[c] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  sum[columns.size()] = static_cast<std::uint64_t>(carry);
  return kLimbs == 1 ? reduce_sum(sum.data()) : reduce_products(sum);
}

// sum += sum_i x[i] y[i], not reduced; there is room for 2^60 products of numbers below 2^256.
// Constant time.
using MultiplyAdd = void (*)(WideSum& sum, const Scalar* x, const Scalar* y, std::size_t count);
MultiplyAdd fastest_multiply_add();
void multiply_add_portable(WideSum& sum, const Scalar* x, const Scalar* y, std::size_t count);

// A sum of scalars times small unsigned numbers, below 2^316. Constant time.
struct SmallSum {
  std::uint64_t limbs[5] = {};

  void add(const Scalar& x, std::uint64_t factor) {
    uint128 carry = 0;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      carry += uint128{x.limbs[i]} * factor + limbs[i];
      limbs[i] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
    limbs[4] += static_cast<std::uint64_t>(carry);
  }

  void add(std::uint64_t number) {
#pragma GCC unroll 5
    for (std::uint64_t& limb : limbs) {
      limb += number;
      number = limb < number;
    }
  }

  Scalar reduced() const { return reduce_sum(limbs); }
};

}  // namespace zkpfl
