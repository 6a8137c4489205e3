#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "zkpfl/fr.h"

namespace zkpfl {

// The 128 random binary rows of the norm proof (docs/spec.md §7): the entries of rows R_0 … R_127
// at index c are the bits of block c of stream(seed, 0), from the lowest of its first byte.
// Everybody knows the seed, so rows may be looked up by their bits; what is added up may be secret.
// All kernels run on all threads; time depends on no value of x.

constexpr std::size_t kBinaryRows = 128;
constexpr std::size_t kRowTile = 128;  // indices at once

// Part (b1, b2) of a table of 4 `size` entries are those whose index has the top bits b1 and b2;
// entries from `count` on are zero and not there. The table has whole rows of a power of two of at
// least 256 columns, and 2 `size` < count, so that parts end where tiles do.
struct Parts {
  std::size_t count, size;

  bool has(std::size_t part, std::size_t first) const { return part * size + first < count; }
};
constexpr std::size_t kParts = 4;

// A number for each row, and one that no row has to do with.
struct RowSums {
  std::array<std::int64_t, kBinaryRows> rows = {};
  std::int64_t squares = 0;
};

// Inner products of x and of the rows R_k, both with their two top variables at (i, j) from
// {0, 1, ∞}, at place 3 i + j; at ∞ means the coefficient, which is the difference of the parts at
// 1 and at 0. `squares` is the same with x for R_k. They determine the first two rounds of a
// sumcheck.
using GridSums = std::array<RowSums, 9>;
GridSums binary_row_grid(const std::uint8_t* seed, const std::int16_t* x, const Parts& parts);

// rows[k] = sum_i R_k[first + i] x[i], squares = sum_i x[i]^2.
RowSums binary_row_sums_naive(const std::uint8_t* seed, std::uint64_t first, const std::int64_t* x,
                              std::size_t count);

// The combination A[c] = sum_k weights[k] R_k[c], for c = first … first + count - 1.
void combine_binary_rows(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                         std::uint64_t first, std::size_t count);
void combine_binary_rows_naive(Scalar* out, const std::uint8_t* seed, const Scalar* weights,
                               std::uint64_t first, std::size_t count);

// Binds the two top variables of x and of y = A + tau x to `rho`, into `parts.size` values each.
struct FirstBinding {
  const Scalar* weights;
  const Scalar* rho;  // two
  Scalar tau;
};
void bind_binary_rows(Scalar* x_out, Scalar* y_out, const std::uint8_t* seed, const std::int16_t* x,
                      const Parts& parts, const FirstBinding& binding);

// The multilinear extension of A at a point of `variables` coordinates, top variable first, of a
// table of 2^variables entries.
Scalar evaluate_binary_rows(const std::uint8_t* seed, const Scalar* weights, std::size_t count,
                            const Scalar* point, std::size_t variables);

}  // namespace zkpfl
