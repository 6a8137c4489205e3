#pragma once

#include "zkpfl/packing.h"

namespace zkpfl {

// sum_p weights[p] * sum_l 2^(width l) * lane_values[p * lanes + l]: the MSM of the packed points
// without packing them. Best with short weights, such as 128 bits. Time depends on the weights and,
// as the points are public, on them too.
blst_p1 packed_msm_vartime(const G1Points& lane_values, const Scalar* weights, const Lanes& layout);

}  // namespace zkpfl
