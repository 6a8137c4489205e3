#pragma once

#include "arrays.h"
#include "zkpfl/fold.h"

namespace zkpfl::bindings {

inline G1Array fold_points(const G1Array& points, std::uint64_t e1, std::uint64_t e2) {
  require(points.points.size() % 2 == 0, "an even number of points");
  const py::gil_scoped_release unlocked;
  return {fold_points_vartime(points.points, e1, e2)};
}

inline ScalarArray fold_scalars(const ScalarArray& values, const ScalarArray& x) {
  const std::size_t count = scalar_count(values);
  require(count % 2 == 0 && scalar_count(x) == 1, "an even number of scalars, one factor");
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(count / 2)});
  Scalar* folded = mutable_scalars(out);
  const py::gil_scoped_release unlocked;
  zkpfl::fold_scalars(folded, scalars(values), count / 2, *scalars(x));
  return out;
}

inline ScalarArray fold_weights(const ScalarArray& challenges) {
  const std::size_t count = scalar_count(challenges);
  require(count < 32, "fewer than 32 challenges");
  const std::vector<Scalar> weights = zkpfl::fold_weights(scalars(challenges), count);
  ScalarArray out = new_scalars({static_cast<py::ssize_t>(weights.size())});
  std::copy(weights.begin(), weights.end(), mutable_scalars(out));
  return out;
}

inline void bind_fold(py::module_& m) {
  m.def("fold_points", &fold_points, py::arg("points"), py::arg("e1"), py::arg("e2"));
  m.def("fold_scalars", &fold_scalars, py::arg("scalars").noconvert(), py::arg("x").noconvert());
  m.def("fold_weights", &fold_weights, py::arg("challenges").noconvert());
}

}  // namespace zkpfl::bindings
