#pragma once

#include <pybind11/stl.h>

#include <algorithm>

#include "arrays.h"
#include "zkpfl/bytes.h"
#include "zkpfl/fr.h"
#include "zkpfl/fr_sum.h"
#include "zkpfl/keystream.h"

namespace zkpfl::bindings {

// From bytes or a view of some, which need no copy of their own.
inline ScalarArray decode_scalars(const py::buffer& wire) {
  const py::buffer_info view = wire.request();
  require(view.ndim == 1 && view.itemsize == 1 && view.strides[0] == 1, "bytes in a row");
  require(view.size % kScalarBytes == 0, "scalars are 32 bytes each");
  const std::size_t count = static_cast<std::size_t>(view.size) / kScalarBytes;
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(count)});
  Scalar* values = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::decode_scalars(values, static_cast<const std::uint8_t*>(view.ptr), count);
  return out;
}

inline py::bytes encode_scalars(const ScalarArray& array) {
  const std::size_t count = scalar_count(array);
  py::bytes wire = new_bytes(count * kScalarBytes);
  const py::gil_scoped_release unlocked;
  zkpfl::encode_scalars(mutable_data(wire), scalars(array), count);
  return wire;
}

inline void add_into(ScalarArray accumulator, const ScalarArray& array) {
  const std::size_t count = scalar_count(accumulator);
  require(scalar_count(array) == count, "arrays of scalars differ in length");
  Scalar* values = mutable_scalars(accumulator);
  const py::gil_scoped_release unlocked;
  zkpfl::add_into(values, scalars(array), count);
}

inline std::vector<const Scalar*> scalar_lists(const std::vector<ScalarArray>& rows) {
  require(!rows.empty(), "at least one row");
  std::vector<const Scalar*> lists;
  for (const auto& row : rows) {
    require(scalar_count(row) == scalar_count(rows[0]), "rows of scalars differ in length");
    lists.push_back(scalars(row));
  }
  return lists;
}

inline ScalarArray new_like(const ScalarArray& array) {
  return ScalarArray(std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
}

inline ScalarArray sum_scalars(const std::vector<ScalarArray>& rows) {
  const auto lists = scalar_lists(rows);
  ScalarArray out = new_like(rows[0]);
  Scalar* values = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::sum_scalars(values, lists, scalar_count(rows[0]));
  return out;
}

inline ScalarArray linear_combination(const std::vector<ScalarArray>& rows,
                                      const ScalarArray& coefficients) {
  const auto lists = scalar_lists(rows);
  require(scalar_count(coefficients) == rows.size(), "one coefficient a row");
  ScalarArray out = new_like(rows[0]);
  Scalar* values = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::linear_combination(values, lists, scalars(coefficients), scalar_count(rows[0]));
  return out;
}

inline ScalarArray accept_scalars(const py::bytes& blocks, std::size_t wanted) {
  require(size(blocks) % kScalarBytes == 0, "blocks are 32 bytes each");
  std::vector<Scalar> accepted(wanted);
  {
    const py::gil_scoped_release unlocked;
    accepted.resize(
        zkpfl::accept_scalars(accepted.data(), wanted, data(blocks), size(blocks) / kScalarBytes));
  }
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(accepted.size())});
  std::copy(accepted.begin(), accepted.end(), mutable_scalars(out));
  return out;
}

// None where the processor has no instructions for AES.
inline py::object expand_seed(const py::bytes& seed, std::size_t rows, std::size_t width) {
  require(size(seed) == 32, "a seed has 32 bytes");
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(width)});
  Scalar* values = mutable_scalars(out);
  bool done;
  {
    const py::gil_scoped_release unlocked;
    done = zkpfl::expand_seed(values, data(seed), rows, width);
  }
  if (!done) return py::none();
  return out;
}

inline void bind_scalars(py::module_& m) {
  m.def("decode_scalars", &decode_scalars, py::arg("wire"));
  m.def("encode_scalars", &encode_scalars, py::arg("scalars").noconvert());
  m.def("add_into", &add_into, py::arg("accumulator").noconvert(), py::arg("scalars").noconvert());
  m.def("sum_scalars", &sum_scalars, py::arg("rows"));
  m.def("linear_combination", &linear_combination, py::arg("rows").noconvert(),
        py::arg("coefficients").noconvert());
  m.def("expand_seed", &expand_seed, py::arg("seed"), py::arg("rows"), py::arg("width"));
  m.def("accept_scalars", &accept_scalars, py::arg("blocks"), py::arg("wanted"));
}

}  // namespace zkpfl::bindings
