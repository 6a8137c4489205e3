#include <bit>
#include <cstring>

#include "zkpfl/merkle.h"

namespace zkpfl {

namespace {

constexpr std::size_t kRate = 136;

constexpr std::uint64_t kRoundConstants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

// Rotation and destination of each step of rho and pi along their one cycle through the lanes.
constexpr int kRotation[24] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                               27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
constexpr int kLane[24] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                           15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

void permute(std::uint64_t (&a)[25]) {
  for (const std::uint64_t constant : kRoundConstants) {
    std::uint64_t parity[5];
    for (int x = 0; x < 5; ++x) parity[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (int x = 0; x < 5; ++x) {
      const std::uint64_t mix = parity[(x + 4) % 5] ^ std::rotl(parity[(x + 1) % 5], 1);
      for (int y = 0; y < 25; y += 5) a[y + x] ^= mix;
    }
    std::uint64_t moving = a[1];
    for (int i = 0; i < 24; ++i) {
      const std::uint64_t next = a[kLane[i]];
      a[kLane[i]] = std::rotl(moving, kRotation[i]);
      moving = next;
    }
    for (int y = 0; y < 25; y += 5) {
      std::uint64_t row[5];
      std::memcpy(row, a + y, sizeof row);
      for (int x = 0; x < 5; ++x) a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
    a[0] ^= constant;
  }
}

class Sponge {
 public:
  void absorb(Bytes part) {
    for (const std::uint8_t byte : part) {
      block_[filled_++] = byte;
      if (filled_ == kRate) flush();
    }
  }

  Digest finish() {
    std::memset(block_ + filled_, 0, kRate - filled_);
    block_[filled_] = 0x01;
    block_[kRate - 1] |= 0x80;
    flush();
    Digest digest;
    std::memcpy(digest.data(), state_, digest.size());
    return digest;
  }

 private:
  void flush() {
    for (std::size_t i = 0; i < kRate / 8; ++i) {
      std::uint64_t lane;
      std::memcpy(&lane, block_ + 8 * i, 8);
      state_[i] ^= lane;
    }
    permute(state_);
    filled_ = 0;
  }

  std::uint64_t state_[25] = {};
  std::uint8_t block_[kRate];
  std::size_t filled_ = 0;
};

}  // namespace

Digest keccak256(std::initializer_list<Bytes> parts) {
  Sponge sponge;
  for (const Bytes part : parts) sponge.absorb(part);
  return sponge.finish();
}

}  // namespace zkpfl
