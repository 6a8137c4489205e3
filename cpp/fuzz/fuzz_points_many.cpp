#include "some_points.h"
#include "zkpfl/errors.h"
#include "zkpfl/g1_subgroup.h"

// decode_points on as many points as its batched check wants, against one check a point.

namespace zkpfl::fuzz {

namespace {

struct Many {
  Bytes wire;
  std::size_t count, first_bad;
};

// Points of the subgroup, and anything at up to six places.
Many some_points(Reader& in) {
  Many many{{}, kSubgroupBatch + in.below(3), 0};
  many.first_bad = many.count;
  const Bytes good[] = {compressed(g1_of_subgroup(in.byte())), compressed(g1_of_subgroup(1))};
  for (std::size_t i = 0; i < many.count; ++i) many.wire = joined({many.wire, good[i % 2]});
  std::vector<bool> bad(many.count);
  for (std::size_t odd = in.below(7); odd > 0; --odd) {
    const std::size_t place = in.u16() % many.count;
    Bytes point = compressed(some_g1(in));
    damage(point, in);
    bad[place] = !is_point_naive(point);
    std::copy(point.begin(), point.end(),
              many.wire.begin() + static_cast<std::ptrdiff_t>(48 * place));
  }
  const auto first = std::find(bad.begin(), bad.end(), true);
  many.first_bad = static_cast<std::size_t>(first - bad.begin());
  return many;
}

std::string decode(const Many& many, G1Points& points) {
  try {
    points = decode_points(many.wire.data(), many.count);
  } catch (const InvalidPoint& error) {
    return error.what();
  }
  return "";
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  choose_path(in);
  const Many many = some_points(in);
  zkpfl::G1Points points;
  const std::string refusal = decode(many, points);
  if (many.first_bad < many.count) {
    REQUIRE(refusal.starts_with("point " + std::to_string(many.first_bad) + " is not "));
  } else {
    REQUIRE(refusal.empty());
    Bytes again(many.wire.size());
    zkpfl::encode_points(again.data(), points);
    REQUIRE(again == many.wire);
  }
  return 0;
}
