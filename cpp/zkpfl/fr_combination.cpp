#include <algorithm>
#include <bit>

#include "zkpfl/fr_products.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kGrain = 8192;  // products below which a thread costs more than it saves
constexpr std::size_t kTile = 128;    // elements whose unreduced sums stay in the first-level cache
constexpr std::size_t kRowsAtOnce = 8;

// ±magnitude: close to zero on either side is short.
struct Coefficient {
  Scalar magnitude;
  bool negative;
};

Coefficient shortest(const Scalar& value) {
  if (is_negative(value)) return {Scalar{} - value, true};
  return {value, false};
}

// r - x: at most r, which is no canonical scalar but a good factor.
inline Scalar order_minus(const Scalar& x) {
  Scalar out;
  std::uint64_t borrow = 0;
  for (int i = 0; i < 4; ++i) {
    const uint128 difference = uint128{kOrder[i]} - x.limbs[i] - borrow;
    out.limbs[i] = static_cast<std::uint64_t>(difference);
    borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
  }
  return out;
}

template <std::size_t kLimbs>
void combine(Scalar* out, const std::vector<const Scalar*>& rows,
             const std::vector<Coefficient>& coefficients, std::size_t first, std::size_t count) {
  Columns<kLimbs> sums[kTile] = {};
  for (std::size_t begin = 0; begin < rows.size(); begin += kRowsAtOnce) {
    const std::size_t end = std::min(begin + kRowsAtOnce, rows.size());
    for (std::size_t i = 0; i < count; ++i) {
      Columns<kLimbs> sum = sums[i];
      for (std::size_t k = begin; k < end; ++k) {
        const auto& [magnitude, negative] = coefficients[k];
        const Scalar& x = rows[k][first + i];
        multiply_add<kLimbs>(sum, negative ? order_minus(x) : x, magnitude);
      }
      sums[i] = sum;
    }
  }
  for (std::size_t i = 0; i < count; ++i) out[first + i] = reduced<kLimbs>(sums[i]);
}

}  // namespace

void linear_combination(Scalar* out, const std::vector<const Scalar*>& rows,
                        const Scalar* coefficients, std::size_t count) {
  std::vector<Coefficient> factors;
  std::size_t bits = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    factors.push_back(shortest(coefficients[k]));
    bits = std::max(bits, bit_length(factors.back().magnitude));
  }
  // One limb promises sums that reduce_sum can take: below 2^61 multiples of r.
  const bool small = bits + std::bit_width(rows.size()) <= 61;
  const auto combine_tile = small ? combine<1> : bits <= 128 ? combine<2> : combine<4>;
  const std::size_t grain =
      std::max<std::size_t>(1, kGrain / std::max<std::size_t>(1, rows.size()));
  parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t first = begin; first < end; first += kTile) {
      combine_tile(out, rows, factors, first, std::min(kTile, end - first));
    }
  });
}

void linear_combination_naive(Scalar* out, const std::vector<const Scalar*>& rows,
                              const Scalar* coefficients, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Scalar sum{};
    for (std::size_t k = 0; k < rows.size(); ++k) {
      sum = sum + Multiplier(coefficients[k]) * rows[k][i];
    }
    out[i] = sum;
  }
}

}  // namespace zkpfl
