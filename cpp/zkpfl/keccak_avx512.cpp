#include "zkpfl/keccak_many.h"
#include "zkpfl/keccak_permutation.h"

namespace zkpfl {

void keccak_permute_eight_avx512(std::uint64_t* states) {
  using EightLanes [[gnu::vector_size(64)]] = std::uint64_t;
  keccak_permute<EightLanes>(states);
}

}  // namespace zkpfl
