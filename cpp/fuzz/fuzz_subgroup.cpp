#include "some_points.h"
#include "zkpfl/g1_subgroup.h"

// combinations_in_subgroup with any digits: the combinations that it says it tests, added up one
// by one. On points of the curve, in the subgroup or not.

namespace zkpfl::fuzz {

namespace {

// sum of (trit - 1) times each point, for the trit of value `third` in its digit.
blst_p1 combination(const G1Points& points, const std::uint8_t* digits, std::size_t third) {
  blst_p1 sum{};
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::size_t trit = digits[i] / third % 3;
    if (trit == 1) continue;
    const blst_p1_affine addend = trit == 0 ? negated(points[i]) : points[i];
    blst_p1_add_or_double_affine(&sum, &sum, &addend);
  }
  return sum;
}

bool combinations_in_subgroup_naive(const G1Points& points, const Bytes& digits) {
  for (std::size_t round = 0; round < kSubgroupRounds; ++round) {
    for (const std::size_t third : {81, 27, 9, 3, 1}) {
      const blst_p1 sum = combination(points, digits.data() + points.size() * round, third);
      if (!blst_p1_in_g1(&sum)) return false;
    }
  }
  return true;
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  choose_path(in);
  zkpfl::G1Points points;
  for (std::size_t count = in.below(12); count > 0; --count) {
    const bool same = !points.empty() && (in.byte() & 1);  // doublings and cancellations
    points.push_back(same ? points.back() : some_g1(in));
  }
  // Digits of the input first, then one for all: most rounds then test nothing, so that one counts.
  const std::uint8_t common = in.byte();
  Bytes digits(zkpfl::kSubgroupRounds * points.size(), common % 243);
  for (std::size_t i = 0; i < digits.size() && !in.empty(); ++i) digits[i] = in.byte() % 243;
  REQUIRE(zkpfl::combinations_in_subgroup(points, digits.data()) ==
          combinations_in_subgroup_naive(points, digits));
  return 0;
}
