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

void add_lookups_portable(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks) {
  add_lookups(sums, tables, blocks);
}

namespace {

constexpr std::size_t kGrain = 16 * kRowTile;
constexpr std::size_t kLowVariables = 11;  // of a table of weights that stays in the cache

static_assert(kRowTile == PublicStream::kBlocksAtOnce);

void split(std::uint64_t* limbs, std::uint32_t& top, const Scalar& x) {
  constexpr std::uint64_t kMask = (std::uint64_t{1} << kLookupBits) - 1;
  const auto& words = x.limbs;
  limbs[0] = words[0] & kMask;
  limbs[1] = (words[0] >> 59 | words[1] << 5) & kMask;
  limbs[2] = (words[1] >> 54 | words[2] << 10) & kMask;
  limbs[3] = (words[2] >> 49 | words[3] << 15) & kMask;
  top = static_cast<std::uint32_t>(words[3] >> 44);
}

// Sum i as five limbs, below 2^262.
SmallSum joined(const RowLookups& sums, std::size_t i) {
  SmallSum out;
  const std::uint64_t* limbs = sums.limbs[i];
  uint128 carry = limbs[0];
  constexpr int kShifts[4] = {59, 54, 49, 44};
  for (int word = 0; word < 4; ++word) {
    carry += uint128{word < 3 ? limbs[word + 1] : sums.tops[i]} << kShifts[word];
    out.limbs[word] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  out.limbs[4] = static_cast<std::uint64_t>(carry);
  return out;
}

// Tables of factor * weights.
std::unique_ptr<RowTables> make_tables(const Scalar* weights, const Scalar& factor) {
  auto tables = std::make_unique<RowTables>();
  const Multiplier multiplier(factor);
  for (std::size_t j = 0; j < 16; ++j) {
    Scalar entries[256] = {};
    for (std::size_t bit = 0; bit < 8; ++bit) {
      const std::size_t half = std::size_t{1} << bit;
      const Scalar weight = multiplier * weights[8 * j + bit];
      for (std::size_t i = 0; i < half; ++i) entries[half + i] = entries[i] + weight;
    }
    for (std::size_t i = 0; i < 256; ++i) {
      split(tables->limbs[j][i], tables->tops[j][i], entries[i]);
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
        add_lookups_(has_avx2() ? add_lookups_avx2 : add_lookups_portable) {}

  void tile(RowLookups& sums, std::size_t first) const {
    std::uint8_t blocks[16 * kRowTile];
    sums = {};
    stream_.blocks(blocks, first);
    add_lookups_(sums, *low_, blocks);
    if (half_ + first >= count_) return;
    stream_.blocks(blocks, half_ + first);
    add_lookups_(sums, *high_, blocks);
  }

 private:
  PublicStream stream_;
  std::size_t count_, half_;
  std::unique_ptr<RowTables> low_, high_;
  void (*add_lookups_)(RowLookups&, const RowTables&, const std::uint8_t*);
};

// Values of 16 bits are moved by this to be positive, and the sum back: no branch on a sign.
constexpr std::int32_t kOffset = 1 << 15;

std::uint64_t moved(std::int32_t value) { return static_cast<std::uint64_t>(value + kOffset); }

}  // namespace

void combine_binary_rows(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                         std::uint64_t first, std::size_t count) {
  const PublicStream stream(seed);
  const auto tables = make_tables(weights, Scalar{{1, 0, 0, 0}});
  const auto add_lookups = has_avx2() ? add_lookups_avx2 : add_lookups_portable;
  const std::size_t tiles = (count + kRowTile - 1) / kRowTile;
  parallel_for(tiles, kGrain / kRowTile, [&](std::size_t begin, std::size_t end) {
    for (std::size_t at = begin * kRowTile; at < std::min(end * kRowTile, count); at += kRowTile) {
      std::uint8_t blocks[16 * kRowTile];
      RowLookups sums = {};
      stream.blocks(blocks, first + at);
      add_lookups(sums, *tables, blocks);
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
  const Scalar one{{1, 0, 0, 0}}, low = one - binding.rho, &high = binding.rho;
  const Multiplier tau(binding.tau);
  const Scalar tau_low = tau * low, tau_high = tau * high;
  const Scalar back = Scalar{} - Multiplier(one) * Scalar{{kOffset, 0, 0, 0}},
               tau_back = tau * back;
  parallel_for(half / kRowTile, kGrain / kRowTile, [&](std::size_t begin, std::size_t end) {
    RowLookups sums;
    for (std::size_t at = begin * kRowTile; at < end * kRowTile; at += kRowTile) {
      rows.tile(sums, at);
      for (std::size_t i = 0; i < kRowTile; ++i) {
        const std::size_t c = at + i;
        const std::uint64_t lower = moved(x[c]), upper = moved(half + c < count ? x[half + c] : 0);
        SmallSum x_sum{}, y_sum = joined(sums, i);
        x_sum.add(back, 1), y_sum.add(tau_back, 1);
        x_sum.add(low, lower), y_sum.add(tau_low, lower);
        x_sum.add(high, upper), y_sum.add(tau_high, upper);
        x_out[c] = x_sum.reduced();
        y_out[c] = y_sum.reduced();
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
  Scalar total{};
  std::mutex mutex;
  parallel_for(high.size(), 1, [&](std::size_t begin, std::size_t end) {
    Scalar part{};
    RowLookups sums;
    for (std::size_t block = begin; block < end; ++block) {
      Columns<4> products = {};
      SmallSum rest;  // of what is above 2^256
      for (std::size_t at = 0; at < low.size(); at += kRowTile) {
        rows.tile(sums, block * low.size() + at);
        for (std::size_t i = 0; i < kRowTile; ++i) {
          const SmallSum sum = joined(sums, i);
          const Scalar lower{{sum.limbs[0], sum.limbs[1], sum.limbs[2], sum.limbs[3]}};
          multiply_add<4>(products, lower, low[at + i]);
          rest.add(low[at + i], sum.limbs[4]);
        }
      }
      const Scalar shifted = Multiplier(rest.reduced()) * kTwoTo256;
      part = part + Multiplier(high[block]) * (reduced<4>(products) + shifted);
    }
    const std::lock_guard lock(mutex);
    total = total + part;
  });
  return total;
}

}  // namespace zkpfl
