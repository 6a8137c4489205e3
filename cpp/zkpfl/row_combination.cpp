#include <algorithm>
#include <bit>
#include <memory>
#include <mutex>
#include <vector>

#include "zkpfl/aes_public.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/cpu.h"
#include "zkpfl/fr_products.h"
#include "zkpfl/parallel.h"
#include "zkpfl/row_lookup.h"
#include "zkpfl/sumcheck.h"

namespace zkpfl {

void add_lookups_portable(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks,
                          bool fresh) {
  add_lookups(sums, tables, blocks, fresh);
}

namespace {

constexpr std::size_t kGrain = 16 * kRowTile;
constexpr std::size_t kLowVariables = 11;  // of a table of weights that stays in the cache

static_assert(kRowTile == PublicStream::kBlocksAtOnce);

AddLookups fastest_add_lookups() { return has_avx2() ? add_lookups_avx2 : add_lookups_portable; }

// Sum i as five limbs, below 2^262. A word lost a carry for each 2^32 of its upper halves, and one
// more if the lower halves made the rest overflow.
inline SmallSum joined(const RowLookups& sums, std::size_t i) {
  SmallSum out;
  std::uint64_t carry = 0;
#pragma GCC unroll 4
  for (std::size_t word = 0; word < 4; ++word) {
    const std::uint64_t sum = sums.words[i][word], upper = sums.uppers[i][word];
    out.limbs[word] = sum + carry;
    carry = (upper >> 32) + (sum < upper << 32) + (out.limbs[word] < carry);
  }
  out.limbs[4] = carry;
  return out;
}

// Tables of factor * weights.
std::unique_ptr<RowTables> make_tables(const Scalar* weights, const Scalar& factor) {
  auto tables = std::make_unique<RowTables>();  // of zeros
  const Multiplier multiplier(factor);
  for (std::size_t j = 0; j < 16; ++j) {
    Scalar* entries = tables->entries[j];
    for (std::size_t bit = 0; bit < 8; ++bit) {
      const std::size_t half = std::size_t{1} << bit;
      const Scalar weight = multiplier * weights[8 * j + bit];
      for (std::size_t i = 0; i < half; ++i) entries[half + i] = entries[i] + weight;
    }
  }
  return tables;
}

// A with its top variable bound, tile by tile and not reduced.
class BoundRows {
 public:
  BoundRows(const std::uint8_t* seed, const Scalar* weights, std::size_t count, std::size_t half,
            const Scalar& rho)
      : stream_(seed),
        count_(count),
        half_(half),
        low_(make_tables(weights, Scalar{{1, 0, 0, 0}} - rho)),
        high_(make_tables(weights, rho)),
        add_lookups_(fastest_add_lookups()) {}

  void tile(RowLookups& sums, std::size_t first) const {
    std::uint8_t blocks[16 * kRowTile];
    stream_.blocks(blocks, first);
    add_lookups_(sums, *low_, blocks, true);
    if (half_ + first >= count_) return;
    stream_.blocks(blocks, half_ + first);
    add_lookups_(sums, *high_, blocks, false);
  }

 private:
  PublicStream stream_;
  std::size_t count_, half_;
  std::unique_ptr<RowTables> low_, high_;
  AddLookups add_lookups_;
};

// x + rho dx for a value x of 16 bits and a difference dx of 17, times a factor. Both are moved to
// be positive, and the sum back: no branch on a sign.
class BoundValue {
 public:
  BoundValue(const Scalar& factor, const Scalar& rho)
      : factor_(factor), step_(Multiplier(factor) * rho) {
    const Scalar moved = Multiplier(factor_) * Scalar{{kValues, 0, 0, 0}} +
                         Multiplier(step_) * Scalar{{kSteps, 0, 0, 0}};
    back_ = Scalar{} - moved;
  }

  void add_to(SmallSum& sum, std::int32_t low, std::int32_t high) const {
    sum.add(back_, 1);
    sum.add(factor_, static_cast<std::uint64_t>(low + kValues));
    sum.add(step_, static_cast<std::uint64_t>(high - low + kSteps));
  }

  // For the factor 1.
  SmallSum of(std::int32_t low, std::int32_t high) const {
    SmallSum sum{{back_.limbs[0], back_.limbs[1], back_.limbs[2], back_.limbs[3], 0}};
    sum.add(static_cast<std::uint64_t>(low + kValues));
    sum.add(step_, static_cast<std::uint64_t>(high - low + kSteps));
    return sum;
  }

