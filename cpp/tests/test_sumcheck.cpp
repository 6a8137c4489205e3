#include "check.h"
#include "zkpfl/aes_public.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/fr_products.h"
#include "zkpfl/sumcheck.h"

namespace zkpfl::tests {

namespace {

const Scalar kOne = small(1);

Scalar product(const Scalar& a, const Scalar& b) { return Multiplier(a) * b; }

Scalar signed_scalar(std::int64_t value) {
  const Scalar magnitude = small(static_cast<std::uint64_t>(value < 0 ? -value : value));
  return value < 0 ? Scalar{} - magnitude : magnitude;
}

// All of the range, both ends more often than chance has it.
std::vector<std::int16_t> integers(std::mt19937_64& rng, std::size_t count) {
  std::vector<std::int16_t> out(count);
  for (auto& value : out) {
    const auto bits = rng();
    value = bits % 5 == 0 ? (bits & 64 ? 32767 : -32768) : static_cast<std::int16_t>(bits >> 16);
  }
  return out;
}

std::vector<Scalar> bound(const std::vector<Scalar>& table, const Scalar& rho) {
  const std::size_t half = table.size() / 2;
  std::vector<Scalar> out;
  for (std::size_t i = 0; i < half; ++i) {
    out.push_back(table[i] + product(rho, table[half + i] - table[i]));
  }
  return out;
}

Scalar sum_of_products(const std::vector<Scalar>& x, const std::vector<Scalar>& y) {
  Scalar sum{};
  for (std::size_t i = 0; i < x.size(); ++i) sum = sum + product(x[i], y[i]);
  return sum;
}

// s(0) and the coefficient of X^2, from s(0), s(1) and s(-1).
RoundSums round_naive(const std::vector<Scalar>& x, const std::vector<Scalar>& y) {
  const auto at = [&](const Scalar& point) {
    return sum_of_products(bound(x, point), bound(y, point));
  };
  const Scalar both = at(kOne) + at(Scalar{} - kOne), zero = at({});
  const Scalar half{
      {0x7fffffff80000001, 0xa9ded2017fff2dff, 0x199cec0404d0ec02, 0x39f6d3a994cebea4}};
  return {zero, product(half, both) - zero};
}

// A table with its top variable at 0, 1 or ∞.
std::vector<Scalar> at_place(const std::vector<Scalar>& table, std::size_t place) {
  const std::size_t half = table.size() / 2;
  if (place < 2) {
    const auto begin = table.begin() + static_cast<std::ptrdiff_t>(place * half);
    return {begin, begin + static_cast<std::ptrdiff_t>(half)};
  }
  std::vector<Scalar> out;
  for (std::size_t i = 0; i < half; ++i) out.push_back(table[half + i] - table[i]);
  return out;
}

struct Rows {
  explicit Rows(std::size_t count) : count(count), seed(random_bytes(rng, 32)) {
    weights = random_scalars(rng, kBinaryRows);
    x = integers(rng, count);
  }

  std::vector<Scalar> combination(std::size_t size) const {
    std::vector<Scalar> out(size);
    combine_binary_rows_naive(out.data(), seed.data(), weights.data(), 0, count);
    return out;
  }

  std::vector<Scalar> values(std::size_t size) const {
    std::vector<Scalar> out(size);
    for (std::size_t i = 0; i < count; ++i) out[i] = signed_scalar(x[i]);
    return out;
  }

