#include "zkpfl/fr_products.h"

#include "zkpfl/cpu.h"

#if defined(__x86_64__) && defined(__ELF__)
extern "C" void zkpfl_multiply_add_adx(std::uint64_t* sum, const zkpfl::Scalar* x,
                                       const zkpfl::Scalar* y, std::size_t count);
#endif

namespace zkpfl {

namespace {

// product += factor * x from a word on; returns nothing because no carry leaves eight words.
inline void add_row(std::uint64_t* product, const Scalar& x, std::uint64_t factor) {
  uint128 carry = 0;
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    carry += uint128{x.limbs[i]} * factor + product[i];
    product[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  product[4] = static_cast<std::uint64_t>(carry);
}

}  // namespace

void multiply_add_portable(WideSum& sum, const Scalar* x, const Scalar* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t product[8] = {};
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) add_row(product + j, x[i], y[i].limbs[j]);
    uint128 carry = 0;
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      carry += uint128{sum[j]} + product[j];
      sum[j] = static_cast<std::uint64_t>(carry);
      carry >>= 64;
    }
    sum[8] += static_cast<std::uint64_t>(carry);
  }
}

MultiplyAdd fastest_multiply_add() {
#if defined(__x86_64__) && defined(__ELF__)
  if (has_adx()) {
    return [](WideSum& sum, const Scalar* x, const Scalar* y, std::size_t count) {
      if (count > 0) zkpfl_multiply_add_adx(sum.data(), x, y, count);
    };
  }
#endif
  return multiply_add_portable;
}

}  // namespace zkpfl
