#include "some_points.h"
#include "zkpfl/errors.h"

// decode_points and encode_points, against the definition; and the encoding of EIP-2537 beside.

namespace zkpfl::fuzz {

namespace {

Bytes some_wire(Reader& in) {
  if (in.below(4) == 0) return in.take(kPointBytes);
  Bytes wire = compressed(some_g1(in));
  damage(wire, in);
  return wire;
}

void check_refusal(const Bytes& wire, std::size_t count, std::size_t first_bad) {
  std::string refusal;
  try {
    decode_points(wire.data(), count);
  } catch (const InvalidPoint& error) {
    refusal = error.what();
  }
  REQUIRE(refusal.starts_with("point " + std::to_string(first_bad) + " is not "));
}

void check_acceptance(const Bytes& wire, std::size_t count) {
  const G1Points points = decode_points(wire.data(), count);
  Bytes again(wire.size());
  encode_points(again.data(), points);
  REQUIRE(again == wire);
  for (const blst_p1_affine& point : points) {
    const blst_p1_affine back = eip2537::decode_g1(eip2537::encode(point));
    REQUIRE(blst_p1_affine_is_equal(&back, &point));
  }
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  Bytes wire;
  std::size_t count = 0, first_bad = 0;
  choose_path(in);
  const Bytes common = compressed(g1_of_subgroup(1));  // in between, so that batches fill
  for (; !in.empty() && count < 40; ++count) {
    const bool special = in.byte() & 1;
    const Bytes point = special ? some_wire(in) : common;
    if (first_bad == count && (!special || is_point_naive(point))) ++first_bad;
    wire = joined({wire, point});
  }
  if (first_bad < count) {
    check_refusal(wire, count, first_bad);
  } else {
    check_acceptance(wire, count);
  }
  return 0;
}
