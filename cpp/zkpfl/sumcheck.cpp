#include "zkpfl/sumcheck.h"

#include <algorithm>
#include <mutex>

#include "zkpfl/fr_products.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kGrain = 1024;  // pairs below which a thread costs more than it saves
constexpr std::size_t kTile = 128;    // columns whose unreduced sums stay in the first-level cache

// Sums of one thread.
struct RoundColumns {
  Columns<4> constant = {}, quadratic = {};

  void add(const Scalar& x_low, const Scalar& x_high, const Scalar& y_low, const Scalar& y_high) {
    multiply_add<4>(constant, x_low, y_low);
    multiply_add<4>(quadratic, x_high - x_low, y_high - y_low);
  }
};

// Calls visit(sums, i) for i < count, on all threads.
template <typename Visit>
RoundSums over_pairs(std::size_t count, const Visit& visit) {
  RoundSums total = {};
  std::mutex mutex;
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    RoundColumns sums;
    for (std::size_t i = begin; i < end; ++i) visit(sums, i);
    const Scalar constant = reduced<4>(sums.constant), quadratic = reduced<4>(sums.quadratic);
    const std::lock_guard lock(mutex);
    total = {total.constant + constant, total.quadratic + quadratic};
  });
  return total;
}

Scalar bound(const Multiplier& rho, const Scalar& low, const Scalar& high) {
  return low + rho * (high - low);
}

}  // namespace

std::vector<Scalar> equality_table(const Scalar* point, std::size_t variables) {
  std::vector<Scalar> table(std::size_t{1} << variables);
  table[0] = {{1, 0, 0, 0}};
  std::size_t size = 1;
  for (std::size_t variable = 0; variable < variables; ++variable, size *= 2) {
    const Multiplier factor(point[variable]);
    for (std::size_t i = size; i-- > 0;) {
      const Scalar value = table[i], upper = factor * value;
      table[2 * i + 1] = upper;
      table[2 * i] = value - upper;
    }
  }
  return table;
}

RoundSums sumcheck_round(const Scalar* x, const Scalar* y, std::size_t half) {
  return over_pairs(half, [&](RoundColumns& sums, std::size_t i) {
    sums.add(x[i], x[half + i], y[i], y[half + i]);
  });
}

RoundSums sumcheck_bind(Scalar* x, Scalar* y, std::size_t half, const Scalar& rho) {
  const Multiplier factor(rho);
  if (half == 1) {
    x[0] = bound(factor, x[0], x[1]);
    y[0] = bound(factor, y[0], y[1]);
    return {};
  }
  const std::size_t quarter = half / 2;
  return over_pairs(quarter, [&](RoundColumns& sums, std::size_t i) {
    x[i] = bound(factor, x[i], x[half + i]);
    y[i] = bound(factor, y[i], y[half + i]);
    x[quarter + i] = bound(factor, x[quarter + i], x[half + quarter + i]);
    y[quarter + i] = bound(factor, y[quarter + i], y[half + quarter + i]);
    sums.add(x[i], x[quarter + i], y[i], y[quarter + i]);
  });
}

void fold_rows(Scalar* out, const std::int16_t* x, const Scalar* weights, std::size_t rows,
               std::size_t columns) {
  // Values are moved by 2^15 to be positive, and the sums back: no branch on a sign.
  constexpr std::int32_t kOffset = 1 << 15;
  Scalar total{};
  for (std::size_t row = 0; row < rows; ++row) total = total + weights[row];
  const Scalar back = Multiplier(Scalar{{kOffset, 0, 0, 0}}) * total;
  parallel_for((columns + kTile - 1) / kTile, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t first = begin * kTile; first < std::min(end * kTile, columns);
         first += kTile) {
      const std::size_t count = std::min(kTile, columns - first);
      SmallSum sums[kTile];
      for (std::size_t row = 0; row < rows; ++row) {
        const std::int16_t* values = x + row * columns + first;
        for (std::size_t i = 0; i < count; ++i) {
          sums[i].add(weights[row], static_cast<std::uint64_t>(values[i] + kOffset));
        }
      }
      for (std::size_t i = 0; i < count; ++i) out[first + i] = sums[i].reduced() - back;
    }
  });
}

Scalar inner_product(const Scalar* x, const Scalar* y, std::size_t count) {
  Columns<4> sum = {};
  for (std::size_t i = 0; i < count; ++i) multiply_add<4>(sum, x[i], y[i]);
  return reduced<4>(sum);
}

}  // namespace zkpfl
