#include "check.h"
#include "zkpfl/bytes.h"
#include "zkpfl/errors.h"
#include "zkpfl/g1_subgroup.h"
#include "zkpfl/msm.h"

namespace zkpfl::tests {

namespace {

G1Points subgroup_points(std::size_t count) {
  std::vector<std::vector<std::uint8_t>> messages;
  for (std::size_t i = 0; i < count; ++i) {
    messages.push_back({static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)});
  }
  return hash_to_g1(messages, {'S', 'U', 'B'});
}

// (0, 2): a point of order 3, the smallest factor of the cofactor and the hardest to catch.
blst_p1_affine order_three() {
  const std::uint64_t two[6] = {2, 0, 0, 0, 0, 0};
  blst_p1_affine point{};
  blst_fp_from_uint64(&point.y, two);
  return point;
}

blst_p1_affine plus(const blst_p1_affine& a, const blst_p1_affine& b) {
  const G1Points left = {a}, right = {b};
  return sum_points({&left, &right})[0];
}

std::vector<std::uint8_t> some_digits(std::mt19937_64& rng, std::size_t points) {
  std::vector<std::uint8_t> digits(kSubgroupRounds * points);
  for (auto& digit : digits) digit = static_cast<std::uint8_t>(rng() % 243);
  return digits;
}

}  // namespace

TEST(points_of_the_subgroup_pass_the_batched_check) {
  std::mt19937_64 rng(21);
  G1Points points = subgroup_points(700);
  points[3] = points[4] = points[5];
  points[6] = negated(points[5]);
  points[7] = blst_p1_affine{};
  on_both_paths([&] {
    CHECK(all_in_subgroup(points));
    for (const std::size_t count : {0, 1, 2, 255, 256, 257}) {
      const G1Points some(points.begin(), points.begin() + static_cast<std::ptrdiff_t>(count));
      CHECK(all_in_subgroup(some));
      CHECK(combinations_in_subgroup(some, some_digits(rng, count).data()));
    }
    CHECK(all_in_subgroup(G1Points(300, points[5])));
    CHECK(all_in_subgroup(G1Points(300, blst_p1_affine{})));
  });
}

TEST(the_batched_check_works_in_chunks_of_many_points) {
  G1Points points = subgroup_points(2049);
  CHECK(all_in_subgroup(points));
  for (const std::size_t bad : {0, 2047, 2048}) {
    G1Points outside = points;
    outside[bad] = order_three();
    CHECK(!all_in_subgroup(outside));
  }
}

TEST(points_outside_fail_the_batched_check) {
  const G1Points points = subgroup_points(300);
  const blst_p1_affine small_order = order_three();
  CHECK(!blst_p1_affine_in_g1(&small_order));
  on_both_paths([&] {
    for (const auto& bad : {small_order, plus(points[0], small_order)}) {
      G1Points outside = points;
      outside[150] = bad;
      CHECK(!all_in_subgroup(outside));
      outside[151] = bad;
      outside[152] = bad;  // three together vanish in a plain sum
      CHECK(!all_in_subgroup(outside));
      outside[151] = negated(bad);
      CHECK(!all_in_subgroup(outside));
    }
    CHECK(!all_in_subgroup(G1Points(300, small_order)));
  });
}

TEST(one_combination_misses_order_three_for_a_third_of_the_digits) {
  // All rounds but one trit of one round give every point the coefficient 0 (digit 121).
  const G1Points points(1, order_three());
  for (std::uint8_t digit = 0; digit < 243; ++digit) {
    std::vector<std::uint8_t> digits(kSubgroupRounds, 121);
    digits[9] = digit;
    CHECK(combinations_in_subgroup(points, digits.data()) == (digit == 121));
  }
}

TEST(decoding_many_points_names_the_first_bad_one) {
  G1Points points = subgroup_points(300);
  std::vector<std::uint8_t> wire(48 * points.size());
  encode_points(wire.data(), points);
  const auto message = [&] {
    try {
      decode_points(wire.data(), points.size());
      return std::string();
    } catch (const InvalidPoint& error) {
      return std::string(error.what());
    }
  };
  on_both_paths([&] { CHECK(same_points(decode_points(wire.data(), 300), points)); });
  wire[48 * 250] ^= 0x80;
  CHECK(message().find("point 250 is not a canonical") == 0);
  const blst_p1_affine outside = plus(points[0], order_three());
  blst_p1_affine_compress(&wire[48 * 249], &outside);
  on_both_paths([&] { CHECK(message().find("point 249 is not in the prime-order") == 0); });
  wire[48 * 250] ^= 0x80;
  on_both_paths([&] { CHECK(message().find("point 249 is not in the prime-order") == 0); });
}

}  // namespace zkpfl::tests
