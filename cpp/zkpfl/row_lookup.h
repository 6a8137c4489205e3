#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/binary_rows.h"

namespace zkpfl {

// Combinations of the bits of a block by 16 tables, one for each of its bytes: entry b of table j
// is the sum of the weights of the bits of b, a canonical scalar.
struct RowTables {
  alignas(64) Scalar entries[16][256];
};

// Sums of entries in columns: of the 64-bit words, with carries lost, and of their upper halves.
// The two give the sum of the lower halves too, so that fewer than 2^32 entries lose nothing.
struct RowLookups {
  alignas(64) std::uint64_t words[kRowTile][4];
  alignas(64) std::uint64_t uppers[kRowTile][4];
};

// Adds to each of kRowTile sums the entries of its block; `fresh` sums begin with them.
using AddLookups = void (*)(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks,
                            bool fresh);
void add_lookups_portable(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks,
                          bool fresh);
void add_lookups_avx2(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks,
                      bool fresh);

namespace {  // compiled once for each instruction set

inline void add_lookups(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks,
                        bool fresh) {
  using Words = std::uint64_t __attribute__((vector_size(32), may_alias));
  for (std::size_t i = 0; i < kRowTile; ++i) {
    const std::uint8_t* block = blocks + 16 * i;
    auto* words = reinterpret_cast<Words*>(sums.words[i]);
    auto* uppers = reinterpret_cast<Words*>(sums.uppers[i]);
    Words word_sum = {}, upper_sum = {};
    if (!fresh) word_sum = *words, upper_sum = *uppers;
#pragma GCC unroll 16
    for (std::size_t j = 0; j < 16; ++j) {
      const Words entry = *reinterpret_cast<const Words*>(&tables.entries[j][block[j]]);
      word_sum += entry;
      upper_sum += entry >> 32;
    }
    *words = word_sum;
    *uppers = upper_sum;
  }
}

}  // namespace

}  // namespace zkpfl
