#pragma once

#include <cstddef>
#include <vector>

#include "zkpfl/affine_batch.h"

namespace zkpfl {

// Some points in an adder's representation, all of which take the same steps: with hundreds of them
// a step costs as little as a batched addition. Copies of the first one fill the vectors up.
template <typename Adder>
class InStep {
 public:
  explicit InStep(std::size_t count)
      : count_(count),
        points_((count + kLanes - 1) / kLanes * kLanes),
        additions_(points_.size()) {}

  void import_points(const blst_p1_affine* points) {
    Adder::import_points(points_.data(), points, count_);
    for (std::size_t i = count_; i < points_.size(); ++i) points_[i] = points_[0];
  }

  void twice() { Adder::twice(points_.data(), points_.size()); }

  // Adds the addends, or subtracts them if `negate` is set.
  void add(const InStep& addends, bool negate = false) {
    for (std::size_t i = 0; i < points_.size(); ++i) {
      additions_[i] = {&points_[i], &addends.points_[i], negate};
    }
    Adder::add(additions_.data(), additions_.size());
  }

  void export_points(blst_p1_affine* out) const {
    Adder::export_points(out, points_.data(), count_);
  }

 private:
  static constexpr std::size_t kLanes = 8;  // a multiple of every adder's

  std::size_t count_;
  std::vector<typename Adder::Point> points_;
  std::vector<Addition<typename Adder::Point>> additions_;
};

}  // namespace zkpfl
