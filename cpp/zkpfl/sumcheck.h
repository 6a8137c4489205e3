#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "zkpfl/fr.h"

namespace zkpfl {

// Tables over {0,1}^n, top variable first: the halves of a table are its parts at 0 and 1. Kernels
// run on all threads; time depends on no value.

// eq(point, ·), 2^variables values.
std::vector<Scalar> equality_table(const Scalar* point, std::size_t variables);

// Of the polynomial s(X) = sum x(X, ·) y(X, ·): s(0) and the coefficient of X^2.
struct RoundSums {
  Scalar constant, quadratic;
};

// For tables of 2 half values.
RoundSums sumcheck_round(const Scalar* x, const Scalar* y, std::size_t half);

// Binds the top variable of two tables of 2 half values to rho, in place, and returns the sums of
// the next round (zeros after the last).
RoundSums sumcheck_bind(Scalar* x, Scalar* y, std::size_t half, const Scalar& rho);

// out[c] = sum_row weights[row] x[row, c]: integers to scalars, fewer than 2^40 rows.
void fold_rows(Scalar* out, const std::int16_t* x, const Scalar* weights, std::size_t rows,
               std::size_t columns);

// sum_i x[i]^2, of fewer than 2^33 values.
std::int64_t sum_of_squares(const std::int16_t* x, std::size_t count);

// sum_i x[i] y[i].
Scalar inner_product(const Scalar* x, const Scalar* y, std::size_t count);

}  // namespace zkpfl
