#include "zkpfl/keccak_many.h"
#include "zkpfl/keccak_permutation.h"

namespace zkpfl {

void keccak_absorb_eight_avx512(std::uint64_t* states, const std::uint8_t* const* blocks) {
  using EightLanes [[gnu::vector_size(64)]] = std::uint64_t;
  keccak_absorb<EightLanes>(states, blocks);
}

}  // namespace zkpfl
