#include <algorithm>

#include "check.h"
#include "zkpfl/inversion.h"

namespace zkpfl::tests {

namespace {

constexpr std::uint64_t kOne = std::uint64_t{1} << kFractionBits;

struct Table {
  std::vector<std::uint64_t> bounds;
  std::uint64_t slack;
  unsigned guide_bits;
  std::vector<std::uint32_t> guide = {};

  InversionTable view() {
    guide.clear();
    for (std::uint64_t g = 0; g <= std::uint64_t{1} << guide_bits; ++g) {
      const auto after = std::find_if(bounds.begin(), bounds.end(), [&](std::uint64_t bound) {
        return bound + slack > g << (kFractionBits - guide_bits);
      });
      guide.push_back(static_cast<std::uint32_t>(after - bounds.begin()));
    }
    return {bounds.data(), bounds.size(), slack, guide.data(), guide_bits};
  }
};

std::vector<std::uint8_t> big_endian(const std::vector<std::uint64_t>& words) {
  std::vector<std::uint8_t> bytes;
  for (const std::uint64_t word : words) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  return bytes;
}

}  // namespace

TEST(inversion_finds_the_entry_above_a_word_and_its_sign) {
  Table table{{100, 200, kOne - 1}, 1, 1};
  const auto words = big_endian({0, 99, 101, 199, kOne + 99, kOne + 150, kOne + 201, kOne - 2});
  std::vector<std::int64_t> out(8);
  CHECK(invert_vartime(out.data(), words.data(), 8, table.view()).empty());
  CHECK((out == std::vector<std::int64_t>{0, 0, 1, 1, 0, -1, -2, 2}));
}

TEST(a_word_next_to_an_entry_or_beyond_the_table_stays_open) {
  Table table{{100, 200, 300}, 5, 3};
  const auto words = big_endian({99, 100, 104, 105, 200, kOne + 204, 300, 305, 2 * kOne - 1});
  std::vector<std::int64_t> out(9);
  const auto open = invert_vartime(out.data(), words.data(), 9, table.view());
  CHECK((open == std::vector<std::uint64_t>{1, 2, 4, 5, 6, 7, 8}));
}

TEST(inversion_agrees_with_looking_at_every_entry) {
  std::mt19937_64 rng(3);
  for (const std::size_t size : {1, 2, 7, 300}) {
    for (const unsigned guide_bits : {0u, 1u, 8u, 12u}) {
      Table table{{}, rng() >> 10, guide_bits};
      for (std::size_t k = 0; k < size; ++k) table.bounds.push_back(rng() >> 1);
      std::sort(table.bounds.begin(), table.bounds.end());
      const auto words = random_bytes(rng, 8 * 70000);
      std::vector<std::int64_t> fast(70000), naive(70000);
      const auto open = invert_vartime(fast.data(), words.data(), 70000, table.view());
      CHECK(open == invert_naive(naive.data(), words.data(), 70000, table.view()));
      CHECK(fast == naive);
    }
  }
}

TEST(inverting_nothing_gives_nothing) {
  Table table{{100}, 1, 0};
  CHECK(invert_vartime(nullptr, nullptr, 0, table.view()).empty());
}

}  // namespace zkpfl::tests
