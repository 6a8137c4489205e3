#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "zkpfl/keccak_many.h"

namespace zkpfl {

namespace {  // compiled once for each instruction set, so it must not be shared between files

constexpr std::uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

// rotl that is also right for 0, on a lane of one state or of several side by side.
template <typename Lane>
inline Lane rotated(Lane x, int by) {
  return by == 0 ? x : (x << by | x >> (64 - by));
}

// Keccak-f[1600] (FIPS 202 §3.2) on a[x + 5 y]; `Lane` is a 64-bit word, or a vector of words that
// permutes as many states at once. The loops unroll, so that every index and rotation is constant.
template <typename Lane>
inline __attribute__((always_inline)) void keccak_permute(Lane (&a)[25]) {
  constexpr int kRotations[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                  25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
  for (const std::uint64_t constant : kRoundConstants) {
    Lane parity[5], mix[5], b[25];
#pragma GCC unroll 5
    for (int x = 0; x < 5; ++x) parity[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
#pragma GCC unroll 5
    for (int x = 0; x < 5; ++x) mix[x] = parity[(x + 4) % 5] ^ rotated(parity[(x + 1) % 5], 1);
#pragma GCC unroll 25
    for (int i = 0; i < 25; ++i) {  // theta, rho, and pi: lane (x, y) moves to (y, 2x + 3y)
      const int x = i % 5, y = i / 5;
      b[y + 5 * ((2 * x + 3 * y) % 5)] = rotated(a[i] ^ mix[x], kRotations[i]);
    }
#pragma GCC unroll 25
    for (int i = 0; i < 25; ++i) {
      const int x = i % 5, row = i - x;
      a[i] = b[i] ^ (~b[row + (x + 1) % 5] & b[row + (x + 2) % 5]);
    }
    a[0] ^= constant;
  }
}

template <typename Lane>
inline __attribute__((always_inline)) void keccak_permute(std::uint64_t* state) {
  Lane a[25];
  std::memcpy(a, state, sizeof a);
  keccak_permute(a);
  std::memcpy(state, a, sizeof a);
}

// Adds a block to each of several states side by side, and permutes them.
template <typename Lane>
inline __attribute__((always_inline)) void keccak_absorb(std::uint64_t* states,
                                                         const std::uint8_t* const* blocks) {
  constexpr std::size_t kStates = sizeof(Lane) / 8;
  Lane a[25];
  std::memcpy(a, states, sizeof a);
#pragma GCC unroll 17
  for (std::size_t i = 0; i < kRate / 8; ++i) {
    Lane words;
#pragma GCC unroll 8
    for (std::size_t k = 0; k < kStates; ++k) {
      std::uint64_t word;
      std::memcpy(&word, blocks[k] + 8 * i, 8);
      words[k] = word;
    }
    a[i] ^= words;
  }
  keccak_permute(a);
  std::memcpy(states, a, sizeof a);
}

}  // namespace

}  // namespace zkpfl
