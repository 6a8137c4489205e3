#pragma once

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "arrays.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/sumcheck.h"

namespace zkpfl::bindings {

using Int16Array = IntegerArray<std::int16_t>;

constexpr std::size_t kMostValues = std::size_t{1} << 26;

inline const std::uint8_t* checked_seed(const py::bytes& seed) {
  require(size(seed) == 32, "a seed has 32 bytes");
  return data(seed);
}

inline std::size_t checked_count(const Int16Array& x) {
  require(x.ndim() == 1 && 1 <= x.size() && static_cast<std::size_t>(x.size()) <= kMostValues,
          "1 to 2^26 values in a row");
  return static_cast<std::size_t>(x.size());
}

// Of a table of 2^variables entries, of which `count` are there.
inline Parts checked_parts(std::size_t count, std::size_t variables) {
  require(8 <= variables && variables <= 26, "8 to 26 variables");
  const std::size_t size = std::size_t{1} << (variables - 2);
  require(count % (2 * kRowTile) == 0 && 2 * size < count && count <= 4 * size,
          "whole rows, which need all variables");
  return {count, size};
}

inline IntegerArray<std::int64_t> to_python(const std::array<std::int64_t, kBinaryRows>& rows) {
  IntegerArray<std::int64_t> out(static_cast<py::ssize_t>(kBinaryRows));
  std::copy(rows.begin(), rows.end(), out.mutable_data());
  return out;
}

inline py::list binary_row_grid(const py::bytes& seed, const Int16Array& x, std::size_t variables) {
  const std::uint8_t* key = checked_seed(seed);
  const Parts parts = checked_parts(checked_count(x), variables);
  const std::int16_t* values = x.data();
  GridSums grid;
  {
    const py::gil_scoped_release unlocked;
    grid = zkpfl::binary_row_grid(key, values, parts);
  }
  py::list out;
  for (const RowSums& sums : grid) out.append(py::make_tuple(to_python(sums.rows), sums.squares));
  return out;
}

// Of a few values below 2^31 on either side.
inline IntegerArray<std::int64_t> binary_row_sums(const py::bytes& seed, std::uint64_t first,
                                                  const IntegerArray<std::int64_t>& x) {
  const std::int64_t* values = x.data();
  const auto count = static_cast<std::size_t>(x.size());
  require(std::all_of(values, values + count,
                      [](std::int64_t value) { return std::abs(value) >> 31 == 0; }) &&
              count <= 1 << 16,
          "up to 2^16 values of 31 bits");
  return to_python(binary_row_sums_naive(checked_seed(seed), first, values, count).rows);
}

// The sum of the squares.
inline std::int64_t squared_norm_of_integers(const Int16Array& x) {
  const std::int16_t* values = x.data();
  const std::size_t count = checked_count(x);
  const py::gil_scoped_release unlocked;
  return sum_of_squares(values, count);
}

inline const Scalar* checked_weights(const ScalarArray& weights) {
  require(scalar_count(weights) == kBinaryRows, "one weight a row");
  return scalars(weights);
}

inline const Scalar& one_scalar(const ScalarArray& value) {
  require(scalar_count(value) == 1, "one scalar");
  return *scalars(value);
}

inline ScalarArray combine_binary_rows(const py::bytes& seed, const ScalarArray& weights,
                                       std::uint64_t first, std::size_t count) {
  const std::uint8_t* key = checked_seed(seed);
  const Scalar* factors = checked_weights(weights);
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(count)});
  Scalar* values = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::combine_binary_rows(values, key, factors, first, count);
  return out;
}

inline py::tuple bind_binary_rows(const py::bytes& seed, const ScalarArray& weights,
                                  const Int16Array& x, std::size_t variables,
                                  const ScalarArray& rho, const ScalarArray& tau) {
  const std::uint8_t* key = checked_seed(seed);
  const Parts parts = checked_parts(checked_count(x), variables);
  require(scalar_count(rho) == 2, "two variables to bind");
  const FirstBinding binding{checked_weights(weights), scalars(rho), one_scalar(tau)};
  ScalarArray x_bound = new_scalars({static_cast<py::ssize_t>(parts.size)});
  ScalarArray y_bound = new_scalars({static_cast<py::ssize_t>(parts.size)});
  Scalar *x_out = mutable_scalars(x_bound), *y_out = mutable_scalars(y_bound);
  const std::int16_t* values = x.data();
  {
    const py::gil_scoped_release unlocked;
    zkpfl::bind_binary_rows(x_out, y_out, key, values, parts, binding);
  }
  return py::make_tuple(x_bound, y_bound);
}

inline ScalarArray to_python(const Scalar& value) {
  ScalarArray out = new_scalars({});
  *mutable_scalars(out) = value;
  return out;
}

