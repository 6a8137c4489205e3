#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/g1.h"

namespace zkpfl {

// The generators of docs/spec.md §4: one for each column, and the one for blindings.
struct CommitmentKey {
  const G1Points& columns;
  const blst_p1_affine& blinding;
};

// sum_i scalars[i] * points[i]; infinity for none. Time depends on the scalars' bit length and,
// through the memory access of Pippenger's buckets, on their values.
blst_p1 msm_vartime(const G1Points& points, const Scalar* scalars);
blst_p1 msm_naive(const G1Points& points, const Scalar* scalars);

// The points of `messages` under RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_.
G1Points hash_to_g1(const std::vector<std::vector<std::uint8_t>>& messages,
                    const std::vector<std::uint8_t>& dst);

// out[row] = sum_c values[row, c] G_c + blindings[row] H for ceil(count / N) rows, zero padded.
G1Points commit_lanes_vartime(const std::int16_t* values, std::size_t count,
                              const Scalar* blindings, const CommitmentKey& key);

// out[row] = sum_c values[row, c] G_c + values[row, N] H for rows of N + 1 scalars.
G1Points commit_rows_vartime(const Scalar* values, std::size_t rows, const CommitmentKey& key);

}  // namespace zkpfl
