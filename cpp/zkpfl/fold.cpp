#include "zkpfl/fold.h"

#include <array>
#include <bit>

#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

// β with (β·x, y) = λ·(x, y), λ = z² − 1: the endomorphism of Gallant, Lambert and Vanstone.
constexpr std::array<std::uint8_t, 48> kBeta = {
    0x1a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x99, 0xec, 0x02, 0x40, 0x86, 0x63, 0xd4, 0xde, 0x85,
    0xaa, 0x0d, 0x85, 0x7d, 0x89, 0x75, 0x9a, 0xd4, 0x89, 0x7d, 0x29, 0x65, 0x0f, 0xb8, 0x5f, 0x9b,
    0x40, 0x94, 0x27, 0xeb, 0x4f, 0x49, 0xff, 0xfd, 0x8b, 0xfd, 0x00, 0x00, 0x00, 0x00, 0xaa, 0xac};

// P, λP and P + λP, which is −λ²P because 1 + λ + λ² = 0.
std::array<blst_p1_affine, 3> endomorphism_table(const blst_p1_affine& point) {
  blst_fp beta;
  blst_fp_from_bendian(&beta, kBeta.data());
  std::array<blst_p1_affine, 3> table = {point, point, negated(point)};
  blst_fp_mul(&table[1].x, &point.x, &beta);
  blst_fp_mul(&table[2].x, &table[1].x, &beta);
  return table;
}

blst_p1 multiply_vartime(const blst_p1_affine& point, std::uint64_t e1, std::uint64_t e2) {
  blst_p1 result{};
  if (blst_p1_affine_is_inf(&point)) return result;
  const auto table = endomorphism_table(point);
  for (int bit = std::bit_width(e1 | e2) - 1; bit >= 0; --bit) {
    blst_p1_double(&result, &result);
    const std::uint64_t digit = (e1 >> bit & 1) | (e2 >> bit & 1) << 1;
    if (digit != 0) blst_p1_add_or_double_affine(&result, &result, &table[digit - 1]);
  }
  return result;
}

}  // namespace

G1Points fold_points_vartime(const G1Points& points, std::uint64_t e1, std::uint64_t e2) {
  const std::size_t half = points.size() / 2;
  std::vector<blst_p1> folded(half);
  parallel_for(half, 16, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      folded[i] = multiply_vartime(points[half + i], e1, e2);
      blst_p1_add_or_double_affine(&folded[i], &folded[i], &points[i]);
    }
  });
  return to_affine(folded);
}

void fold_scalars(Scalar* out, const Scalar* scalars, std::size_t half, const Scalar& x) {
  const Multiplier factor(x);
  for (std::size_t i = 0; i < half; ++i) out[i] = scalars[i] + factor * scalars[half + i];
}

std::vector<Scalar> fold_weights(const Scalar* challenges, std::size_t count) {
  std::vector<Scalar> weights = {Scalar{{1, 0, 0, 0}}};
  for (std::size_t k = 0; k < count; ++k) {
    const Multiplier challenge(challenges[k]);
    std::vector<Scalar> next;
    for (const Scalar& weight : weights) {
      next.push_back(weight);
      next.push_back(challenge * weight);
    }
    weights = std::move(next);
  }
  return weights;
}

}  // namespace zkpfl
