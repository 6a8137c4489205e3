#include "check.h"
#include "zkpfl/msm.h"

namespace zkpfl::tests {

namespace {

G1Points some_points(std::size_t count) {
  std::vector<std::vector<std::uint8_t>> messages;
  for (std::size_t i = 0; i < count; ++i) {
    messages.push_back({static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)});
  }
  return hash_to_g1(messages, {'P', 'A', 'C', 'K'});
}

void check_against_packing(const G1Points& points, const std::vector<Scalar>& weights,
                           const Lanes& layout) {
  const G1Points packed = pack_points(points, layout);
  const blst_p1 expected = msm_naive(packed, weights.data());
  on_both_paths([&] {
    const blst_p1 actual = packed_msm_vartime(points, weights.data(), layout);
    CHECK(blst_p1_is_equal(&actual, &expected));
  });
}

std::vector<Scalar> short_weights(std::mt19937_64& rng, std::size_t count) {
  std::vector<Scalar> weights(count);
  for (auto& weight : weights) weight = {{rng(), rng(), 0, 0}};
  return weights;
}

}  // namespace

TEST(msm_of_packed_points_is_that_of_lanes) {
  std::mt19937_64 rng(31);
  for (const auto& [lanes, width] : {std::pair{9u, 27u}, {1u, 62u}, {16u, 15u}, {127u, 2u}}) {
    const Lanes layout{1, 1, lanes, width};
    for (const std::size_t points : {1u, 5u, 40u, 131u}) {
      const std::size_t rows = (points + lanes - 1) / lanes;
      check_against_packing(some_points(points), short_weights(rng, rows), layout);
      check_against_packing(some_points(points), random_scalars(rng, rows), layout);
    }
  }
}

TEST(msm_of_packed_points_takes_points_and_weights_that_collide) {
  const Lanes layout{1, 1, 9, 27};
  G1Points points = some_points(60);
  for (std::size_t i = 0; i < 20; ++i) points[i] = points[0];
  points[20] = negated(points[0]);
  points[21] = points[40] = blst_p1_affine{};
  const std::uint64_t all = ~std::uint64_t{0};
  const std::vector<std::vector<Scalar>> cases = {
      std::vector<Scalar>(7, Scalar{}),
      std::vector<Scalar>(7, small(1)),
      std::vector<Scalar>(7, Scalar{{all, all, 0, 0}}),
      std::vector<Scalar>(7, Scalar{} - small(1)),
  };
  for (const auto& weights : cases) check_against_packing(points, weights, layout);
  const blst_p1 none = packed_msm_vartime({}, nullptr, layout);
  CHECK(blst_p1_is_inf(&none));
}

}  // namespace zkpfl::tests
