#include "zkpfl/fr.h"

#include <algorithm>
#include <bit>

#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {
constexpr std::size_t kGrain = 4096;  // scalars below which a thread costs more than it saves
}

std::size_t bit_length(const Scalar& x) {
  for (std::size_t limb = 4; limb-- > 0;) {
    if (x.limbs[limb] != 0) return 64 * limb + std::bit_width(x.limbs[limb]);
  }
  return 0;
}

bool is_negative(const Scalar& x) {
  static constexpr std::array<std::uint64_t, 4> kHalf = {0x7fffffff80000000, 0xa9ded2017fff2dff,
                                                         0x199cec0404d0ec02, 0x39f6d3a994cebea4};
  return std::lexicographical_compare(kHalf.rbegin(), kHalf.rend(), x.limbs.rbegin(),
                                      x.limbs.rend());
}

void add_into(Scalar* accumulator, const Scalar* x, std::size_t count) {
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) accumulator[i] = accumulator[i] + x[i];
  });
}

std::size_t accept_scalars(Scalar* out, std::size_t wanted, const std::uint8_t* blocks,
                           std::size_t count) {
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < count && accepted < wanted; ++i) {
    Scalar value = load_bendian(blocks + 32 * i);
    value.limbs[3] &= ~std::uint64_t{0} >> 1;
    out[accepted] = value;  // kept if the place moves on
    accepted += is_below_order(value);
  }
  return accepted;
}

}  // namespace zkpfl
