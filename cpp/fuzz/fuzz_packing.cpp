#include "input.h"
#include "zkpfl/bytes.h"
#include "zkpfl/errors.h"
#include "zkpfl/msm.h"
#include "zkpfl/packing.h"

// Packing of any integers and unpacking of any scalars, against one lane after the other.

namespace zkpfl::fuzz {

namespace {

Lanes some_lanes(Reader& in) {
  const std::size_t width = 2 + in.below(61), lanes = 1 + in.below(254 / width);
  return {1 + in.u16() % 600u, 1 + in.below(140), lanes, width};
}

Scalar from_integer(std::int64_t value) {
  const Scalar magnitude{{value < 0 ? 0 - std::uint64_t(value) : std::uint64_t(value), 0, 0, 0}};
  return value < 0 ? Scalar{} - magnitude : magnitude;
}

Scalar power_of_two(std::size_t bit) {
  Scalar out{{1, 0, 0, 0}};
  for (; bit > 0; --bit) out = out + out;
  return out;
}

template <typename Integer>
std::vector<Scalar> pack_naive(const std::vector<Integer>& values, const Lanes& layout) {
  std::vector<Scalar> out(layout.packed_rows() * layout.columns);
  for (std::size_t k = 0; k < values.size(); ++k) {
    const std::size_t row = k / layout.columns, column = k % layout.columns;
    Scalar& place = out[row / layout.lanes * layout.columns + column];
    const Multiplier factor(power_of_two(row % layout.lanes * layout.width));
    place = place + factor * from_integer(values[k]);
  }
  return out;
}

template <typename Integer>
void check_pack(Reader& in, const Lanes& layout) {
  const std::int64_t half = std::int64_t{1} << (layout.width - 1);
  // Values of the input that fit, most of the time: one outside is refused whatever the others are.
  const bool fit = in.below(4) != 0;
  std::vector<Integer> values(layout.dimension);
  bool outside = false;
  for (auto& value : values) {
    value = static_cast<Integer>(in.empty() ? 0 : in.u64());
    if (fit) value = static_cast<Integer>(value % half);
    outside |= value < -half || value >= half;
  }
  std::vector<Scalar> packed(layout.packed_rows() * layout.columns);
  REQUIRE(outside == refuses<InvalidUpdate>([&] { pack(packed.data(), values.data(), layout); }));
  if (outside) return;
  REQUIRE(packed == pack_naive(values, layout));
  std::vector<std::int64_t> unpacked(layout.dimension);
  unpack_sum(unpacked.data(), packed.data(), layout);
  REQUIRE(std::equal(values.begin(), values.end(), unpacked.begin(), unpacked.end()));
}

// Any canonical scalars: what comes out packs to the same scalars, or they are refused. Small ones
// fit often.
void check_unpack(Reader& in, Lanes layout) {
  layout.columns = 1 + layout.columns % 3;
  const std::size_t rows = 1 + in.below(3);
  layout.dimension = rows * layout.lanes * layout.columns;  // no padding, which unpacking ignores
  std::vector<Scalar> packed(rows * layout.columns);
  for (auto& scalar : packed) {
    const std::size_t length = in.below(33);
    const Bytes wire = joined({Bytes(32 - length), in.take(length)});
    if (refuses<InvalidScalar>([&] { decode_scalars(&scalar, wire.data(), 1); })) scalar = {};
    if (in.byte() & 1) scalar = Scalar{} - scalar;
  }
  std::vector<std::int64_t> values(layout.dimension);
  if (refuses<InvalidEncoding>([&] { unpack_sum(values.data(), packed.data(), layout); })) return;
  REQUIRE(pack_naive(values, layout) == packed);
}

void check_blindings(Reader& in, const Lanes& layout) {
  std::vector<Scalar> values(1 + in.below(5));
  for (auto& value : values) value = from_integer(static_cast<std::int64_t>(in.u64()));
  const Lanes column{values.size(), 1, layout.lanes, layout.width};
  std::vector<Scalar> packed(column.packed_rows());
  pack_scalars(packed.data(), values.data(), values.size(), column);
  for (std::size_t p = 0; p < packed.size(); ++p) {
    Scalar expected{};
    for (std::size_t l = 0; l < column.lanes && p * column.lanes + l < values.size(); ++l) {
      const Multiplier factor(power_of_two(l * column.width));
      expected = expected + factor * values[p * column.lanes + l];
    }
    REQUIRE(packed[p] == expected);
  }
  // Commitments pack as what they hold: here multiples of the standard generator.
  const G1Points generator = {*blst_p1_affine_generator()};
  std::vector<blst_p1> multiples, expected;
  for (const Scalar& value : values) multiples.push_back(msm_vartime(generator, &value));
  for (const Scalar& value : packed) expected.push_back(msm_vartime(generator, &value));
  const G1Points points = pack_points(to_affine(multiples), column);
  for (std::size_t p = 0; p < points.size(); ++p) {
    const blst_p1 point = from_affine(points[p]);
    REQUIRE(blst_p1_is_equal(&point, &expected[p]));
  }
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  const std::size_t choice = in.below(4);
  const zkpfl::Lanes layout = some_lanes(in);
  if (choice == 0) check_pack<std::int16_t>(in, layout);
  if (choice == 1) check_pack<std::int64_t>(in, layout);
  if (choice == 2) check_unpack(in, layout);
  if (choice == 3) check_blindings(in, layout);
  return 0;
}
