#include "check.h"
#include "zkpfl/fold.h"
#include "zkpfl/msm.h"

namespace zkpfl::tests {

namespace {

constexpr std::uint64_t kMost = ~std::uint64_t{0};

// λ = z² − 1 as a scalar.
const Scalar kLambda = {{0x00000000ffffffff, 0xac45a4010001a402, 0, 0}};

Scalar short_challenge(std::uint64_t e1, std::uint64_t e2) {
  return small(e1) + Multiplier(kLambda) * small(e2);
}

G1Points some_points(std::size_t count) {
  std::vector<std::vector<std::uint8_t>> messages;
  for (std::size_t i = 0; i < count; ++i) messages.push_back({'f', static_cast<std::uint8_t>(i)});
  return hash_to_g1(messages, {'T', 'E', 'S', 'T'});
}

}  // namespace

TEST(lambda_is_a_cube_root_of_unity) {
  const Multiplier lambda(kLambda);
  CHECK(lambda * kLambda + kLambda + small(1) == Scalar{});
}

TEST(folding_points_multiplies_the_upper_half) {
  auto points = some_points(8);
  points[5] = blst_p1_affine{};  // infinity
  points[6] = points[2];
  const G1Points lower(points.begin(), points.begin() + 4), upper(points.begin() + 4, points.end());
  for (const auto& [e1, e2] : {std::pair{kMost, kMost}, {std::uint64_t{1}, kMost}, {kMost, 1ull}}) {
    const Scalar coefficients[] = {small(1), short_challenge(e1, e2)};
    CHECK(same_points(fold_points_vartime(points, e1, e2),
                      combine_points_vartime({&lower, &upper}, coefficients)));
  }
}

TEST(folding_in_step_agrees_with_folding_one_by_one) {
  std::mt19937_64 rng(6);
  for (const std::size_t count : {22, 24, 26, 64, 250}) {
    auto points = some_points(count);
    points[1] = blst_p1_affine{};
    points[count - 1] = blst_p1_affine{};
    points[count - 2] = points[2];
    points[3] = negated(points[count / 2 + 3]);
    const std::pair<std::uint64_t, std::uint64_t> challenges[] = {
        {rng(), rng()}, {kMost, kMost}, {1, 1}, {1, 0}, {0, 1}, {0, 0}, {kMost, 1}};
    for (const auto& [e1, e2] : challenges) {
      CHECK(same_points(fold_points_vartime(points, e1, e2), fold_points_blst(points, e1, e2)));
    }
  }
}

TEST(folding_points_to_infinity) {
  auto points = some_points(2);
  const Scalar minus[] = {Scalar{} - short_challenge(3, 5)};
  const G1Points upper = {points[1]};
  points[0] = combine_points_vartime({&upper}, minus)[0];
  CHECK(blst_p1_affine_is_inf(&fold_points_vartime(points, 3, 5)[0]));
}

TEST(folding_scalars) {
  std::mt19937_64 rng(5);
  const auto values = random_scalars(rng, 6), x = random_scalars(rng, 1);
  std::vector<Scalar> out(3);
  fold_scalars(out.data(), values.data(), 3, x[0]);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(out[i] == values[i] + Multiplier(x[0]) * values[3 + i]);
  }
}

TEST(weights_are_products_with_the_first_challenge_on_top) {
  const Scalar challenges[] = {small(2), small(3), small(5)};
  const auto weights = fold_weights(challenges, 3);
  const std::uint64_t expected[] = {1, 5, 3, 15, 2, 10, 6, 30};
  CHECK(weights.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) CHECK(weights[i] == small(expected[i]));
  CHECK(fold_weights(challenges, 0) == std::vector<Scalar>{small(1)});
}

}  // namespace zkpfl::tests
