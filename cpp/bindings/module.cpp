// The native core as Python sees it. Every kernel runs without the GIL.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <exception>

#include "arrays.h"
#include "bind_bls.h"
#include "bind_fold.h"
#include "zkpfl/bytes.h"
#include "zkpfl/errors.h"
#include "zkpfl/fr.h"
#include "zkpfl/g1.h"

namespace zkpfl::bindings {

namespace {

void raise(const char* error_class, const char* message) {
  const py::object type = py::module_::import("zkpfl.errors").attr(error_class);
  PyErr_SetObject(type.ptr(), type(message).ptr());
}

void translate(std::exception_ptr exception) {
  try {
    if (exception) std::rethrow_exception(exception);
  } catch (const InvalidScalar& error) {
    raise("InvalidScalar", error.what());
  } catch (const InvalidPoint& error) {
    raise("InvalidPoint", error.what());
  } catch (const InvalidEncoding& error) {
    raise("InvalidEncoding", error.what());
  } catch (const InvalidUpdate& error) {
    raise("InvalidUpdate", error.what());
  }
}

// ---- bytes, fr ---------------------------------------------------------------------------------

ScalarArray decode_scalars(const py::bytes& wire) {
  require(size(wire) % kScalarBytes == 0, "scalars are 32 bytes each");
  const std::size_t count = size(wire) / kScalarBytes;
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(count)});
  Scalar* values = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::decode_scalars(values, data(wire), count);
  return out;
}

py::bytes encode_scalars(const ScalarArray& array) {
  const std::size_t count = scalar_count(array);
  py::bytes wire = new_bytes(count * kScalarBytes);
  const py::gil_scoped_release unlocked;
  zkpfl::encode_scalars(mutable_data(wire), scalars(array), count);
  return wire;
}

void add_into(ScalarArray accumulator, const ScalarArray& array) {
  const std::size_t count = scalar_count(accumulator);
  require(scalar_count(array) == count, "arrays of scalars differ in length");
  Scalar* values = mutable_scalars(accumulator);
  const py::gil_scoped_release unlocked;
  zkpfl::add_into(values, scalars(array), count);
}

ScalarArray linear_combination(const std::vector<ScalarArray>& rows,
                               const ScalarArray& coefficients) {
  require(!rows.empty() && scalar_count(coefficients) == rows.size(), "one coefficient a row");
  const std::size_t count = scalar_count(rows[0]);
  std::vector<const Scalar*> lists;
  for (const auto& row : rows) {
    require(scalar_count(row) == count, "rows of scalars differ in length");
    lists.push_back(scalars(row));
  }
  ScalarArray out(std::vector<py::ssize_t>(rows[0].shape(), rows[0].shape() + rows[0].ndim()));
  Scalar* values = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::linear_combination(values, lists, scalars(coefficients), count);
  return out;
}

ScalarArray accept_scalars(const py::bytes& blocks, std::size_t wanted) {
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

// ---- g1 ----------------------------------------------------------------------------------------

G1Array decode_points(const py::bytes& wire) {
  if (size(wire) % kPointBytes != 0) throw InvalidEncoding("points are 48 bytes each");
  const py::gil_scoped_release unlocked;
  return {zkpfl::decode_points(data(wire), size(wire) / kPointBytes)};
}

py::bytes encode_points(const G1Array& array) {
  py::bytes wire = new_bytes(array.points.size() * kPointBytes);
  const py::gil_scoped_release unlocked;
  zkpfl::encode_points(mutable_data(wire), array.points);
  return wire;
}

G1Array slice(const G1Array& array, const py::slice& range) {
  py::ssize_t start, stop, step, length;
  if (!range.compute(static_cast<py::ssize_t>(array.points.size()), &start, &stop, &step, &length))
    throw py::error_already_set();
  G1Array out;
  for (py::ssize_t i = 0; i < length; ++i) out.points.push_back(array.points[start + i * step]);
  return out;
}

G1Array item(const G1Array& array, py::ssize_t index) {
  const auto length = static_cast<py::ssize_t>(array.points.size());
  if (index < -length || index >= length) throw py::index_error("point index out of range");
  return {{array.points[index < 0 ? index + length : index]}};
}

bool equal(const G1Array& a, const G1Array& b) {
  return std::equal(a.points.begin(), a.points.end(), b.points.begin(), b.points.end(),
                    [](const auto& p, const auto& q) { return blst_p1_affine_is_equal(&p, &q); });
}

G1Array concatenate(const std::vector<const G1Array*>& arrays) {
  G1Array out;
  for (const G1Array* array : arrays)
    out.points.insert(out.points.end(), array->points.begin(), array->points.end());
  return out;
}

G1Array sum_arrays(const std::vector<const G1Array*>& arrays) {
  const auto lists = point_lists(arrays);
  const py::gil_scoped_release unlocked;
  return {sum_points(lists)};
}

G1Array combine_arrays(const std::vector<const G1Array*>& arrays, const ScalarArray& coefficients) {
  const auto lists = point_lists(arrays);
  require(scalar_count(coefficients) == lists.size(), "one coefficient an array");
  const py::gil_scoped_release unlocked;
  return {combine_points_vartime(lists, scalars(coefficients))};
}

void bind_scalars(py::module_& m) {
  m.def("decode_scalars", &decode_scalars, py::arg("wire"));
  m.def("encode_scalars", &encode_scalars, py::arg("scalars").noconvert());
  m.def("add_into", &add_into, py::arg("accumulator").noconvert(), py::arg("scalars").noconvert());
  m.def("linear_combination", &linear_combination, py::arg("rows").noconvert(),
        py::arg("coefficients").noconvert());
  m.def("accept_scalars", &accept_scalars, py::arg("blocks"), py::arg("wanted"));
}

void bind_points(py::module_& m) {
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
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels of zkPFL; used only by zkpfl.crypto.";
  py::register_local_exception_translator(&translate);
  bind_scalars(m);
  bind_points(m);
  bind_fold(m);
  bind_bls(m);
  bind_eip2537(m);
}

}  // namespace zkpfl::bindings
