#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "zkpfl/fr.h"

namespace zkpfl {

// How a row is cut into signed digits of `window` bits: x = sum_j 2^(window j) d_j with
// |d_j| <= 2^(window - 1). Digit j of column c has index j * columns + c; those of the blinding
// follow. A table of points is indexed the same way.
struct DigitShape {
  std::size_t columns;
  int window;
  int column_digits;
  int blinding_digits;

  std::size_t column_entries() const { return columns * static_cast<std::size_t>(column_digits); }
  std::size_t entries() const {
    return column_entries() + static_cast<std::size_t>(blinding_digits);
  }
  std::size_t buckets() const { return std::size_t{1} << (window - 1); }
};

constexpr int kScalarBits = 255;  // of a scalar between -r/2 and r/2, sign included

// The window with the fewest additions for columns of `bits` bits, sign included.
DigitShape cheapest_shape(std::size_t columns, int bits);

// Bits of the values, sign included; 1 if all are zero.
int signed_bits(const std::int16_t* values, std::size_t count);

// Write one row's digits; `values` may be shorter than the columns.
void write_lane_digits(std::int16_t* digits, const DigitShape& shape, const std::int16_t* values,
                       std::size_t count, const Scalar& blinding);
void write_scalar_digits(std::int16_t* digits, const DigitShape& shape, const Scalar* values);

// 2^shift value, as an integer between -2^shift r/2 and 2^shift r/2.
struct ShiftedScalar {
  Scalar value;
  int shift = 0;
};

// Factors of points without a table of powers: every digit is a row of its own.
struct ScalarDigits {
  int window;
  std::size_t rows;
  std::vector<std::int16_t> digits;  // row after row
};
ScalarDigits cheapest_digits(const std::vector<ShiftedScalar>& factors);

}  // namespace zkpfl
