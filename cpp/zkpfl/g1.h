#pragma once

#include <blst.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "zkpfl/fr.h"

namespace zkpfl {

// Points of G1 in affine form; all zero bytes stand for the point at infinity. Every element is
// known to lie in the prime-order subgroup: arrays come from decode_points or from arithmetic.
using G1Points = std::vector<blst_p1_affine>;

G1Points to_affine(const std::vector<blst_p1>& points);
blst_p1 from_affine(const blst_p1_affine& point);
blst_p1_affine negated(const blst_p1_affine& point);

// Elementwise sums; all arrays have the same length.
G1Points sum_points(const std::vector<const G1Points*>& arrays);

// out[p] = sum_k coefficients[k] * arrays[k][p]. Small coefficients, also negative ones, are
// cheap: the time depends on them, so they must be public.
G1Points combine_points_vartime(const std::vector<const G1Points*>& arrays,
                                const Scalar* coefficients);

}  // namespace zkpfl
