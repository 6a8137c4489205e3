#pragma once

#include <blst.h>

#include <cstdint>
#include <span>
#include <vector>

namespace zkpfl::eip2537 {

// The seven BLS12-381 operations of EIP-2537, bytes to bytes as the EIP defines them, over blst.
// A field element is 64 bytes big-endian below p; all zeros is the point at infinity.
// Additions accept points outside the subgroup, the other operations refuse them. Empty input is
// invalid. Time depends on the input, which is public.

using Input = std::span<const std::uint8_t>;
using Output = std::vector<std::uint8_t>;

inline constexpr std::size_t kG1Bytes = 128, kG2Bytes = 256, kScalarBytes = 32;

Output g1_add(Input data);         // 2 points -> point
Output g1_msm(Input data);         // n of (point, scalar of any 256-bit value) -> point
Output g2_add(Input data);         // 2 points -> point
Output g2_msm(Input data);         // n of (point, scalar of any 256-bit value) -> point
Output pairing_check(Input data);  // n of (G1 point, G2 point) -> 32 bytes, 1 if the product is one
Output map_fp_to_g1(Input data);   // field element -> point of the subgroup
Output map_fp2_to_g2(Input data);  // field element (c0, c1) -> point of the subgroup

// One point in the encoding of the EIP. Decoding checks the subgroup.
Output encode(const blst_p1_affine& point);
Output encode(const blst_p2_affine& point);
blst_p1_affine decode_g1(Input data);
blst_p2_affine decode_g2(Input data);

}  // namespace zkpfl::eip2537
