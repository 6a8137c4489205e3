#pragma once

#include <array>

#include "input.h"

// AES-256 as FIPS 197 writes it, byte by byte. For comparison only: its tables leak the key.

namespace zkpfl::fuzz {

inline std::uint8_t times_x(std::uint8_t a) {
  return static_cast<std::uint8_t>(a << 1 ^ (a & 0x80 ? 0x1b : 0));
}

inline std::uint8_t product(std::uint8_t a, std::uint8_t b) {
  std::uint8_t out = 0;
  for (; b != 0; b >>= 1, a = times_x(a)) out ^= b & 1 ? a : 0;
  return out;
}

inline std::uint8_t substitute_naive(std::uint8_t a) {
  std::uint8_t inverse = 1;
  for (int i = 0; i < 254; ++i) inverse = product(inverse, a);  // a^254 = 1/a, and 0 for 0
  std::uint8_t out = 0x63;
  for (int i = 0; i < 5; ++i) {
    out ^= static_cast<std::uint8_t>(inverse << i | inverse >> (8 - i));
  }
  return out;
}

inline std::uint8_t substitute(std::uint8_t a) {
  static const auto table = [] {
    std::array<std::uint8_t, 256> out;
    for (int i = 0; i < 256; ++i) out[i] = substitute_naive(static_cast<std::uint8_t>(i));
    return out;
  }();
  return table[a];
}

// The 15 round keys of 16 bytes.
inline Bytes expand_key_naive(const Bytes& key) {
  Bytes words = key;
  std::uint8_t constant = 1;
  for (std::size_t i = 8; i < 60; ++i) {
    Bytes last = slice(words, 4 * i - 4, 4);
    if (i % 8 == 0) std::rotate(last.begin(), last.begin() + 1, last.end());
    if (i % 4 == 0) {
      for (auto& byte : last) byte = substitute(byte);
    }
    if (i % 8 == 0) last[0] ^= constant, constant = times_x(constant);
    for (std::size_t j = 0; j < 4; ++j) words.push_back(words[4 * i - 32 + j] ^ last[j]);
  }
  return words;
}

using Block = std::array<std::uint8_t, 16>;

inline Block encrypt_naive(const Bytes& round_keys, Block state) {
  for (std::size_t i = 0; i < 16; ++i) state[i] ^= round_keys[i];
  for (std::size_t round = 1; round <= 14; ++round) {
    Block shifted;
    for (std::size_t i = 0; i < 16; ++i) shifted[i] = substitute(state[(i + 4 * (i % 4)) % 16]);
    for (std::size_t i = 0; i < 16; ++i) {
      const std::size_t column = i / 4 * 4;
      const auto at = [&](std::size_t j) { return shifted[column + (i + j) % 4]; };
      const auto mixed = times_x(at(0) ^ at(1)) ^ at(1) ^ at(2) ^ at(3);
      state[i] =
          static_cast<std::uint8_t>(round == 14 ? shifted[i] : mixed) ^ round_keys[16 * round + i];
    }
  }
  return state;
}

}  // namespace zkpfl::fuzz