 private:
  static constexpr std::int32_t kValues = 1 << 15;
  static constexpr std::int32_t kSteps = 1 << 16;

  Scalar factor_, step_, back_;
};

}  // namespace

void combine_binary_rows(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                         std::uint64_t first, std::size_t count) {
  const PublicStream stream(seed);
  const auto tables = make_tables(weights, Scalar{{1, 0, 0, 0}});
  const AddLookups add_lookups = fastest_add_lookups();
  const std::size_t tiles = (count + kRowTile - 1) / kRowTile;
  parallel_for(tiles, kGrain / kRowTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t at = begin * kRowTile; at < std::min(end * kRowTile, count); at += kRowTile) {
      std::uint8_t blocks[16 * kRowTile];
      RowLookups sums;
      stream.blocks(blocks, first + at);
      add_lookups(sums, *tables, blocks, true);
      for (std::size_t i = 0; i < std::min(kRowTile, count - at); ++i) {
        out[at + i] = joined(sums, i).reduced();
      }
    }
  });
}

void combine_binary_rows_naive(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                               std::uint64_t first, std::size_t count) {
  const PublicStream stream(seed);
  std::uint8_t blocks[16 * kRowTile];
  for (std::size_t i = 0; i < count; ++i) {
    if (i % kRowTile == 0) stream.blocks(blocks, first + i);
    const std::uint8_t* block = blocks + 16 * (i % kRowTile);
    out[i] = {};
    for (std::size_t k = 0; k < kBinaryRows; ++k) {
      if (block[k / 8] >> (k % 8) & 1) out[i] = out[i] + weights[k];
    }
  }
}

void bind_binary_rows(Scalar* x_out, Scalar* y_out, const std::uint8_t* seed, const std::int16_t* x,
                      std::size_t count, std::size_t half, const FirstBinding& binding) {
  const BoundRows rows(seed, binding.weights, count, half, binding.rho);
  const BoundValue of_x(Scalar{{1, 0, 0, 0}}, binding.rho), of_y(binding.tau, binding.rho);
  parallel_for(half / kRowTile, kGrain / kRowTile, [&](std::size_t begin, std::size_t end) {
    RowLookups sums;
    for (std::size_t at = begin * kRowTile; at < end * kRowTile; at += kRowTile) {
      rows.tile(sums, at);
      for (std::size_t i = 0; i < kRowTile; ++i) {
        const std::size_t c = at + i;
        const std::int32_t low = x[c], high = half + c < count ? x[half + c] : 0;
        SmallSum y = joined(sums, i);
        of_y.add_to(y, low, high);
        x_out[c] = of_x.of(low, high).reduced();
        y_out[c] = y.reduced();
      }
    }
  });
}

Scalar evaluate_binary_rows(const std::uint8_t* seed, const Scalar* weights, std::size_t count,
                            const Scalar* point, std::size_t variables) {
  const std::size_t half = std::size_t{1} << (variables - 1);
  const BoundRows rows(seed, weights, count, half, point[0]);
  const std::size_t low_variables = std::min(variables - 1, kLowVariables);
  const std::size_t high_variables = variables - 1 - low_variables;
  const auto high = equality_table(point + 1, high_variables);
  const auto low = equality_table(point + 1 + high_variables, low_variables);
  const MultiplyAdd multiply_add = fastest_multiply_add();
  Scalar total{};
  std::mutex mutex;
  parallel_for(high.size(), 1, [&](std::size_t begin, std::size_t end) {
    Scalar part{};
    RowLookups sums;
    for (std::size_t block = begin; block < end; ++block) {
      WideSum products = {};
      SmallSum rest;  // of what is above 2^256
      for (std::size_t at = 0; at < low.size(); at += kRowTile) {
        Scalar lower[kRowTile];
        rows.tile(sums, block * low.size() + at);
        for (std::size_t i = 0; i < kRowTile; ++i) {
          const SmallSum sum = joined(sums, i);
          lower[i] = {{sum.limbs[0], sum.limbs[1], sum.limbs[2], sum.limbs[3]}};
          rest.add(low[at + i], sum.limbs[4]);
        }
        multiply_add(products, lower, &low[at], kRowTile);
      }
      const Scalar shifted = Multiplier(rest.reduced()) * kTwoTo256;
      part = part + Multiplier(high[block]) * (reduce_products(products) + shifted);
    }
    const std::lock_guard lock(mutex);
    total = total + part;
  });
  return total;
}

}  // namespace zkpfl
