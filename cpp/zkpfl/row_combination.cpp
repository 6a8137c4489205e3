#include <algorithm>
#include <array>
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

// (1 - rho_1, rho_1) times (1 - rho_2, rho_2): what each part counts.
std::array<Scalar, kParts> part_weights(const Scalar* rho) {
  const auto table = equality_table(rho, 2);
  return {table[0], table[1], table[2], table[3]};
}

constexpr std::size_t kTilesAtOnce = 8;  // for which a table stays in the cache
constexpr std::size_t kChunk = kTilesAtOnce * kRowTile;

// A with its two top variables bound, some tiles at a time and not reduced.
class BoundRows {
 public:
  BoundRows(const std::uint8_t* seed, const Scalar* weights, const Parts& parts, const Scalar* rho)
      : stream_(seed), parts_(parts), add_lookups_(fastest_add_lookups()) {
    for (const Scalar& factor : part_weights(rho)) tables_.push_back(make_tables(weights, factor));
  }

  // Indices first … first + count - 1; the last tile may be of less than kRowTile.
  void chunk(RowLookups* sums, std::size_t first, std::size_t count) const {
    std::uint8_t blocks[16 * kRowTile];
    for (std::size_t part = 0; part < kParts; ++part) {
      for (std::size_t at = 0; at < count && parts_.has(part, first + at); at += kRowTile) {
        stream_.blocks(blocks, part * parts_.size + first + at);
        add_lookups_(sums[at / kRowTile], *tables_[part], blocks, part == 0);
      }
    }
  }

 private:
  PublicStream stream_;
  const Parts parts_;
  AddLookups add_lookups_;
  std::vector<std::unique_ptr<RowTables>> tables_;
};

// sum_p weights[p] v_p for values of 16 bits, which are moved to be positive, and the sum back: no
// branch on a sign.
class BoundValue {
 public:
  BoundValue(const std::array<Scalar, kParts>& weights, const Scalar& factor) {
    const Multiplier multiplier(factor);
    std::transform(weights.begin(), weights.end(), weights_.begin(),
                   [&](const Scalar& weight) { return multiplier * weight; });
    // The weights sum to 1.
    back_ = Scalar{} - multiplier * Scalar{{kOffset, 0, 0, 0}};
  }

  SmallSum start() const {
    return {{back_.limbs[0], back_.limbs[1], back_.limbs[2], back_.limbs[3], 0}};
  }

  const Scalar& back() const { return back_; }

  void add_to(SmallSum& sum, const std::array<std::int32_t, kParts>& values) const {
    for (std::size_t part = 0; part < kParts; ++part) {
      sum.add(weights_[part], static_cast<std::uint64_t>(values[part] + kOffset));
    }
  }

 private:
  static constexpr std::int32_t kOffset = 1 << 15;

  std::array<Scalar, kParts> weights_;
  Scalar back_;
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
                      const Parts& parts, const FirstBinding& binding) {
  const BoundRows rows(seed, binding.weights, parts, binding.rho);
  const auto weights = part_weights(binding.rho);
  const BoundValue of_x(weights, Scalar{{1, 0, 0, 0}}), of_y(weights, binding.tau);
  const std::size_t chunks = (parts.size + kChunk - 1) / kChunk;
  parallel_for(chunks, 1, [&](std::size_t begin, std::size_t end) {
    const auto sums = std::make_unique<RowLookups[]>(kTilesAtOnce);
    for (std::size_t first = begin * kChunk; first < std::min(end * kChunk, parts.size);
         first += kChunk) {
      const std::size_t count = std::min(kChunk, parts.size - first);
      rows.chunk(sums.get(), first, count);
      for (std::size_t i = 0; i < count; ++i) {
        std::array<std::int32_t, kParts> values;
        for (std::size_t part = 0; part < kParts; ++part) {
          values[part] = parts.has(part, first + i) ? x[part * parts.size + first + i] : 0;
        }
        SmallSum x_sum = of_x.start(), y_sum = joined(sums[i / kRowTile], i % kRowTile);
        y_sum.add(of_y.back(), 1);
        of_x.add_to(x_sum, values);
        of_y.add_to(y_sum, values);
        x_out[first + i] = x_sum.reduced();
        y_out[first + i] = y_sum.reduced();
      }
    }
  });
}

Scalar evaluate_binary_rows(const std::uint8_t* seed, const Scalar* weights, std::size_t count,
                            const Scalar* point, std::size_t variables) {
  const Parts parts{count, std::size_t{1} << (variables - 2)};
  const BoundRows rows(seed, weights, parts, point);
  const std::size_t low_variables = std::min(variables - 2, kLowVariables);
  const std::size_t high_variables = variables - 2 - low_variables;
  const auto high = equality_table(point + 2, high_variables);
  const auto low = equality_table(point + 2 + high_variables, low_variables);
  const MultiplyAdd multiply_add = fastest_multiply_add();
  Scalar total{};
  std::mutex mutex;
  parallel_for(high.size(), 1, [&](std::size_t begin, std::size_t end) {
    Scalar part{};
    const auto sums = std::make_unique<RowLookups[]>(kTilesAtOnce);
    for (std::size_t block = begin; block < end; ++block) {
      WideSum products = {};
      SmallSum rest;  // of what is above 2^256
      for (std::size_t first = 0; first < low.size(); first += kChunk) {
        const std::size_t size = std::min(kChunk, low.size() - first);
        std::vector<Scalar> lower(size);
        rows.chunk(sums.get(), block * low.size() + first, size);
        for (std::size_t i = 0; i < size; ++i) {
          const SmallSum sum = joined(sums[i / kRowTile], i % kRowTile);
          lower[i] = {{sum.limbs[0], sum.limbs[1], sum.limbs[2], sum.limbs[3]}};
          rest.add(low[first + i], sum.limbs[4]);
        }
        multiply_add(products, lower.data(), &low[first], size);
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
