#pragma once

#include "zkpfl/fixed_point.h"

namespace zkpfl::avx2 {

// The inner loops of fixed_point.cpp and hadamard.cpp with AVX2, called only where the processor
// has it. Same operations, same results.

// Squares of v[i] added to sums[i % 16]; `count` is a multiple of 16.
void add_squares(double* sums, const float* v, std::size_t count);

// `count` is a multiple of 8 in all of these.
void scale(float* out, const float* v, std::size_t count, double factor);
void flip_signs(float* v, const std::uint8_t* bits, std::size_t count);
Rounded round_stochastic(std::int16_t* out, const float* v, std::size_t count, double scale,
                         const std::uint8_t* stream, int limit);

// Butterflies at distances `first`, 2 * first, ..., count / 2; both powers of two, `count` at
// least 64, and `first` is 1 or at least 8.
void butterflies(float* v, std::size_t count, std::size_t first);

}  // namespace zkpfl::avx2
