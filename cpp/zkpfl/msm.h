#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/commitment_key.h"
#include "zkpfl/g1.h"
#include "zkpfl/packing.h"

namespace zkpfl {

// sum_i scalars[i] * points[i]; infinity for none. Pippenger's buckets with batched additions, on
// all threads. Time depends on the scalars' bit length and, through the memory access of the
// buckets, on their values.
blst_p1 msm_vartime(const G1Points& points, const Scalar* scalars);
blst_p1 msm_blst(const G1Points& points, const Scalar* scalars);
blst_p1 msm_naive(const G1Points& points, const Scalar* scalars);

// sum_p weights[p] * sum_l 2^(width l) * lane_values[p * lanes + l]: the sum over packed points
// without packing them. Best with short weights, such as 128 bits: digits are those of the weights
// as they are, and not of products modulo r, which are twice as long. Time depends on the weights.
blst_p1 packed_msm_vartime(const G1Points& lane_values, const Scalar* weights, const Lanes& layout);

// The points of `messages` under RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_.
G1Points hash_to_g1(const std::vector<std::vector<std::uint8_t>>& messages,
                    const std::vector<std::uint8_t>& dst);

// out[row] = sum_c values[row, c] G_c + blindings[row] H for ceil(count / N) rows, zero padded.
// With the key's tables (fixed_base.h), or row by row with blst as long as they do not pay.
G1Points commit_lanes_vartime(const std::int16_t* values, std::size_t count,
                              const Scalar* blindings, const CommitmentKey& key);

// out[row] = sum_c values[row, c] G_c + values[row, N] H for rows of N + 1 scalars.
G1Points commit_rows_vartime(const Scalar* values, std::size_t rows, const CommitmentKey& key);

// The same by blst's Pippenger, without tables.
G1Points commit_lanes_blst(const std::int16_t* values, std::size_t count, const Scalar* blindings,
                           const CommitmentKey& key);
G1Points commit_rows_blst(const Scalar* values, std::size_t rows, const CommitmentKey& key);

}  // namespace zkpfl
