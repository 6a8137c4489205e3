#include "floor.h"

#include <blst.h>

#include <cstdio>
#include <cstdlib>

#include "zkpfl/cpu.h"
#include "zkpfl/digits.h"

// The arithmetic floor of a commitment: nanoseconds a value of so many bits in rows of so many
// columns, on one thread, for the additions that its digits and buckets need.

double floor_of::addition_portable() {
  blst_fp numbers[kNumbers] = {};
  return addition(
      1,
      [&] {
        for (blst_fp& x : numbers) blst_fp_mul(&x, &x, &numbers[0]);
      },
      [&] {
        for (blst_fp& x : numbers) blst_fp_sqr(&x, &x);
      });
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto shape = zkpfl::cheapest_shape(std::strtoul(argv[1], nullptr, 10), std::atoi(argv[2]));
  const double addition = zkpfl::has_avx512_ifma() ? floor_of::addition_avx512()
                          : zkpfl::has_avx2()      ? floor_of::addition_avx2()
                                                   : floor_of::addition_portable();
  // Zeros need no addition, nor does what comes first into a bucket; emptying them takes two each.
  const auto digits = static_cast<double>(shape.entries());
  const auto buckets = static_cast<double>(shape.buckets());
  const double additions = digits * (1 - 0.5 / buckets) + buckets;
  std::printf("%.3f %.1f\n", addition, addition * additions / static_cast<double>(shape.columns));
  return 0;
}
