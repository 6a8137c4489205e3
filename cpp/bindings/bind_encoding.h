#pragma once

#include <bit>
#include <utility>

#include "arrays.h"
#include "zkpfl/fixed_point.h"
#include "zkpfl/msm.h"
#include "zkpfl/packing.h"

namespace zkpfl::bindings {

using FloatArray = py::array_t<float, py::array::c_style>;

inline double squared_norm(const FloatArray& v) {
  const float* values = v.data();
  const auto count = static_cast<std::size_t>(v.size());
  const py::gil_scoped_release unlocked;
  return zkpfl::squared_norm(values, count);
}

inline FloatArray scale(const FloatArray& v, double factor) {
  FloatArray out(v.size());
  float* scaled = out.mutable_data();
  const float* values = v.data();
  const auto count = static_cast<std::size_t>(v.size());
  const py::gil_scoped_release unlocked;
  zkpfl::scale(scaled, values, count, factor);
  return out;
}

inline FloatArray mean(const IntegerArray<std::int64_t>& total, double scale, double submissions) {
  FloatArray out(total.size());
  float* means = out.mutable_data();
  const std::int64_t* sums = total.data();
  const auto count = static_cast<std::size_t>(total.size());
  const py::gil_scoped_release unlocked;
  zkpfl::mean(means, sums, count, scale, submissions);
  return out;
}

// In place on v[start : start + length]: signs then transform, or with `inverse` the other order.
inline void rotate_block(FloatArray v, std::size_t start, std::size_t length,
                         const py::bytes& signs, bool inverse) {
  require(std::has_single_bit(length) && start <= static_cast<std::size_t>(v.size()) &&
              length <= static_cast<std::size_t>(v.size()) - start,
          "a block of a power of two inside the vector");
  require(size(signs) >= (length + 7) / 8, "one sign bit a coordinate");
  float* block = v.mutable_data() + start;
  const std::uint8_t* bits = data(signs);
  const py::gil_scoped_release unlocked;
  if (!inverse) flip_signs(block, bits, length);
  hadamard(block, length);
  if (inverse) flip_signs(block, bits, length);
}

// Into `out`, which has the length of `v`.
inline py::tuple round_stochastic(IntegerArray<std::int16_t> out, const FloatArray& v, double scale,
                                  const py::bytes& stream, int limit) {
  const auto count = static_cast<std::size_t>(v.size());
  require(out.size() == v.size(), "as many integers as values");
  require(size(stream) == 4 * count, "four bytes of randomness a coordinate");
  require(0 < limit && limit <= 32768, "a limit of 16 bits");
  std::int16_t* integers = out.mutable_data();
  const float* values = v.data();
  Rounded result;
  {
    const py::gil_scoped_release unlocked;
    result = zkpfl::round_stochastic(integers, values, count, scale, data(stream), limit);
  }
  return py::make_tuple(result.squared_norm, result.outside);
}

inline Lanes checked_lanes(std::size_t dimension, std::size_t columns, std::size_t lanes,
                           std::size_t width) {
  require(dimension > 0 && columns > 0 && lanes > 0 && 2 <= width && width <= 62 &&
              lanes * width <= 254,
          "lanes of 2 to 62 bits that fit in a scalar");
  return {dimension, columns, lanes, width};
}

template <typename Integer>
ScalarArray pack(const IntegerArray<Integer>& values, std::size_t columns, std::size_t lanes,
                 std::size_t width) {
  const Lanes layout =
      checked_lanes(static_cast<std::size_t>(values.size()), columns, lanes, width);
  ScalarArray out = new_scalars(
      {static_cast<py::ssize_t>(layout.packed_rows()), static_cast<py::ssize_t>(columns)});
  Scalar* packed = mutable_scalars(out);
  const Integer* integers = values.data();
  const py::gil_scoped_release unlocked;
  zkpfl::pack(packed, integers, layout);
  return out;
}

inline IntegerArray<std::int64_t> unpack_sum(const ScalarArray& packed, std::size_t dimension,
                                             std::size_t lanes, std::size_t width) {
  require(packed.ndim() == 3 && packed.shape(2) == 4, "packed rows of shape (P, N, 4)");
  const Lanes layout =
      checked_lanes(dimension, static_cast<std::size_t>(packed.shape(1)), lanes, width);
  require(static_cast<std::size_t>(packed.shape(0)) == layout.packed_rows(), "P packed rows");
  IntegerArray<std::int64_t> out(static_cast<py::ssize_t>(dimension));
  std::int64_t* integers = out.mutable_data();
  const py::gil_scoped_release unlocked;
  zkpfl::unpack_sum(integers, scalars(packed), layout);
  return out;
}

inline ScalarArray pack_scalars(const ScalarArray& lane_values, std::size_t lanes,
                                std::size_t width) {
  const std::size_t rows = scalar_count(lane_values);
  const Lanes layout = checked_lanes(1, 1, lanes, width);
  ScalarArray out = new_scalars({static_cast<py::ssize_t>((rows + lanes - 1) / lanes)});
  Scalar* packed = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::pack_scalars(packed, scalars(lane_values), rows, layout);
  return out;
}

inline G1Array pack_points(const G1Array& lane_values, std::size_t lanes, std::size_t width) {
  const Lanes layout = checked_lanes(1, 1, lanes, width);
  const py::gil_scoped_release unlocked;
  return {zkpfl::pack_points(lane_values.points, layout)};
}

inline G1Array packed_msm(const G1Array& lane_values, const ScalarArray& weights, std::size_t lanes,
                          std::size_t width) {
  const Lanes layout = checked_lanes(1, 1, lanes, width);
  require(scalar_count(weights) == (lane_values.points.size() + lanes - 1) / lanes,
          "one weight a packed point");
  const py::gil_scoped_release unlocked;
  return {to_affine({packed_msm_vartime(lane_values.points, scalars(weights), layout)})};
}

inline void bind_encoding(py::module_& m) {
  m.def("squared_norm", &squared_norm, py::arg("v").noconvert());
  m.def("scale", &scale, py::arg("v").noconvert(), py::arg("factor"));
  m.def("mean", &mean, py::arg("total").noconvert(), py::arg("scale"), py::arg("submissions"));
  m.def("rotate_block", &rotate_block, py::arg("v").noconvert(), py::arg("start"),
        py::arg("length"), py::arg("signs"), py::arg("inverse"));
  m.def("round_stochastic", &round_stochastic, py::arg("out").noconvert(), py::arg("v").noconvert(),
        py::arg("scale"), py::arg("stream"), py::arg("limit"));
  m.def("pack", &pack<std::int16_t>, py::arg("values").noconvert(), py::arg("columns"),
        py::arg("lanes"), py::arg("width"));
  m.def("pack", &pack<std::int64_t>, py::arg("values").noconvert(), py::arg("columns"),
        py::arg("lanes"), py::arg("width"));
  m.def("unpack_sum", &unpack_sum, py::arg("packed").noconvert(), py::arg("dimension"),
        py::arg("lanes"), py::arg("width"));
  m.def("pack_scalars", &pack_scalars, py::arg("lane_values").noconvert(), py::arg("lanes"),
        py::arg("width"));
  m.def("pack_points", &pack_points, py::arg("lane_values"), py::arg("lanes"), py::arg("width"));
  m.def("packed_msm", &packed_msm, py::arg("lane_values"), py::arg("weights").noconvert(),
        py::arg("lanes"), py::arg("width"));
}

}  // namespace zkpfl::bindings
