#include "floor.h"
#include "zkpfl/fp8_avx512.h"

double floor_of::addition_avx512() {
  zkpfl::Fp8 numbers[kNumbers] = {};
  return addition(
      8,
      [&] {
        for (auto& x : numbers) zkpfl::multiply(x, x, numbers[0]);
      },
      [&] {
        for (auto& x : numbers) zkpfl::square(x, x);
      });
}
