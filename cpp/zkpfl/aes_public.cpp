#include "zkpfl/aes_public.h"

#include <array>
#include <bit>
#include <cstring>

#include "zkpfl/cpu.h"

namespace zkpfl {

namespace {

constexpr std::uint8_t times_x(std::uint8_t a) {
  return static_cast<std::uint8_t>(a << 1 ^ (a & 0x80 ? 0x1b : 0));
}

// FIPS 197 §5.1.1, by the powers of 3, which generates the field, and of its inverse 0xf6.
constexpr std::array<std::uint8_t, 256> make_substitution() {
  std::array<std::uint8_t, 256> out{};
  std::uint8_t power = 1, inverse = 1;
  do {
    power = static_cast<std::uint8_t>(power ^ times_x(power));
    inverse = static_cast<std::uint8_t>(inverse ^ inverse << 1);
    inverse = static_cast<std::uint8_t>(inverse ^ inverse << 2);
    inverse = static_cast<std::uint8_t>(inverse ^ inverse << 4);
    if (inverse & 0x80) inverse ^= 0x09;
    std::uint8_t sum = 0x63;
    for (int turn = 0; turn < 5; ++turn) sum ^= std::rotl(inverse, turn);
    out[power] = sum;
  } while (power != 1);
  out[0] = 0x63;
  return out;
}

constexpr auto kSubstitution = make_substitution();

// SubBytes and MixColumns of the first byte of a column, as a little-endian word; the other bytes
// give the same word turned.
constexpr std::array<std::uint32_t, 256> make_columns() {
  std::array<std::uint32_t, 256> out{};
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint8_t once = kSubstitution[i], twice = times_x(once);
    out[i] = twice | std::uint32_t{once} << 8 | std::uint32_t{once} << 16 |
             static_cast<std::uint32_t>(twice ^ once) << 24;
  }
  return out;
}

constexpr auto kColumns = make_columns();

std::uint32_t substituted(std::uint32_t word) {
  std::uint32_t out = 0;
  for (int i = 0; i < 32; i += 8) out |= std::uint32_t{kSubstitution[word >> i & 0xff]} << i;
  return out;
}

// FIPS 197 §5.2 on little-endian words.
void expand_key_by_tables(std::uint8_t* round_keys, const std::uint8_t* key) {
  std::uint32_t words[kRoundKeyBytes / 4];
  std::memcpy(words, key, 32);
  std::uint8_t constant = 1;
  for (std::size_t i = 8; i < std::size(words); ++i) {
    std::uint32_t last = words[i - 1];
    if (i % 8 == 0) {
      last = substituted(std::rotr(last, 8)) ^ constant;
      constant = times_x(constant);
    } else if (i % 8 == 4) {
      last = substituted(last);
    }
    words[i] = words[i - 8] ^ last;
  }
  std::memcpy(round_keys, words, sizeof words);
}

using State = std::array<std::uint32_t, 4>;

State encrypted(State state, const std::uint32_t* keys) {
  for (int i = 0; i < 4; ++i) state[i] ^= keys[i];
  const auto byte = [&](int column, int row) {
    return state[(column + row) % 4] >> (8 * row) & 0xff;
  };
  for (int round = 1; round < 14; ++round) {
    State next;
    for (int c = 0; c < 4; ++c) {
      next[c] = keys[4 * round + c];
      for (int row = 0; row < 4; ++row) next[c] ^= std::rotl(kColumns[byte(c, row)], 8 * row);
    }
    state = next;
  }
  State last;
  for (int c = 0; c < 4; ++c) {
    last[c] = keys[56 + c];
    for (int row = 0; row < 4; ++row) {
      last[c] ^= std::uint32_t{kSubstitution[byte(c, row)]} << (8 * row);
    }
  }
  return last;
}

}  // namespace

PublicStream::PublicStream(const std::uint8_t* key) : instructions_(has_aes()) {
  expand_key_by_tables(round_keys_, key);
}

void PublicStream::blocks(std::uint8_t* out, std::uint64_t first) const {
#if defined(__x86_64__)
  if (instructions_) return stream_pieces_aes(out, round_keys_, 0, first);
#endif
  blocks_by_tables(out, first);
}

void PublicStream::blocks_by_tables(std::uint8_t* out, std::uint64_t first) const {
  std::uint32_t keys[kRoundKeyBytes / 4];
  std::memcpy(keys, round_keys_, sizeof keys);
  for (std::size_t i = 0; i < kBlocksAtOnce; ++i) {
    const std::uint64_t counter = __builtin_bswap64(first + i);
    const State text = {0, 0, static_cast<std::uint32_t>(counter),
                        static_cast<std::uint32_t>(counter >> 32)};
    const State block = encrypted(text, keys);
    std::memcpy(out + kBlock * i, block.data(), kBlock);
  }
}

}  // namespace zkpfl
