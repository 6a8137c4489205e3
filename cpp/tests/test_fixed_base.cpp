#include <algorithm>
#include <cstdlib>

#include "check.h"
#include "zkpfl/commitment_key.h"
#include "zkpfl/msm.h"

namespace zkpfl::tests {

namespace {

const Scalar kMinusOne = Scalar{} - small(1);

blst_p1_affine random_point(std::mt19937_64& rng) {
  blst_p1 out;
  blst_p1_mult(&out, blst_p1_generator(), as_bytes(random_scalars(rng, 1)[0]), 255);
  return to_affine({out})[0];
}

G1Points random_points(std::mt19937_64& rng, std::size_t count) {
  G1Points points;
  while (points.size() < count) points.push_back(random_point(rng));
  return points;
}

// Runs the body with every path this machine has.
void on_each_path(const std::function<void()>& body) {
  const char* set = std::getenv("ZKPFL_NO_VECTOR");
  const std::string before = set == nullptr ? "0" : set;
  for (const char* choice : {"0", "1"}) {
    setenv("ZKPFL_NO_VECTOR", choice, 1);
    body();
  }
  setenv("ZKPFL_NO_VECTOR", before.c_str(), 1);
}

std::vector<std::int16_t> random_values(std::mt19937_64& rng, std::size_t count, int bits) {
  std::vector<std::int16_t> values(count);
  const int half = 1 << (bits - 1);
  for (auto& value : values) {
    value = static_cast<std::int16_t>(static_cast<int>(rng() % (2u * half)) - half);
  }
  return values;
}

void lanes_agree(const G1Points& columns, const blst_p1_affine& blinding,
                 const std::vector<std::int16_t>& values) {
  const std::size_t rows = (values.size() + columns.size() - 1) / columns.size();
  std::mt19937_64 rng(31);
  auto blindings = random_scalars(rng, rows);
  if (rows > 1) blindings[1] = Scalar{};
  if (rows > 2) blindings[2] = kMinusOne;
  on_each_path([&] {
    const CommitmentKey key(columns, blinding);
    key.table(signed_bits(values.data(), values.size()), 1000);
    const auto size = values.size();
    CHECK(same_points(commit_lanes_vartime(values.data(), size, blindings.data(), key),
                      commit_lanes_blst(values.data(), size, blindings.data(), key)));
  });
}

void rows_agree(const G1Points& columns, const blst_p1_affine& blinding,
                const std::vector<Scalar>& values) {
  const std::size_t rows = values.size() / (columns.size() + 1);
  on_each_path([&] {
    const CommitmentKey key(columns, blinding);
    key.table(kScalarBits, 1000);
    CHECK(same_points(commit_rows_vartime(values.data(), rows, key),
                      commit_rows_blst(values.data(), rows, key)));
  });
}

std::int64_t recomposed(const std::int16_t* digits, std::size_t stride, int count, int window) {
  std::int64_t value = 0;
  for (int j = count; j-- > 0;) {
    CHECK(std::abs(int{digits[stride * static_cast<std::size_t>(j)]}) <= 1 << (window - 1));
    value = value * (1 << window) + digits[stride * static_cast<std::size_t>(j)];
  }
  return value;
}

}  // namespace

TEST(digits_of_every_integer_recompose) {
  for (const int bits : {8, 10, 12, 14, 16}) {
    for (int window = 2; window <= 15; ++window) {
      const DigitShape shape{3, window, (bits + window - 1) / window, 1};
      std::vector<std::int16_t> digits(shape.entries());
      for (int value = -(1 << (bits - 1)); value < 1 << (bits - 1); ++value) {
        const auto narrow = static_cast<std::int16_t>(value);
        const std::int16_t row[] = {0, narrow};  // the third column is padding
        write_lane_digits(digits.data(), shape, row, 2, Scalar{});
        CHECK(recomposed(&digits[0], 3, shape.column_digits, window) == 0);
        CHECK(recomposed(&digits[1], 3, shape.column_digits, window) == value);
        CHECK(recomposed(&digits[2], 3, shape.column_digits, window) == 0);
      }
    }
  }
}

TEST(digits_of_scalars_recompose) {
  std::mt19937_64 rng(32);
  auto values = random_scalars(rng, 20);
  const Scalar half = {
      {0x7fffffff80000000, 0xa9ded2017fff2dff, 0x199cec0404d0ec02, 0x39f6d3a994cebea4}};
  for (const Scalar& edge : {Scalar{}, small(1), kMinusOne, half, half + small(1)}) {
    values.push_back(edge);
  }
  for (int window = 2; window <= 15; ++window) {
    const int count = (kScalarBits + window - 1) / window;
    const DigitShape shape{1, window, count, count};
    std::vector<std::int16_t> digits(shape.entries());
    const Multiplier base(small(1u << window));
    for (const Scalar& value : values) {
      const Scalar row[] = {value, kMinusOne - value};
      write_scalar_digits(digits.data(), shape, row);
      Scalar sum{};
      for (int j = count; j-- > 0;) {
        const int digit = digits[static_cast<std::size_t>(j)];
        CHECK(std::abs(digit) <= 1 << (window - 1));
        const Scalar size = small(static_cast<std::uint64_t>(std::abs(digit)));
        sum = digit < 0 ? base * sum - size : base * sum + size;
      }
      CHECK(sum == value);
    }
  }
}

TEST(lane_tables_agree_with_blst) {
  std::mt19937_64 rng(33);
  for (const std::size_t columns : {1, 2, 3, 7, 64, 130}) {
    const G1Points points = random_points(rng, columns);
    for (const int bits : {1, 8, 10, 12, 16}) {
      lanes_agree(points, random_point(rng), random_values(rng, columns * 4 - columns / 2, bits));
    }
  }
}

TEST(lane_tables_agree_around_their_block_of_rows) {
  std::mt19937_64 rng(34);
  const G1Points points = random_points(rng, 40);
  const DigitShape shape = cheapest_shape(40, 8);
  const std::size_t block = 4096 / shape.buckets();
  for (const std::size_t rows : {block - 1, block, block + 1}) {
    lanes_agree(points, random_point(rng), random_values(rng, rows * 40, 8));
  }
}

TEST(lane_tables_agree_at_the_extremes) {
  std::mt19937_64 rng(35);
  const G1Points points = random_points(rng, 24);
  for (const int value : {-32768, 32767, -2048, 2047, -128, 127, 1, -1, 0}) {
    lanes_agree(points, points[3],
                std::vector<std::int16_t>(24 * 3, static_cast<std::int16_t>(value)));
  }
}

TEST(tables_of_equal_opposite_and_infinite_generators_agree_with_blst) {
  std::mt19937_64 rng(36);
  const blst_p1_affine point = random_point(rng);
  G1Points mixed = random_points(rng, 50);
  for (std::size_t i = 0; i < 20; ++i) mixed[i] = i % 2 == 0 ? point : negated(point);
  mixed[30] = mixed[31] = blst_p1_affine{};
  for (const G1Points& columns : {G1Points(50, point), mixed, G1Points(50, blst_p1_affine{})}) {
    for (const blst_p1_affine& blinding : {point, blst_p1_affine{}}) {
      lanes_agree(columns, blinding, random_values(rng, 150, 12));
      lanes_agree(columns, blinding, std::vector<std::int16_t>(150, 5));
      rows_agree(columns, blinding, random_scalars(rng, 51 * 2));
      rows_agree(columns, blinding, std::vector<Scalar>(51 * 2, small(9)));
    }
  }
}

TEST(row_tables_agree_with_blst) {
  std::mt19937_64 rng(37);
  for (const std::size_t columns : {1, 2, 31, 100}) {
    const G1Points points = random_points(rng, columns);
    auto values = random_scalars(rng, 4 * (columns + 1));
    std::fill_n(values.begin(), columns + 1, Scalar{});
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(columns), columns + 1, kMinusOne);
    rows_agree(points, random_point(rng), values);
  }
}

TEST(a_key_builds_a_table_once_it_pays) {
  std::mt19937_64 rng(38);
  const CommitmentKey key(random_points(rng, 4), random_point(rng));
  CHECK(key.table(12, 4) == nullptr && key.table(11, 4) == nullptr);
  const FixedBase* table = key.table(12, 4);
  CHECK(table != nullptr && key.table(11, 0) == table);
  CHECK(key.table(kScalarBits, 3) == nullptr);
}

TEST(tables_commit_to_no_rows) {
  std::mt19937_64 rng(39);
  const CommitmentKey key(random_points(rng, 4), random_point(rng));
  key.table(kScalarBits, 1000);
  CHECK(commit_rows_vartime(nullptr, 0, key).empty());
}

}  // namespace zkpfl::tests
