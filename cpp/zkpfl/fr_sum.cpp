#include "zkpfl/fr_sum.h"

#include <algorithm>

#include "zkpfl/cpu.h"
#include "zkpfl/fr_columns.h"
#include "zkpfl/fr_wide.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kBlock = 256;  // scalars whose columns stay in the first-level cache
constexpr std::size_t kGrain = 16 * kBlock;

struct Columns {
  alignas(32) std::uint64_t low[4 * kBlock] = {};
  alignas(32) std::uint64_t high[4 * kBlock] = {};
};

const std::uint64_t* limbs(const Scalar* scalars) { return scalars->limbs.data(); }

Scalar reduced(const std::uint64_t* low, const std::uint64_t* high) {
  std::uint64_t sum[5];
  uint128 carry = 0;
  for (int limb = 0; limb < 4; ++limb) {
    carry += uint128{low[limb]} + (uint128{high[limb]} << 32);
    sum[limb] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  sum[4] = static_cast<std::uint64_t>(carry);
  return reduce_sum(sum);
}

void sum_block(Scalar* out, const std::vector<const Scalar*>& rows, std::size_t first,
               std::size_t count) {
  static constexpr Scalar kZeros[kBlock] = {};
  const auto add_columns = has_avx2() ? add_columns_avx2 : add_columns_portable;
  Columns columns;
  for (std::size_t k = 0; k < rows.size(); k += kRowsAtOnce) {
    const std::uint64_t* at[kRowsAtOnce];
    for (std::size_t j = 0; j < kRowsAtOnce; ++j) {
      at[j] = limbs(k + j < rows.size() ? rows[k + j] + first : kZeros);
    }
    add_columns(columns.low, columns.high, at, 4 * count);
  }
  for (std::size_t i = 0; i < count; ++i) {
    out[first + i] = reduced(columns.low + 4 * i, columns.high + 4 * i);
  }
}

}  // namespace

void add_columns_portable(std::uint64_t* low, std::uint64_t* high, const std::uint64_t* const* rows,
                          std::size_t limbs) {
  add_columns(low, high, rows, limbs);
}

void sum_scalars(Scalar* out, const std::vector<const Scalar*>& rows, std::size_t count) {
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t first = begin; first < end; first += kBlock) {
      sum_block(out, rows, first, std::min(kBlock, end - first));
    }
  });
}

void sum_scalars_naive(Scalar* out, const std::vector<const Scalar*>& rows, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Scalar sum{};
    for (const Scalar* row : rows) sum = sum + row[i];
    out[i] = sum;
  }
}

}  // namespace zkpfl
