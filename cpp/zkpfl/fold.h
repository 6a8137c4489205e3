#pragma once

#include <cstdint>
#include <vector>

#include "zkpfl/g1.h"

namespace zkpfl {

// The halving steps of the folding argument (docs/spec.md §6).

// lo + (e1 + λ·e2)·hi for the halves of an even number of points. The time depends on the
// challenge and the points, so they must be public.
G1Points fold_points_vartime(const G1Points& points, std::uint64_t e1, std::uint64_t e2);
G1Points fold_points_blst(const G1Points& points, std::uint64_t e1, std::uint64_t e2);

// out[i] = scalars[i] + x * scalars[half + i], i < half. Constant time.
void fold_scalars(Scalar* out, const Scalar* scalars, std::size_t half, const Scalar& x);

// Coefficient of block b of the generators in the folded ones: the product of challenge i over the
// bits of b that are set, first challenge at the top bit. 2^n of them for n challenges.
std::vector<Scalar> fold_weights(const Scalar* challenges, std::size_t count);

}  // namespace zkpfl
