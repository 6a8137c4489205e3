#include "check.h"
#include "zkpfl/bytes.h"
#include "zkpfl/errors.h"
#include "zkpfl/fr_sum.h"

namespace zkpfl::tests {

namespace {

const Scalar kLargest = Scalar{} - small(1);

struct Rows {
  std::vector<std::vector<Scalar>> values;
  std::vector<const Scalar*> pointers;
};

// Random rows with zeros and the largest scalar mixed in; the first row is all extremes.
Rows some_rows(std::mt19937_64& rng, std::size_t rows, std::size_t count) {
  Rows out;
  for (std::size_t k = 0; k < rows; ++k) {
    out.values.push_back(random_scalars(rng, count));
    for (Scalar& x : out.values.back()) {
      const auto choice = rng() % 8;
      if (k == 0 || choice == 0) x = kLargest;
      if (choice == 1) x = Scalar{};
    }
  }
  for (const auto& row : out.values) out.pointers.push_back(row.data());
  return out;
}

}  // namespace

TEST(sums_of_rows_agree_with_their_naive_twin) {
  std::mt19937_64 rng(11);
  for (const std::size_t rows : {0, 1, 2, 3, 4, 5, 33}) {
    for (const std::size_t count : {0, 1, 3, 255, 256, 257, 600}) {
      const Rows x = some_rows(rng, rows, count);
      std::vector<Scalar> naive(count), fast(count);
      sum_scalars_naive(naive.data(), x.pointers, count);
      on_both_paths([&] {
        sum_scalars(fast.data(), x.pointers, count);
        CHECK(fast == naive);
      });
    }
  }
}

TEST(sums_of_many_largest_scalars_do_not_overflow) {
  const std::vector<Scalar> row(5, kLargest);
  const std::vector<const Scalar*> rows(10000, row.data());
  std::vector<Scalar> sum(5);
  on_both_paths([&] {
    sum_scalars(sum.data(), rows, 5);
    CHECK(sum == std::vector<Scalar>(5, Scalar{} - small(10000)));
  });
}

TEST(a_sum_may_overwrite_one_of_its_rows) {
  std::mt19937_64 rng(12);
  Rows x = some_rows(rng, 3, 300);
  std::vector<Scalar> naive(300);
  sum_scalars_naive(naive.data(), x.pointers, 300);
  sum_scalars(x.values[1].data(), x.pointers, 300);
  CHECK(x.values[1] == naive);
}

TEST(add_into_wraps_at_the_order) {
  std::vector<Scalar> sum = {kLargest, kLargest, Scalar{}, small(3)};
  const std::vector<Scalar> x = {kLargest, small(1), Scalar{}, small(4)};
  add_into(sum.data(), x.data(), 4);
  CHECK(sum == (std::vector<Scalar>{kLargest - small(1), Scalar{}, Scalar{}, small(7)}));
}

TEST(combinations_agree_with_their_naive_twin_for_coefficients_of_any_size) {
  std::mt19937_64 rng(13);
  const std::vector<std::array<std::uint64_t, 4>> largest = {
      {0, 0, 0, 0}, {1, 0, 0, 0},         {(1ull << 55) - 1, 0, 0, 0}, {~0ull, 0, 0, 0},
      {0, 1, 0, 0}, {~0ull, ~0ull, 0, 0}, {~0ull, ~0ull, 1, 0},        kLargest.limbs};
  for (const auto& limbs : largest) {
    for (const std::size_t rows : {1, 2, 7, 8, 9, 40}) {
      const Rows x = some_rows(rng, rows, 131);
      std::vector<Scalar> coefficients(rows, Scalar{limbs});
      for (std::size_t k = 1; k < rows; k += 2) coefficients[k] = Scalar{} - coefficients[k];
      if (limbs[3] != 0) coefficients = random_scalars(rng, rows);
      std::vector<Scalar> naive(131), fast(131);
      linear_combination_naive(naive.data(), x.pointers, coefficients.data(), 131);
      linear_combination(fast.data(), x.pointers, coefficients.data(), 131);
      CHECK(fast == naive);
    }
  }
}

TEST(combinations_of_many_largest_scalars_do_not_overflow) {
  const std::vector<Scalar> row(3, kLargest);
  const std::vector<const Scalar*> rows(3000, row.data());
  for (const auto& limbs : std::vector<std::array<std::uint64_t, 4>>{
           {(1ull << 61) - 1, 0, 0, 0}, {~0ull, ~0ull, 0, 0}, {0, 0, 0, 0x39f6d3a994cebea4}}) {
    const std::vector<Scalar> coefficients(3000, Scalar{limbs});
    std::vector<Scalar> naive(3), fast(3);
    linear_combination_naive(naive.data(), rows, coefficients.data(), 3);
    linear_combination(fast.data(), rows, coefficients.data(), 3);
    CHECK(fast == naive);
  }
}

TEST(no_rows_combine_to_zero) {
  std::vector<Scalar> out(2, small(5));
  linear_combination(out.data(), {}, nullptr, 2);
  CHECK(out == std::vector<Scalar>(2, Scalar{}));
}

TEST(decoding_names_the_first_scalar_that_is_too_large) {
  std::mt19937_64 rng(14);
  const auto values = random_scalars(rng, 40000);
  std::vector<std::uint8_t> wire(32 * values.size());
  encode_scalars(wire.data(), values.data(), values.size());
  std::vector<Scalar> out(values.size());
  decode_scalars(out.data(), wire.data(), out.size());
  CHECK(out == values);
  for (const std::size_t bad : {39999, 20003, 777}) {
    std::fill_n(wire.begin() + 32 * bad, 32, std::uint8_t{0xff});
    try {
      decode_scalars(out.data(), wire.data(), out.size());
      CHECK(false);
    } catch (const InvalidScalar& error) {
      CHECK(std::string(error.what()).find(std::to_string(bad)) != std::string::npos);
    }
  }
}

}  // namespace zkpfl::tests
