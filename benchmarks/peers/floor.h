#pragma once

#include <time.h>

#include <cstddef>

// How long five products and a square take, the arithmetic of a batched addition, when operands
// are in the nearest cache and nothing else is done: the floor of every sum of points.

namespace floor_of {

constexpr std::size_t kNumbers = 8;  // independent products hide each other's latency
constexpr std::size_t kRepeats = 20000;

// Nanoseconds an addition: `products` multiplies kNumbers vectors and `squares` squares them.
template <typename Products, typename Squares>
double addition(std::size_t lanes, const Products& products, const Squares& squares) {
  const auto best = [&](const auto& run) {
    double least = 1e9;
    for (int trial = 0; trial < 5; ++trial) {
      timespec begin, end;
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
      for (std::size_t i = 0; i < kRepeats; ++i) run();
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
      const double elapsed = 1e9 * static_cast<double>(end.tv_sec - begin.tv_sec) +
                             static_cast<double>(end.tv_nsec - begin.tv_nsec);
      least = least < elapsed ? least : elapsed;
    }
    return least / static_cast<double>(kRepeats * kNumbers * lanes);
  };
  return 5 * best(products) + best(squares);
}

double addition_portable();
double addition_avx2();
double addition_avx512();

}  // namespace floor_of
