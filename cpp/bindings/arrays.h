#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "zkpfl/commitment_key.h"
#include "zkpfl/g1.h"

// How Python values reach the kernels: contiguity and length are checked here and only here.

namespace zkpfl::bindings {

namespace py = pybind11;

using ScalarArray = py::array_t<std::uint64_t, py::array::c_style>;

template <typename Integer>
using IntegerArray = py::array_t<Integer, py::array::c_style>;

// What Python holds of G1: opaque, made only by decoding or by arithmetic.
struct G1Array {
  G1Points points;
  mutable std::shared_ptr<const CommitmentKey> key =
      {};  // of points used as columns; needs the GIL
};

inline void require(bool condition, const char* message) {
  if (!condition) throw std::invalid_argument(message);
}

inline const std::uint8_t* data(const py::bytes& bytes) {
  return reinterpret_cast<const std::uint8_t*>(PyBytes_AS_STRING(bytes.ptr()));
}

inline std::size_t size(const py::bytes& bytes) {
  return static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.ptr()));
}

inline std::uint8_t* mutable_data(py::bytes& fresh) {
  return reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(fresh.ptr()));
}

inline py::bytes new_bytes(std::size_t length) {
  return py::reinterpret_steal<py::bytes>(
      PyBytes_FromStringAndSize(nullptr, static_cast<py::ssize_t>(length)));
}

// Scalars are arrays of shape (..., 4); the count is the product of the leading axes.
inline std::size_t scalar_count(const ScalarArray& array) {
  require(array.ndim() >= 1 && array.shape(array.ndim() - 1) == 4, "scalars have a last axis of 4");
  return static_cast<std::size_t>(array.size()) / 4;
}

inline const Scalar* scalars(const ScalarArray& array) {
  return reinterpret_cast<const Scalar*>(array.data());
}

inline Scalar* mutable_scalars(ScalarArray& array) {
  return reinterpret_cast<Scalar*>(array.mutable_data());
}

inline ScalarArray new_scalars(std::vector<py::ssize_t> shape) {
  shape.push_back(4);
  return ScalarArray(shape);
}

inline std::vector<const G1Points*> point_lists(const std::vector<const G1Array*>& arrays) {
  require(!arrays.empty(), "at least one array of points");
  std::vector<const G1Points*> lists;
  for (const G1Array* array : arrays) {
    require(array->points.size() == arrays[0]->points.size(), "arrays of points differ in length");
    lists.push_back(&array->points);
  }
  return lists;
}

}  // namespace zkpfl::bindings
