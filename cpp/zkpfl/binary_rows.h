#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "zkpfl/fr.h"

namespace zkpfl {

// The 128 random binary rows of the norm proof (docs/spec.md §7): the entries of rows R_0 … R_127
// at index c are the bits of block c of stream(seed, 0), from the lowest of its first byte.
// Everybody knows the seed, so rows may be looked up by their bits; what is added up may be secret.
// Counts and halves are multiples of kRowTile. All kernels run on all threads.

constexpr std::size_t kBinaryRows = 128;
constexpr std::size_t kRowTile = 128;  // indices at once

// A number for each row, and one that no row has to do with.
struct RowSums {
  std::array<std::int64_t, kBinaryRows> rows = {};
  std::int64_t squares = 0;
};

// rows[k] = sum_i R_k[first + i] x[i], squares = sum_i x[i]^2; `first` and `count` as they come,
// fewer than 2^26 values. Time depends on no value.
RowSums binary_row_sums(const std::uint8_t* seed, std::uint64_t first, const std::int16_t* x,
                        std::size_t count);
RowSums binary_row_sums_naive(const std::uint8_t* seed, std::uint64_t first, const std::int64_t* x,
                              std::size_t count);

// rows[k] = sum_(c < half) (R_k[half + c] - R_k[c]) (x[half + c] - x[c]), squares = the sum of the
// squares of the second factor; R and x are zero from `count` on, half <= count <= 2 half.
RowSums binary_row_differences(const std::uint8_t* seed, const std::int16_t* x, std::size_t count,
                               std::size_t half);

// The combination A[c] = sum_k weights[k] R_k[c], for c = first … first + count - 1 (as they come).
void combine_binary_rows(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                         std::uint64_t first, std::size_t count);
void combine_binary_rows_naive(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                               std::uint64_t first, std::size_t count);

// Binds the top variable of x and of y = A + tau x, both zero from `count` on, to rho:
// x_out[c] = (1 - rho) x[c] + rho x[half + c] for c < half, and y_out likewise. Time depends on no
// value of x.
struct FirstBinding {
  const Scalar* weights;
  Scalar rho, tau;
};
void bind_binary_rows(Scalar* x_out, Scalar* y_out, const std::uint8_t* seed, const std::int16_t* x,
                      std::size_t count, std::size_t half, const FirstBinding& binding);

// The multilinear extension of A at a point of `variables` coordinates, top variable first; A is
// zero from `count` on, 2^(variables - 1) <= count <= 2^variables.
Scalar evaluate_binary_rows(const std::uint8_t* seed, const Scalar* weights, std::size_t count,
                            const Scalar* point, std::size_t variables);

}  // namespace zkpfl
