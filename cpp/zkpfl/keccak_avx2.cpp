#include "zkpfl/keccak_many.h"
#include "zkpfl/keccak_permutation.h"

namespace zkpfl {

void keccak_absorb_four_avx2(std::uint64_t* states, const std::uint8_t* const* blocks) {
  using FourLanes [[gnu::vector_size(32)]] = std::uint64_t;
  keccak_absorb<FourLanes>(states, blocks);
}

}  // namespace zkpfl
