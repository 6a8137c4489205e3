#include <algorithm>
#include <cstring>

#include "zkpfl/cpu.h"
#include "zkpfl/keccak_many.h"
#include "zkpfl/keccak_permutation.h"
#include "zkpfl/merkle.h"

namespace zkpfl {

namespace {

void permute_plain(std::uint64_t* state) { keccak_permute<std::uint64_t>(state); }

#if defined(__x86_64__)
// Rotations into another register and and-not save a sixth of the time.
[[gnu::target("bmi,bmi2")]] void permute_bmi2(std::uint64_t* state) {
  keccak_permute<std::uint64_t>(state);
}
#else
void permute_bmi2(std::uint64_t* state) { keccak_permute<std::uint64_t>(state); }
#endif

class Sponge {
 public:
  void absorb(Bytes part) {
    while (!part.empty()) {
      if (filled_ == 0 && part.size() >= kRate) {
        absorb_block(part.data());
        part = part.subspan(kRate);
        continue;
      }
      const std::size_t taken = std::min(part.size(), kRate - filled_);
      std::memcpy(block_ + filled_, part.data(), taken);
      filled_ += taken;
      part = part.subspan(taken);
      if (filled_ == kRate) absorb_block(block_), filled_ = 0;
    }
  }

  Digest finish() {
    std::memset(block_ + filled_, 0, kRate - filled_);
    block_[filled_] = 0x01;
    block_[kRate - 1] |= 0x80;
    absorb_block(block_);
    Digest digest;
    std::memcpy(digest.data(), state_, digest.size());
    return digest;
  }

 private:
  void absorb_block(const std::uint8_t* block) {
    for (std::size_t i = 0; i < kRate / 8; ++i) {
      std::uint64_t lane;
      std::memcpy(&lane, block + 8 * i, 8);
      state_[i] ^= lane;
    }
    permute_(state_);
  }

  void (*const permute_)(std::uint64_t*) = has_bmi2() ? permute_bmi2 : permute_plain;
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
