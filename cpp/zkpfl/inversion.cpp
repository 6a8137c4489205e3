#include "zkpfl/inversion.h"

#include <algorithm>
#include <mutex>

#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::uint64_t kFractionMask = (std::uint64_t{1} << kFractionBits) - 1;
constexpr std::size_t kGrain = 1 << 14;

std::uint64_t word_at(const std::uint8_t* words, std::size_t index) {
  std::uint64_t value = 0;
  for (unsigned byte = 0; byte < 8; ++byte) value = value << 8 | words[8 * index + byte];
  return value;
}

// Whether bits further down decide: U may lie on either side of entry k.
bool is_open(const InversionTable& table, std::uint64_t fraction, std::size_t k) {
  return k == table.size || table.bounds[k] <= fraction;
}

std::int64_t with_sign(std::size_t magnitude, std::uint64_t word) {
  const auto value = static_cast<std::int64_t>(magnitude);
  return word >> kFractionBits ? -value : value;
}

std::size_t first_above(const InversionTable& table, std::uint64_t fraction) {
  const std::uint64_t piece = fraction >> (kFractionBits - table.guide_bits);
  const std::uint64_t* const begin = table.bounds + table.guide[piece];
  const std::uint64_t* const end = table.bounds + table.guide[piece + 1];
  const auto above = [&](std::uint64_t u, std::uint64_t bound) { return u < bound + table.slack; };
  return static_cast<std::size_t>(std::upper_bound(begin, end, fraction, above) - table.bounds);
}

}  // namespace

std::vector<std::uint64_t> invert_vartime(std::int64_t* out, const std::uint8_t* words,
                                          std::size_t count, const InversionTable& table) {
  std::vector<std::uint64_t> open;
  std::mutex open_mutex;
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint64_t word = word_at(words, i), fraction = word & kFractionMask;
      const std::size_t k = first_above(table, fraction);
      out[i] = with_sign(k, word);
      if (is_open(table, fraction, k)) [[unlikely]] {
        const std::lock_guard lock(open_mutex);
        open.push_back(i);
      }
    }
  });
  std::sort(open.begin(), open.end());
  return open;
}

std::vector<std::uint64_t> invert_naive(std::int64_t* out, const std::uint8_t* words,
                                        std::size_t count, const InversionTable& table) {
  std::vector<std::uint64_t> open;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t word = word_at(words, i), fraction = word & kFractionMask;
    std::size_t k = 0;
    while (k < table.size && table.bounds[k] + table.slack <= fraction) ++k;
    out[i] = with_sign(k, word);
    if (is_open(table, fraction, k)) open.push_back(i);
  }
  return open;
}

}  // namespace zkpfl