  std::mt19937_64 rng{11};
  std::size_t count;
  std::vector<std::uint8_t> seed;
  std::vector<Scalar> weights;
  std::vector<std::int16_t> x;
};

// Entries that are there, and of the table.
constexpr std::pair<std::size_t, std::size_t> kShapes[] = {
    {256, 256},   {512, 512},   {768, 1024},    {1024, 1024},
    {1280, 2048}, {6656, 8192}, {40960, 65536}, {65536, 65536}};

}  // namespace

TEST(public_stream_is_aes_256_in_counter_mode) {
  std::vector<std::uint8_t> key(32);
  for (std::size_t i = 0; i < 32; ++i) key[i] = static_cast<std::uint8_t>(i);
  const PublicStream stream(key.data());
  std::uint8_t fast[16 * kRowTile], slow[16 * kRowTile];
  for (const std::uint64_t first :
       {std::uint64_t{0}, std::uint64_t{1} << 40, ~std::uint64_t{127}}) {
    stream.blocks(fast, first);
    stream.blocks_by_tables(slow, first);
    CHECK(std::equal(fast, fast + sizeof fast, slow));
  }
  // openssl enc -aes-256-ecb -K 000102…1f of a block of zeros.
  constexpr std::uint8_t kFirst[] = {0xf2, 0x90, 0x00, 0xb6, 0x2a, 0x49, 0x9f, 0xd0,
                                     0xa9, 0xf3, 0x9a, 0x6a, 0xdd, 0x2e, 0x77, 0x80};
  stream.blocks_by_tables(slow, 0);
  CHECK(std::equal(std::begin(kFirst), std::end(kFirst), slow));
}

TEST(row_sums_are_those_of_the_combination) {
  const Rows rows(700);
  const std::vector<std::int64_t> wide(rows.x.begin(), rows.x.end());
  const auto sums = binary_row_sums_naive(rows.seed.data(), 0, wide.data(), wide.size());
  Scalar weighted{};
  for (std::size_t k = 0; k < kBinaryRows; ++k) {
    weighted = weighted + product(rows.weights[k], signed_scalar(sums.rows[k]));
  }
  CHECK(weighted == sum_of_products(rows.values(1024), rows.combination(1024)));
}

TEST(the_grid_has_the_coefficients_of_the_top_variables) {
  for (const auto& [count, size] : kShapes) {
    const Rows rows(count);
    const auto grid = binary_row_grid(rows.seed.data(), rows.x.data(), {count, size / 4});
    const auto x = rows.values(size), a = rows.combination(size);
    for (std::size_t place = 0; place < 9; ++place) {
      Scalar weighted{};
      for (std::size_t k = 0; k < kBinaryRows; ++k) {
        weighted = weighted + product(rows.weights[k], signed_scalar(grid[place].rows[k]));
      }
      const auto x_there = at_place(at_place(x, place / 3), place % 3);
      const auto a_there = at_place(at_place(a, place / 3), place % 3);
      CHECK(weighted == sum_of_products(x_there, a_there));
      CHECK(signed_scalar(grid[place].squares) == sum_of_products(x_there, x_there));
    }
  }
}

TEST(grids_of_extremes_do_not_overflow) {
  Rows rows(1 << 16);
  const std::size_t quarter = rows.count / 4;
  for (std::size_t i = 0; i < rows.count; ++i) {
    const std::size_t part = i / quarter;
    rows.x[i] = part == 0 || part == 3 ? 32767 : -32768;
  }
  std::fill(rows.seed.begin(), rows.seed.end(), std::uint8_t{0});
  const auto grid = binary_row_grid(rows.seed.data(), rows.x.data(), {rows.count, quarter});
  CHECK(grid[8].squares == std::int64_t{131070} * 131070 * static_cast<std::int64_t>(quarter));
  const std::vector<std::int64_t> wide(quarter, 32767);
  CHECK(grid[0].rows == binary_row_sums_naive(rows.seed.data(), 0, wide.data(), quarter).rows);
}

TEST(combinations_of_rows_by_tables) {
  on_both_paths([] {
    for (const std::size_t count : {1, 4, 128, 1000}) {
      Rows rows(count);
      for (const bool largest : {false, true}) {
        if (largest) std::fill(rows.weights.begin(), rows.weights.end(), Scalar{} - kOne);
        std::vector<Scalar> fast(count), slow(count);
        combine_binary_rows(fast.data(), rows.seed.data(), rows.weights.data(), 77, count);
        combine_binary_rows_naive(slow.data(), rows.seed.data(), rows.weights.data(), 77, count);
        CHECK(fast == slow);
      }
    }
  });
}

TEST(binding_the_first_two_variables) {
  on_both_paths([] {
    for (const auto& [count, size] : kShapes) {
      Rows rows(count);
      const auto challenges = random_scalars(rows.rng, 3);
      const FirstBinding binding{rows.weights.data(), challenges.data(), challenges[2]};
      std::vector<Scalar> x(size / 4), y(size / 4);
      bind_binary_rows(x.data(), y.data(), rows.seed.data(), rows.x.data(), {count, size / 4},
                       binding);
      const auto values = rows.values(size);
      auto both = rows.combination(size);
      for (std::size_t i = 0; i < size; ++i) both[i] = both[i] + product(binding.tau, values[i]);
      CHECK(x == bound(bound(values, challenges[0]), challenges[1]));
      CHECK(y == bound(bound(both, challenges[0]), challenges[1]));
    }
  });
}

TEST(evaluating_the_combination_of_rows) {
  on_both_paths([] {
    for (const auto& [count, size] : kShapes) {
      Rows rows(count);
      const auto variables = static_cast<std::size_t>(std::countr_zero(size));
      const auto point = random_scalars(rows.rng, variables);
      auto table = rows.combination(size);
      for (const Scalar& coordinate : point) table = bound(table, coordinate);
      CHECK(table[0] == evaluate_binary_rows(rows.seed.data(), rows.weights.data(), count,
                                             point.data(), variables));
    }
  });
}

TEST(equality_tables_bind_like_tables) {
  std::mt19937_64 rng(12);
  const auto point = random_scalars(rng, 5), table = random_scalars(rng, 32);
  auto rest = table;
  for (const Scalar& coordinate : point) rest = bound(rest, coordinate);
  CHECK(sum_of_products(table, equality_table(point.data(), 5)) == rest[0]);
  CHECK(equality_table(point.data(), 0) == std::vector<Scalar>{kOne});
}

TEST(sumcheck_rounds) {
  std::mt19937_64 rng(13);
  auto x = random_scalars(rng, 8192), y = random_scalars(rng, 8192);
  auto sums = sumcheck_round(x.data(), y.data(), x.size() / 2);
  while (x.size() > 1) {
    const auto expected = round_naive(x, y);
    CHECK(sums.constant == expected.constant && sums.quadratic == expected.quadratic);
    const Scalar rho = random_scalars(rng, 1)[0];
    const auto next_x = bound(x, rho), next_y = bound(y, rho);
    sums = sumcheck_bind(x.data(), y.data(), x.size() / 2, rho);
    x.resize(x.size() / 2), y.resize(y.size() / 2);
    CHECK(x == next_x && y == next_y);
  }
}

TEST(folding_rows_of_integers) {
  std::mt19937_64 rng(14);
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{1, 256}, {5, 300}}) {
    const auto x = integers(rng, rows * columns);
    auto weights = random_scalars(rng, rows);
    weights[0] = Scalar{} - kOne;
    std::vector<Scalar> out(columns);
    fold_rows(out.data(), x.data(), weights.data(), rows, columns);
    for (std::size_t c = 0; c < columns; ++c) {
      Scalar sum{};
      for (std::size_t row = 0; row < rows; ++row) {
        sum = sum + product(weights[row], signed_scalar(x[row * columns + c]));
      }
      CHECK(out[c] == sum);
    }
  }
}

