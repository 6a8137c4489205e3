#include "check.h"
#include "zkpfl/bytes.h"
#include "zkpfl/msm.h"

namespace zkpfl::tests {

namespace {

G1Points some_points(std::size_t count) {
  std::vector<std::vector<std::uint8_t>> messages;
  for (std::size_t i = 0; i < count; ++i) messages.push_back({'t', static_cast<std::uint8_t>(i)});
  return hash_to_g1(messages, {'T', 'E', 'S', 'T'});
}

const Scalar kMinusOne = Scalar{} - small(1);

}  // namespace

TEST(scalars_survive_the_wire) {
  std::mt19937_64 rng(1);
  auto values = random_scalars(rng, 33);
  values.push_back(Scalar{});
  values.push_back(kMinusOne);
  std::vector<std::uint8_t> wire(32 * values.size());
  encode_scalars(wire.data(), values.data(), values.size());
  std::vector<Scalar> back(values.size());
  decode_scalars(back.data(), wire.data(), values.size());
  CHECK(back == values);
}

TEST(the_order_itself_is_no_scalar) {
  std::vector<std::uint8_t> wire(32);
  encode_scalars(wire.data(), &kMinusOne, 1);
  Scalar out;
  decode_scalars(&out, wire.data(), 1);
  ++wire[31];
  CHECK(throws<InvalidScalar>([&] { decode_scalars(&out, wire.data(), 1); }));
}

TEST(negative_means_above_half_of_the_order) {
  CHECK(!is_negative(Scalar{}) && !is_negative(small(1)) && is_negative(kMinusOne));
  Scalar half = {{0x7fffffff80000000, 0xa9ded2017fff2dff, 0x199cec0404d0ec02, 0x39f6d3a994cebea4}};
  CHECK(!is_negative(half) && is_negative(half + small(1)));
  CHECK(half + half == kMinusOne);
}

TEST(linear_combination_distributes) {
  std::mt19937_64 rng(2);
  const auto a = random_scalars(rng, 9), b = random_scalars(rng, 9), c = random_scalars(rng, 2);
  std::vector<Scalar> out(9);
  linear_combination(out.data(), {a.data(), b.data()}, c.data(), 9);
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(out[i] == Multiplier(c[0]) * a[i] + Multiplier(c[1]) * b[i]);
  }
}

TEST(accept_scalars_clears_the_top_bit_and_skips_what_is_too_large) {
  std::vector<std::uint8_t> blocks(96, 0xff);  // 2^255 - 1 is above r
  std::fill(blocks.begin() + 32, blocks.begin() + 64, 0);
  blocks[32] = 0x80, blocks[63] = 7;
  std::vector<Scalar> out(3);
  CHECK(accept_scalars(out.data(), 3, blocks.data(), 3) == 1);
  CHECK(out[0] == small(7));
}

TEST(msm_agrees_with_its_naive_twin) {
  std::mt19937_64 rng(3);
  for (const std::size_t count : {0, 1, 2, 15, 16, 17, 33, 200}) {
    G1Points points = some_points(count);
    auto scalars = random_scalars(rng, count);
    if (count > 3) {
      points[1] = blst_p1_affine{};
      points[2] = points[0];
      points[3] = negated(points[0]);
      scalars[2] = scalars[3] = scalars[0];
      scalars[count - 1] = Scalar{};
    }
    CHECK(same_points(to_affine({msm_vartime(points, scalars.data())}),
                      to_affine({msm_naive(points, scalars.data())})));
  }
}

TEST(msm_of_short_scalars_agrees_with_its_naive_twin) {
  const G1Points points = some_points(40);
  for (const std::uint64_t top : {0ull, 1ull, 255ull, 256ull, ~0ull}) {
    std::vector<Scalar> scalars(40, small(top / 2));
    scalars[7] = small(top);
    CHECK(same_points(to_affine({msm_vartime(points, scalars.data())}),
                      to_affine({msm_naive(points, scalars.data())})));
  }
}

TEST(lane_commitments_agree_with_row_commitments) {
  std::mt19937_64 rng(4);
  const G1Points points = some_points(34);
  const G1Points columns(points.begin(), points.begin() + 33);
  const CommitmentKey key{columns, points[33]};
  std::vector<std::int16_t> values(33 * 3 - 5);
  for (auto& value : values) value = static_cast<std::int16_t>(rng());
  values[0] = -32768, values[1] = 32767, values[2] = 0;
  std::fill(values.begin() + 33, values.begin() + 66, std::int16_t{0});
  const auto blindings = random_scalars(rng, 3);
  std::vector<Scalar> rows(34 * 3, Scalar{});
  for (std::size_t k = 0; k < values.size(); ++k) {
    const Scalar magnitude = small(static_cast<std::uint64_t>(std::abs(int{values[k]})));
    rows[k / 33 * 34 + k % 33] = values[k] < 0 ? Scalar{} - magnitude : magnitude;
  }
  for (std::size_t row = 0; row < 3; ++row) rows[34 * row + 33] = blindings[row];
  CHECK(same_points(commit_lanes_vartime(values.data(), values.size(), blindings.data(), key),
                    commit_rows_vartime(rows.data(), 3, key)));
}

TEST(combined_points_agree_with_msm) {
  std::mt19937_64 rng(5);
  const G1Points a = some_points(5), b = sum_points({&a, &a});
  for (auto scalars : {random_scalars(rng, 2), std::vector<Scalar>{kMinusOne, small(3)},
                       std::vector<Scalar>{Scalar{}, Scalar{}}}) {
    const G1Points out = combine_points_vartime({&a, &b}, scalars.data());
    for (std::size_t p = 0; p < 5; ++p) {
      CHECK(same_points({out[p]}, to_affine({msm_naive({a[p], b[p]}, scalars.data())})));
    }
  }
}

TEST(points_survive_the_wire_and_bad_ones_do_not) {
  G1Points points = some_points(9);
  points[4] = blst_p1_affine{};
  std::vector<std::uint8_t> wire(48 * 9);
  encode_points(wire.data(), points);
  CHECK(same_points(decode_points(wire.data(), 9), points));
  for (const std::uint8_t flag : {0x80, 0x40}) {
    auto bad = wire;
    bad[48 * 2] ^= flag;
    CHECK(throws<InvalidPoint>([&] { decode_points(bad.data(), 9); }));
  }
  auto infinity_with_rest = wire;
  infinity_with_rest[48 * 4 + 47] = 1;
  CHECK(throws<InvalidPoint>([&] { decode_points(infinity_with_rest.data(), 9); }));
}

TEST(a_point_outside_the_subgroup_is_refused) {
  // The first x whose point is on the curve: its order has a factor of the cofactor.
  std::vector<std::uint8_t> wire(48, 0);
  wire[0] = 0x80;
  blst_p1_affine point;
  do {
    ++wire[47];
  } while (blst_p1_uncompress(&point, wire.data()) != BLST_SUCCESS);
  CHECK(!blst_p1_affine_in_g1(&point));
  CHECK(throws<InvalidPoint>([&] { decode_points(wire.data(), 1); }));
}

}  // namespace zkpfl::tests
