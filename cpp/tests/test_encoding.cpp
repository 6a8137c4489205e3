#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "check.h"
#include "zkpfl/errors.h"
#include "zkpfl/fixed_point.h"
#include "zkpfl/packing.h"

namespace zkpfl::tests {

TEST(hadamard_gives_the_bytes_of_its_naive_twin) {
  std::mt19937_64 rng(1);
  std::normal_distribution<float> normal;
  for (std::size_t count = 1; count <= std::size_t{1} << 21; count *= 2) {
    std::vector<float> v(count);
    for (auto& x : v) x = normal(rng);
    v[0] = -0.0f;
    auto twin = v;
    hadamard(v.data(), count);
    hadamard_naive(twin.data(), count);
    CHECK(std::memcmp(v.data(), twin.data(), 4 * count) == 0);
  }
}

TEST(signs_come_from_the_least_significant_bit_first) {
  std::vector<float> v(26, 1.0f);
  const std::uint8_t bits[] = {0b00000101, 0b10, 0xff, 0b01};
  flip_signs(v.data(), bits, v.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    CHECK(v[i] == (bits[i / 8] >> i % 8 & 1 ? -1.0f : 1.0f));
  }
}

TEST(norms_are_sums_of_sixteen_in_blocks) {
  std::mt19937_64 rng(2);
  std::normal_distribution<float> normal;
  for (const std::size_t count : {0, 1, 15, 16, 17, 65535, 65536, 65553, 200000}) {
    std::vector<float> v(count);
    for (auto& x : v) x = normal(rng);
    double expected = 0;
    for (std::size_t block = 0; block < count; block += 65536) {
      double sums[16] = {}, of_block = 0;
      for (std::size_t i = block; i < std::min(count, block + 65536); ++i) {
        sums[i % 16] += static_cast<double>(v[i]) * v[i];
      }
      for (const double sum : sums) of_block += sum;
      expected += of_block;
    }
    CHECK(squared_norm(v.data(), count) == expected);
  }
}

TEST(norms_show_every_value_that_is_not_finite) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    for (const std::size_t place : {0, 17, 99}) {
      std::vector<float> v(100, std::numeric_limits<float>::max());
      CHECK(std::isfinite(squared_norm(v.data(), v.size())));
      v[place] = bad;
      CHECK(!std::isfinite(squared_norm(v.data(), v.size())));
    }
  }
}

TEST(scaling_and_mean_round_once) {
  std::mt19937_64 rng(3);
  std::normal_distribution<float> normal;
  std::vector<float> v(65536 + 13), out(v.size());
  std::vector<std::int64_t> total(v.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    v[i] = normal(rng);
    total[i] = static_cast<std::int64_t>(rng()) >> 20;
  }
  scale(out.data(), v.data(), v.size(), 0.1234567890123);
  for (std::size_t i = 0; i < v.size(); ++i) {
    CHECK(out[i] == static_cast<float>(0.1234567890123 * static_cast<double>(v[i])));
  }
  mean(out.data(), total.data(), total.size(), 1234.5, 7);
  for (std::size_t i = 0; i < v.size(); ++i) {
    CHECK(out[i] == static_cast<float>(static_cast<double>(total[i]) / 1234.5 / 7));
  }
}

TEST(rounding_gives_the_integers_of_its_naive_twin) {
  std::mt19937_64 rng(4);
  std::normal_distribution<float> normal;
  for (const std::size_t count : {1, 7, 8, 9, 1000, 65536, 65545, 140001}) {
    for (const int limit : {1, 128, 2048, 32768}) {
      std::vector<float> v(count);
      for (auto& x : v) x = normal(rng);
      v[0] = -0.0f, v[count / 2] = 1e30f, v[count / 3] = -1e30f;
      const auto stream = random_bytes(rng, 4 * count);
      std::vector<std::int16_t> out(count), twin(count);
      const Rounded result =
          round_stochastic(out.data(), v.data(), count, limit / 2.5, stream.data(), limit);
      const Rounded expected =
          round_stochastic_naive(twin.data(), v.data(), count, limit / 2.5, stream.data(), limit);
      CHECK(out == twin);
      CHECK(result.squared_norm == expected.squared_norm && result.outside == expected.outside);
    }
  }
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
  for (const std::size_t width : {2, 21, 27, 32, 41, 62}) {
    const std::size_t columns = width == 27 ? 256 : 16;
    const Lanes layout{1000, columns, 254 / width, width};
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
