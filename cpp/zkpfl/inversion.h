#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace zkpfl {

// Bits of a word that are the fraction U; the bit above them is the sign.
constexpr unsigned kFractionBits = 63;

// Cumulative distribution C_0 < C_1 < … of a magnitude, enclosed: bounds[k] <= C_k·2^63 <=
// bounds[k] + slack, ascending. guide[g] is the first k with bounds[k] + slack >
// g·2^(63-guide_bits), for g = 0 … 2^guide_bits; an entry may be `size`.
struct InversionTable {
  const std::uint64_t* bounds;
  std::size_t size;
  std::uint64_t slack;
  const std::uint32_t* guide;
  unsigned guide_bits;
};

// Inverts `count` words of eight bytes, big-endian: the sign bit and the first 63 bits of U give
// ±k with C_(k-1) <= U < C_k, whatever the further bits of U are. Returns in ascending order the
// words whose bits leave k open, next to an entry or beyond the table; what `out` holds there has
// no meaning. On all threads. Time depends on the values, as that of any search in a table.
std::vector<std::uint64_t> invert_vartime(std::int64_t* out, const std::uint8_t* words,
                                          std::size_t count, const InversionTable& table);

// The same, by looking at every entry.
std::vector<std::uint64_t> invert_naive(std::int64_t* out, const std::uint8_t* words,
                                        std::size_t count, const InversionTable& table);

}  // namespace zkpfl
