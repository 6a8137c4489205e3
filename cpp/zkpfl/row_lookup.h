#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/binary_rows.h"

namespace zkpfl {

// Combinations of the bits of a block by 16 tables, one for each of its bytes: entry b of table j
// is the sum of the weights of the bits of b. An entry is cut into four limbs of 59 bits and a top,
// so that 32 entries add up without a carry.
constexpr int kLookupBits = 59;

struct RowTables {
  alignas(64) std::uint64_t limbs[16][256][4];
  std::uint32_t tops[16][256];
};

struct RowLookups {
  alignas(64) std::uint64_t limbs[kRowTile][4];
  std::uint64_t tops[kRowTile];
};

// Adds to each of kRowTile sums the entries of its block.
void add_lookups_portable(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks);
void add_lookups_avx2(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks);

namespace {  // compiled once for each instruction set

inline void add_lookups(RowLookups& sums, const RowTables& tables, const std::uint8_t* blocks) {
  using Limbs = std::uint64_t __attribute__((vector_size(32), may_alias));
  for (std::size_t i = 0; i < kRowTile; ++i) {
    const std::uint8_t* block = blocks + 16 * i;
    auto* sum = reinterpret_cast<Limbs*>(sums.limbs[i]);
    Limbs limbs = *sum;
    std::uint64_t top = sums.tops[i];
#pragma GCC unroll 16
    for (std::size_t j = 0; j < 16; ++j) {
      limbs += *reinterpret_cast<const Limbs*>(tables.limbs[j][block[j]]);
      top += tables.tops[j][block[j]];
    }
    *sum = limbs;
    sums.tops[i] = top;
  }
}

}  // namespace

}  // namespace zkpfl
