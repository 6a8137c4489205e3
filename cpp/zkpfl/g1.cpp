#include "zkpfl/g1.h"

#include <algorithm>

#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

struct SignedCoefficient {
  Scalar magnitude;
  bool negative;
};

SignedCoefficient smallest(const Scalar& coefficient) {
  if (!is_negative(coefficient)) return {coefficient, false};
  return {Scalar{} - coefficient, true};
}

bool bit(const Scalar& x, std::size_t index) { return (x.limbs[index / 64] >> (index % 64)) & 1; }

}  // namespace

G1Points to_affine(const std::vector<blst_p1>& points) {
  G1Points out(points.size());
  if (points.empty()) return out;
  const blst_p1* const list[] = {points.data(), nullptr};
  blst_p1s_to_affine(out.data(), list, points.size());
  return out;
}

blst_p1 from_affine(const blst_p1_affine& point) {
  blst_p1 out;
  blst_p1_from_affine(&out, &point);
  return out;
}

blst_p1_affine negated(const blst_p1_affine& point) {
  blst_p1_affine out = point;
  blst_fp_cneg(&out.y, &point.y, true);
  return out;
}

G1Points sum_points(const std::vector<const G1Points*>& arrays) {
  std::vector<blst_p1> sums(arrays.at(0)->size());
  parallel_for(sums.size(), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      sums[p] = from_affine((*arrays[0])[p]);
      for (std::size_t k = 1; k < arrays.size(); ++k) {
        blst_p1_add_or_double_affine(&sums[p], &sums[p], &(*arrays[k])[p]);
      }
    }
  });
  return to_affine(sums);
}

G1Points combine_points_vartime(const std::vector<const G1Points*>& arrays,
                                const Scalar* coefficients) {
  std::vector<SignedCoefficient> factors;
  std::size_t bits = 0;
  for (std::size_t k = 0; k < arrays.size(); ++k) {
    factors.push_back(smallest(coefficients[k]));
    bits = std::max(bits, bit_length(factors.back().magnitude));
  }
  std::vector<blst_p1> sums(arrays.at(0)->size(), blst_p1{});
  const auto combine = [&](std::size_t p) {
    for (std::size_t index = bits; index-- > 0;) {
      blst_p1_double(&sums[p], &sums[p]);
      for (std::size_t k = 0; k < arrays.size(); ++k) {
        if (!bit(factors[k].magnitude, index)) continue;
        const blst_p1_affine& point = (*arrays[k])[p];
        const blst_p1_affine addend = factors[k].negative ? negated(point) : point;
        blst_p1_add_or_double_affine(&sums[p], &sums[p], &addend);
      }
    }
  };
  parallel_for(sums.size(), 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) combine(p);
  });
  return to_affine(sums);
}

}  // namespace zkpfl
