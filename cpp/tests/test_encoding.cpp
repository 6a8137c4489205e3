#include <cstring>

#include "check.h"
#include "zkpfl/errors.h"
#include "zkpfl/fixed_point.h"
#include "zkpfl/packing.h"

namespace zkpfl::tests {

TEST(hadamard_gives_the_bytes_of_its_naive_twin) {
  std::mt19937_64 rng(1);
  std::normal_distribution<float> normal;
  for (std::size_t count = 1; count <= 1024; count *= 2) {
    std::vector<float> v(count);
    for (auto& x : v) x = normal(rng);
    auto twin = v;
    hadamard(v.data(), count);
    hadamard_naive(twin.data(), count);
    CHECK(std::memcmp(v.data(), twin.data(), 4 * count) == 0);
  }
}

TEST(signs_come_from_the_least_significant_bit_first) {
  std::vector<float> v(10, 1.0f);
  const std::uint8_t bits[] = {0b00000101, 0b10};
  flip_signs(v.data(), bits, v.size());
  CHECK((v == std::vector<float>{-1, 1, -1, 1, 1, 1, 1, 1, 1, -1}));
}

TEST(rounding_goes_up_exactly_below_the_fraction) {
  const std::vector<float> v = {0.5f, 0.5f, -0.25f, 3.0f, -3.0f, 100.0f, -100.0f};
  std::vector<std::uint8_t> stream(4 * v.size(), 0);
  stream[0] = 0x80;                         // u = 2^31 is not below 0.5 * 2^32
  std::memset(stream.data() + 4, 0xff, 4);  // the largest u
  std::memset(stream.data() + 8, 0, 4);     // -0.25 = -1 + 0.75, u = 0: up
  std::vector<std::int16_t> out(v.size());
  const Rounded result = round_stochastic(out.data(), v.data(), v.size(), 1.0, stream.data(), 8);
  CHECK((out == std::vector<std::int16_t>{0, 0, 0, 3, -3, 7, -8}));
  CHECK(result.outside == 2);
  CHECK(result.squared_norm == 9 + 9 + 49 + 64);
}

TEST(packing_round_trips_at_the_ends_of_a_lane) {
  for (const std::size_t width : {2, 21, 27, 41, 62}) {
    const Lanes layout{1000, 16, 254 / width, width};
    const std::int64_t half = std::int64_t{1} << (width - 1);
    std::mt19937_64 rng(width);
    std::vector<std::int64_t> values(layout.dimension), back(layout.dimension);
    for (auto& value : values) value = static_cast<std::int64_t>(rng() % (2 * half)) - half;
    values[0] = -half, values[1] = half - 1;
    std::vector<Scalar> packed(layout.packed_rows() * layout.columns);
    pack(packed.data(), values.data(), layout);
    unpack_sum(back.data(), packed.data(), layout);
    CHECK(back == values);
  }
}

TEST(packing_refuses_what_does_not_fit) {
  const Lanes layout{3, 2, 12, 21};
  std::vector<Scalar> packed(layout.packed_rows() * layout.columns);
  std::vector<std::int64_t> values = {0, std::int64_t{1} << 20, 0}, out(3);
  CHECK(throws<InvalidUpdate>([&] { pack(packed.data(), values.data(), layout); }));
  packed.assign(packed.size(), Scalar{});
  packed[1].limbs[3] = std::uint64_t{1} << 60;
  CHECK(throws<InvalidEncoding>([&] { unpack_sum(out.data(), packed.data(), layout); }));
}

TEST(packed_commitments_are_weighted_sums) {
  const Lanes layout{1, 1, 3, 5};
  blst_p1 generator = *blst_p1_generator();
  G1Points lanes;
  std::vector<Scalar> scalars;
  for (std::uint64_t k = 0; k < 7; ++k) {
    scalars.push_back(small(k));
    const G1Points one = to_affine({generator});
    lanes.push_back(combine_points_vartime({&one}, &scalars.back())[0]);
  }
  std::vector<Scalar> packed(3);
  pack_scalars(packed.data(), scalars.data(), 7, layout);
  CHECK((packed == std::vector<Scalar>{small(0 + 32 + 2048), small(3 + 128 + 5120), small(6)}));
  const G1Points points = pack_points(lanes, layout), one = to_affine({generator});
  for (std::size_t p = 0; p < 3; ++p) {
    CHECK(same_points({points[p]}, combine_points_vartime({&one}, &packed[p])));
  }
}

}  // namespace zkpfl::tests
