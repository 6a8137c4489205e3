#pragma once

#include <cstddef>
#include <cstdint>

namespace zkpfl {

// The floating-point part of docs/spec.md §3, bit for bit the same on every machine: IEEE
// operations in a fixed order, compiled without fused multiply-add. Every function here has one
// result whatever the number of threads and whether or not the processor has AVX2.

// Sum of squares in float64: 16 interleaved sums in each block of 65536 values, added in order,
// then the blocks in order. Finite exactly if all values are.
double squared_norm(const float* v, std::size_t count);

// out = factor * v, the product in float64 and rounded once.
void scale(float* out, const float* v, std::size_t count, double factor);

// v <- H v for a power of two `count`: butterflies (a, b) -> (a + b, a - b) at distances 1, 2, 4,
// ..., then one multiplication by the float32 nearest to 1 / sqrt(count). 20 additions a value at
// a million values, in two passes over memory.
void hadamard(float* v, std::size_t count);
void hadamard_naive(float* v, std::size_t count);

// Negates v[i] where bit i is set, least significant bit of each byte first.
void flip_signs(float* v, const std::uint8_t* bits, std::size_t count);

struct Rounded {
  std::uint64_t squared_norm;
  std::size_t outside;  // how many values were outside [-limit, limit)
};

// out = floor(y) + [u < frac(y) 2^32], y = scale * v in float64, u the big-endian 32-bit words of
// `stream`. Values outside [-limit, limit) are set to its nearest end and counted.
Rounded round_stochastic(std::int16_t* out, const float* v, std::size_t count, double scale,
                         const std::uint8_t* stream, int limit);
Rounded round_stochastic_naive(std::int16_t* out, const float* v, std::size_t count, double scale,
                               const std::uint8_t* stream, int limit);

// out = (total / scale) / submissions, in float64 and rounded once.
void mean(float* out, const std::int64_t* total, std::size_t count, double scale,
          double submissions);

}  // namespace zkpfl
