#include "zkpfl/keccak_many.h"
#include "zkpfl/keccak_permutation.h"

namespace zkpfl {

void keccak_permute_four_avx2(std::uint64_t* states) {
  using FourLanes [[gnu::vector_size(32)]] = std::uint64_t;
  keccak_permute<FourLanes>(states);
}

}  // namespace zkpfl
