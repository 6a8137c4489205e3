#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/g1.h"

namespace zkpfl {

// Points from which they are faster checked in step, and from which faster in combinations.
constexpr std::size_t kSubgroupSteps = 12;
constexpr std::size_t kSubgroupBatch = 256;

// Whether all points, which lie on the curve, lie in the prime-order subgroup. If not, the answer
// is wrong with probability at most 3^-85 < 2^-134 over fresh secret randomness, whatever the
// points are (docs/notes/subgroup-check.md). Infinity is in the subgroup.
//
// Many points are tested in 85 random combinations with coefficients -1, 0 and 1, five at a time:
// 17 additions a point and 85 checks, against a check of 138 additions a point. On all threads.
// Time depends on the points.
bool all_in_subgroup(const G1Points& points);

// The same for random digits that are given: kSubgroupRounds rows of one digit below 3^5 a point,
// uniform and unknown to whoever chose the points.
constexpr std::size_t kSubgroupRounds = 17;
bool combinations_in_subgroup(const G1Points& points, const std::uint8_t* digits);

}  // namespace zkpfl