inline ScalarArray evaluate_binary_rows(const py::bytes& seed, const ScalarArray& weights,
                                        std::size_t count, const ScalarArray& point) {
  const std::uint8_t* key = checked_seed(seed);
  const Scalar* factors = checked_weights(weights);
  const std::size_t variables = scalar_count(point);
  checked_parts(count, variables);
  Scalar value;
  {
    const py::gil_scoped_release unlocked;
    value = zkpfl::evaluate_binary_rows(key, factors, count, scalars(point), variables);
  }
  return to_python(value);
}

inline ScalarArray to_python(const RoundSums& sums) {
  ScalarArray out = new_scalars({2});
  mutable_scalars(out)[0] = sums.constant;
  mutable_scalars(out)[1] = sums.quadratic;
  return out;
}

inline std::size_t checked_tables(const ScalarArray& x, const ScalarArray& y) {
  const std::size_t count = scalar_count(x);
  require(scalar_count(y) == count && count >= 2 && std::has_single_bit(count),
          "two tables of one size, a power of two from 2");
  return count / 2;
}

inline ScalarArray sumcheck_round(const ScalarArray& x, const ScalarArray& y) {
  const std::size_t half = checked_tables(x, y);
  RoundSums sums;
  {
    const py::gil_scoped_release unlocked;
    sums = zkpfl::sumcheck_round(scalars(x), scalars(y), half);
  }
  return to_python(sums);
}

// In place: afterwards the first halves hold the bound tables.
inline ScalarArray sumcheck_bind(ScalarArray x, ScalarArray y, const ScalarArray& rho) {
  const std::size_t half = checked_tables(x, y);
  const Scalar challenge = one_scalar(rho);
  Scalar *x_table = mutable_scalars(x), *y_table = mutable_scalars(y);
  RoundSums sums;
  {
    const py::gil_scoped_release unlocked;
    sums = zkpfl::sumcheck_bind(x_table, y_table, half, challenge);
  }
  return to_python(sums);
}

inline ScalarArray equality_table(const ScalarArray& point) {
  const std::size_t variables = scalar_count(point);
  require(variables <= 26, "up to 26 variables");
  const auto table = zkpfl::equality_table(scalars(point), variables);
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(table.size())});
  std::copy(table.begin(), table.end(), mutable_scalars(out));
  return out;
}

inline ScalarArray fold_rows(const Int16Array& x, const ScalarArray& weights) {
  const std::size_t rows = scalar_count(weights), count = checked_count(x);
  require(rows >= 1 && count % rows == 0, "rows of one length");
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(count / rows)});
  Scalar* folded = mutable_scalars(out);
  const std::int16_t* values = x.data();
  const py::gil_scoped_release unlocked;
  zkpfl::fold_rows(folded, values, scalars(weights), rows, count / rows);
  return out;
}

inline ScalarArray inner_product(const ScalarArray& x, const ScalarArray& y) {
  require(scalar_count(x) == scalar_count(y), "as many scalars");
  Scalar value;
  {
    const py::gil_scoped_release unlocked;
    value = zkpfl::inner_product(scalars(x), scalars(y), scalar_count(x));
  }
  return to_python(value);
}

inline void bind_sumcheck(py::module_& m) {
  m.def("binary_row_grid", &binary_row_grid, py::arg("seed"), py::arg("x").noconvert(),
        py::arg("variables"));
  m.def("binary_row_sums", &binary_row_sums, py::arg("seed"), py::arg("first"),
        py::arg("x").noconvert());
  m.def("squared_norm_of_integers", &squared_norm_of_integers, py::arg("x").noconvert());
  m.def("combine_binary_rows", &combine_binary_rows, py::arg("seed"),
        py::arg("weights").noconvert(), py::arg("first"), py::arg("count"));
  m.def("bind_binary_rows", &bind_binary_rows, py::arg("seed"), py::arg("weights").noconvert(),
        py::arg("x").noconvert(), py::arg("variables"), py::arg("rho").noconvert(),
        py::arg("tau").noconvert());
  m.def("evaluate_binary_rows", &evaluate_binary_rows, py::arg("seed"),
        py::arg("weights").noconvert(), py::arg("count"), py::arg("point").noconvert());
  m.def("sumcheck_round", &sumcheck_round, py::arg("x").noconvert(), py::arg("y").noconvert());
  m.def("sumcheck_bind", &sumcheck_bind, py::arg("x").noconvert(), py::arg("y").noconvert(),
        py::arg("rho").noconvert());
  m.def("equality_table", &equality_table, py::arg("point").noconvert());
  m.def("fold_rows", &fold_rows, py::arg("x").noconvert(), py::arg("weights").noconvert());
  m.def("inner_product", &inner_product, py::arg("x").noconvert(), py::arg("y").noconvert());
}

}  // namespace zkpfl::bindings