TEST(inner_products) {
  on_both_paths([] {
    std::mt19937_64 rng(15);
    const auto x = random_scalars(rng, 100), y = random_scalars(rng, 100);
    CHECK(inner_product(x.data(), y.data(), 100) == sum_of_products(x, y));
    CHECK(inner_product(x.data(), y.data(), 0) == Scalar{});
  });
}

TEST(products_of_the_largest_numbers_lose_no_carry) {
  constexpr std::uint64_t kOnes = ~std::uint64_t{0};
  std::mt19937_64 rng(16);
  for (const std::size_t count : {1, 2, 3, 1000}) {
    std::vector<Scalar> x(count, Scalar{{kOnes, kOnes, kOnes, kOnes}}), y = x;
    WideSum fast = {kOnes, kOnes, kOnes, kOnes, kOnes, kOnes, kOnes, kOnes, 0}, slow = fast;
    for (int round = 0; round < 20; ++round) {
      fastest_multiply_add()(fast, x.data(), y.data(), count);
      multiply_add_portable(slow, x.data(), y.data(), count);
      CHECK(fast == slow);
      for (auto& value : x) value.limbs[rng() % 4] = rng() % 2 ? kOnes : rng() % 2;
      for (auto& value : y) value.limbs[rng() % 4] = rng() % 2 ? kOnes : rng();
    }
  }
}

}  // namespace zkpfl::tests
