#pragma once

#include <cstddef>
#include <cstdint>

namespace zkpfl {

// Rows that are added in one pass, so that the partial sums are loaded and stored less often.
constexpr std::size_t kRowsAtOnce = 4;

// Sums of scalars in 64-bit columns of 32-bit pieces: low[i] += row[i] mod 2^32 and
// high[i] += floor(row[i] / 2^32) for every limb i and row. No carry is lost below 2^32 rows.
void add_columns_portable(std::uint64_t* low, std::uint64_t* high, const std::uint64_t* const* rows,
                          std::size_t limbs);
void add_columns_avx2(std::uint64_t* low, std::uint64_t* high, const std::uint64_t* const* rows,
                      std::size_t limbs);

namespace {  // compiled once for each instruction set, which the compiler vectorises for

inline void add_columns(std::uint64_t* __restrict low, std::uint64_t* __restrict high,
                        const std::uint64_t* const* rows, std::size_t limbs) {
  const std::uint64_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  constexpr std::uint64_t kLow = 0xffffffff;
  for (std::size_t i = 0; i < limbs; ++i) {
    low[i] += (a[i] & kLow) + (b[i] & kLow) + (c[i] & kLow) + (d[i] & kLow);
    high[i] += (a[i] >> 32) + (b[i] >> 32) + (c[i] >> 32) + (d[i] >> 32);
  }
}

}  // namespace

}  // namespace zkpfl
