#include "floor.h"
#include "zkpfl/fp4_avx2.h"

double floor_of::addition_avx2() {
  Fp4 numbers[kNumbers] = {};
  return addition(
      4,
      [&] {
        for (Fp4& x : numbers) zkpfl_fp_mul4(&x, &x, &numbers[0]);
      },
      [&] {
        for (Fp4& x : numbers) zkpfl_fp_sqr4(&x, &x);
      });
}
