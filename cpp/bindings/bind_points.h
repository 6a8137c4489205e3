#pragma once

#include <pybind11/stl.h>

#include <algorithm>
#include <string>

#include "arrays.h"
#include "zkpfl/bytes.h"
#include "zkpfl/g1.h"
#include "zkpfl/msm.h"

namespace zkpfl::bindings {

inline G1Array decode_points(const py::bytes& wire) {
  if (size(wire) % kPointBytes != 0) throw InvalidEncoding("points are 48 bytes each");
  const py::gil_scoped_release unlocked;
  return {zkpfl::decode_points(data(wire), size(wire) / kPointBytes)};
}

inline py::bytes encode_points(const G1Array& array) {
  py::bytes wire = new_bytes(array.points.size() * kPointBytes);
  const py::gil_scoped_release unlocked;
  zkpfl::encode_points(mutable_data(wire), array.points);
  return wire;
}

inline G1Array slice(const G1Array& array, const py::slice& range) {
  py::ssize_t start, stop, step, length;
  if (!range.compute(static_cast<py::ssize_t>(array.points.size()), &start, &stop, &step, &length))
    throw py::error_already_set();
  G1Array out;
  for (py::ssize_t i = 0; i < length; ++i) out.points.push_back(array.points[start + i * step]);
  return out;
}

inline G1Array item(const G1Array& array, py::ssize_t index) {
  const auto length = static_cast<py::ssize_t>(array.points.size());
  if (index < -length || index >= length) throw py::index_error("point index out of range");
  return {{array.points[index < 0 ? index + length : index]}};
}

inline bool equal(const G1Array& a, const G1Array& b) {
  return std::equal(a.points.begin(), a.points.end(), b.points.begin(), b.points.end(),
                    [](const auto& p, const auto& q) { return blst_p1_affine_is_equal(&p, &q); });
}

inline G1Array concatenate(const std::vector<const G1Array*>& arrays) {
  G1Array out;
  for (const G1Array* array : arrays)
    out.points.insert(out.points.end(), array->points.begin(), array->points.end());
  return out;
}

inline G1Array sum_arrays(const std::vector<const G1Array*>& arrays) {
  const auto lists = point_lists(arrays);
  const py::gil_scoped_release unlocked;
  return {sum_points(lists)};
}

inline G1Array combine_arrays(const std::vector<const G1Array*>& arrays,
                              const ScalarArray& coefficients) {
  const auto lists = point_lists(arrays);
  require(scalar_count(coefficients) == lists.size(), "one coefficient an array");
  const py::gil_scoped_release unlocked;
  return {combine_points_vartime(lists, scalars(coefficients))};
}

inline G1Array msm(const G1Array& array, const ScalarArray& coefficients) {
  require(scalar_count(coefficients) == array.points.size(), "one scalar a point");
  const py::gil_scoped_release unlocked;
  return {to_affine({msm_vartime(array.points, scalars(coefficients))})};
}

inline G1Array hash_to_g1(const std::vector<py::bytes>& messages, const py::bytes& dst) {
  std::vector<std::vector<std::uint8_t>> texts;
  for (const auto& message : messages)
    texts.emplace_back(data(message), data(message) + size(message));
  const std::vector<std::uint8_t> domain(data(dst), data(dst) + size(dst));
  const py::gil_scoped_release unlocked;
  return {zkpfl::hash_to_g1(texts, domain)};
}

// The key stays with the columns, so that its tables outlive the call.
inline std::shared_ptr<const CommitmentKey> commitment_key(const G1Array& columns,
                                                           const G1Array& blinding) {
  require(columns.points.size() > 0 && blinding.points.size() == 1, "columns, and one blinding");
  const blst_p1_affine& point = blinding.points[0];
  if (!columns.key || !blst_p1_affine_is_equal(&columns.key->blinding, &point)) {
    columns.key = std::make_shared<const CommitmentKey>(columns.points, point);
  }
  return columns.key;
}

inline G1Array commit_lanes(const IntegerArray<std::int16_t>& values, const ScalarArray& blindings,
                            const G1Array& columns, const G1Array& blinding) {
  const auto key = commitment_key(columns, blinding);
  const auto count = static_cast<std::size_t>(values.size());
  const std::size_t rows = (count + key->columns.size() - 1) / key->columns.size();
  require(scalar_count(blindings) == rows, "one blinding a lane row");
  const std::int16_t* integers = values.data();
  const py::gil_scoped_release unlocked;
  return {commit_lanes_vartime(integers, count, scalars(blindings), *key)};
}

inline G1Array commit_rows(const ScalarArray& rows, const G1Array& columns,
                           const G1Array& blinding) {
  const auto key = commitment_key(columns, blinding);
  const std::size_t width = key->columns.size() + 1;
  require(scalar_count(rows) % width == 0, "rows of columns and one blinding");
  const py::gil_scoped_release unlocked;
  return {commit_rows_vartime(scalars(rows), scalar_count(rows) / width, *key)};
}

inline void bind_points(py::module_& m) {
  py::class_<G1Array>(m, "G1Array")
      .def_static("decode", &decode_points, py::arg("data"))
      .def_static("concatenate", &concatenate, py::arg("arrays"))
      .def("encode", &encode_points)
      .def("__len__", [](const G1Array& array) { return array.points.size(); })
      .def("__getitem__", &slice)
      .def("__getitem__", &item)
      .def("__eq__", &equal, py::is_operator())
      .def(
          "__add__", [](const G1Array& a, const G1Array& b) { return sum_arrays({&a, &b}); },
          py::is_operator())
      .def("__repr__",
           [](const G1Array& array) {
             return "G1Array(" + std::to_string(array.points.size()) + " points)";
           })
      .attr("__hash__") = py::none();
  m.def("sum_arrays", &sum_arrays, py::arg("arrays"));
  m.def("combine_arrays", &combine_arrays, py::arg("arrays"), py::arg("coefficients").noconvert());
  m.def("msm", &msm, py::arg("points"), py::arg("scalars").noconvert());
  m.def("hash_to_g1", &hash_to_g1, py::arg("messages"), py::arg("dst"));
  m.def("commit_lanes", &commit_lanes, py::arg("values").noconvert(),
        py::arg("blindings").noconvert(), py::arg("columns"), py::arg("blinding"));
  m.def("commit_rows", &commit_rows, py::arg("rows").noconvert(), py::arg("columns"),
        py::arg("blinding"));
}

}  // namespace zkpfl::bindings
