#include "zkpfl/sumcheck.h"

#include <algorithm>
#include <mutex>

#include "zkpfl/fr_products.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kGrain = 1024;  // pairs below which a thread costs more than it saves
constexpr std::size_t kTile = 128;    // whose values or sums stay in the first-level cache

// Sums of one thread.
class RoundProducts {
 public:
  // The pairs (x[i], x_high[i]) and (y[i], y_high[i]), up to kTile of them.
  void add(const Scalar* x, const Scalar* x_high, const Scalar* y, const Scalar* y_high,
           std::size_t count) {
    Scalar x_steps[kTile], y_steps[kTile];
    for (std::size_t i = 0; i < count; ++i) {
      x_steps[i] = x_high[i] - x[i];
      y_steps[i] = y_high[i] - y[i];
    }
    multiply_add_(constant_, x, y, count);
    multiply_add_(quadratic_, x_steps, y_steps, count);
  }

  RoundSums reduced() const { return {reduce_products(constant_), reduce_products(quadratic_)}; }

 private:
  MultiplyAdd multiply_add_ = fastest_multiply_add();
  WideSum constant_ = {}, quadratic_ = {};
};

// Calls visit(sums, first, size) for tiles of [0, count), on all threads.
template <typename Visit>
RoundSums over_tiles(std::size_t count, const Visit& visit) {
  RoundSums total = {};
  std::mutex mutex;
  parallel_for(count, kGrain, [&](std::size_t begin, std::size_t end) {
    RoundProducts products;
    for (std::size_t first = begin; first < end; first += kTile) {
      visit(products, first, std::min(kTile, end - first));
    }
    const RoundSums sums = products.reduced();
    const std::lock_guard lock(mutex);
    total = {total.constant + sums.constant, total.quadratic + sums.quadratic};
  });
  return total;
}

// low[i] += rho (high[i] - low[i]).
void bind(Scalar* low, const Scalar* high, const Multiplier& rho, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) low[i] = low[i] + rho * (high[i] - low[i]);
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
  return over_tiles(half, [&](RoundProducts& products, std::size_t first, std::size_t count) {
    products.add(x + first, x + half + first, y + first, y + half + first, count);
  });
}

RoundSums sumcheck_bind(Scalar* x, Scalar* y, std::size_t half, const Scalar& rho) {
  const Multiplier factor(rho);
  if (half == 1) {
    bind(x, x + 1, factor, 1);
    bind(y, y + 1, factor, 1);
    return {};
  }
  const std::size_t quarter = half / 2;
  return over_tiles(quarter, [&](RoundProducts& products, std::size_t first, std::size_t count) {
    for (Scalar* table : {x, y}) {
      for (Scalar* low : {table + first, table + quarter + first}) {
        bind(low, low + half, factor, count);
      }
    }
    products.add(x + first, x + quarter + first, y + first, y + quarter + first, count);
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

std::int64_t sum_of_squares(const std::int16_t* x, std::size_t count) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += std::int32_t{x[i]} * x[i];
  return sum;
}

Scalar inner_product(const Scalar* x, const Scalar* y, std::size_t count) {
  WideSum sum = {};
  fastest_multiply_add()(sum, x, y, count);
  return reduce_products(sum);
}

}  // namespace zkpfl
