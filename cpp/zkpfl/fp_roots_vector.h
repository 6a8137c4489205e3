#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/fp_vector.h"

// candidate_roots on the numbers of one instruction set, with the rules of fp_vector.h.

namespace zkpfl {
namespace {

// (p + 1) / 4, 64 bits a word.
constexpr std::uint64_t kRootExponent[6] = {0xee7fbfffffffeaab, 0x07aaffffac54ffff,
                                            0xd9cc34a83dac3d89, 0xd91dd2e13ce144af,
                                            0x92c6e9ed90d2eb35, 0x0680447a8e5ff9a6};
constexpr int kRootBits = 379;
constexpr int kWindow = 5;

constexpr unsigned exponent_bit(int bit) {
  return static_cast<unsigned>(kRootExponent[bit / 64] >> (bit % 64) & 1);
}

// Vectors that are raised together: one hides the other's latency.
constexpr std::size_t kTogether = 2;

template <typename Numbers>
struct Together {
  typename Numbers::Vector vector[kTogether];
};

template <typename Numbers>
void square_all(Together<Numbers>& out, const Together<Numbers>& a) {
  for (std::size_t v = 0; v < kTogether; ++v) Numbers::square(out.vector[v], a.vector[v]);
}

template <typename Numbers>
void multiply_all(Together<Numbers>& out, const Together<Numbers>& a, const Together<Numbers>& b) {
  for (std::size_t v = 0; v < kTogether; ++v) {
    Numbers::multiply(out.vector[v], a.vector[v], b.vector[v]);
  }
}

// a^((p + 1) / 4), by odd powers of a over sliding windows of the exponent.
template <typename Numbers>
void raise_to_root(Together<Numbers>& a) {
  Together<Numbers> odd_powers[1 << (kWindow - 1)], squared, power;
  odd_powers[0] = a;
  square_all(squared, a);
  for (int i = 1; i < 1 << (kWindow - 1); ++i) {
    multiply_all(odd_powers[i], odd_powers[i - 1], squared);
  }
  bool started = false;
  for (int bit = kRootBits - 1; bit >= 0;) {
    if (exponent_bit(bit) == 0) {
      square_all(power, power);
      --bit;
      continue;
    }
    int low = bit < kWindow ? 0 : bit - kWindow + 1;
    while (exponent_bit(low) == 0) ++low;
    unsigned digit = 0;
    for (int b = bit; b >= low; --b) {
      digit = 2 * digit + exponent_bit(b);
      if (started) square_all(power, power);
    }
    if (started) {
      multiply_all(power, power, odd_powers[digit / 2]);
    } else {
      power = odd_powers[digit / 2];
    }
    started = true;
    bit = low - 1;
  }
  a = power;
}

template <typename Numbers>
void candidate_roots_on(blst_fp* out, const blst_fp* in, std::size_t count) {
  constexpr std::size_t kLanes = Numbers::kLanes;
  for (std::size_t begin = 0; begin < count; begin += kTogether * kLanes) {
    LaneLimbs<Numbers> limbs[kTogether] = {};
    Together<Numbers> numbers;
    const std::size_t left = count - begin;
    const std::size_t size = left < kTogether * kLanes ? left : kTogether * kLanes;
    for (std::size_t i = 0; i < size; ++i) {
      import_limbs<Numbers>(&limbs[i / kLanes].limb[0][i % kLanes], kLanes, in[begin + i]);
    }
    for (std::size_t v = 0; v < kTogether; ++v) {
      Numbers::set_lanes(numbers.vector[v], limbs[v].limb);
    }
    raise_to_root(numbers);
    for (std::size_t v = 0; v < kTogether; ++v) {
      Numbers::get_lanes(limbs[v].limb, numbers.vector[v]);
    }
    for (std::size_t i = 0; i < size; ++i) {
      out[begin + i] = export_limbs<Numbers>(&limbs[i / kLanes].limb[0][i % kLanes], kLanes);
    }
  }
}

}  // namespace
}  // namespace zkpfl
