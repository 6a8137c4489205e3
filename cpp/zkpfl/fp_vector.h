#pragma once

#include <blst.h>

#include <cstddef>
#include <cstdint>

// Numbers modulo p, some of them in step, of one instruction set: templates over a Numbers, which
// has
//   Vector, kLanes                 numbers in step, and how many
//   kLimbs, kLimbBits              of a number
//   kShift                         the Montgomery form is 2^kShift times blst's
//   multiply, square               out may be an operand
//   set_lanes, get_lanes           between a vector and limbs[kLimbs][kLanes]
//
// For files compiled for one instruction set only, hence no external linkage; and nothing here may
// instantiate a template of the standard library: the linker could keep the copy that was compiled
// for that instruction set and run it elsewhere.

namespace zkpfl {
namespace {

// Between a 2^384, blst's form, and ours: a product with 2^kShift or its inverse.
template <typename Numbers>
const blst_fp& shift_in() {
  static const blst_fp factor = [] {
    blst_fp out;
    const std::uint64_t value[6] = {std::uint64_t{1} << Numbers::kShift};
    blst_fp_from_uint64(&out, value);
    return out;
  }();
  return factor;
}

template <typename Numbers>
const blst_fp& shift_out() {
  static const blst_fp factor = [] {
    blst_fp out;
    blst_fp_inverse(&out, &shift_in<Numbers>());
    return out;
  }();
  return factor;
}

template <typename Numbers, typename Word>
void import_limbs(Word* limbs, std::size_t stride, const blst_fp& number) {
  constexpr std::size_t kBits = Numbers::kLimbBits;
  blst_fp shifted;
  blst_fp_mul(&shifted, &number, &shift_in<Numbers>());
  for (std::size_t j = 0; j < Numbers::kLimbs; ++j) {
    const std::size_t word = kBits * j / 64, offset = kBits * j % 64;
    std::uint64_t bits = shifted.l[word] >> offset;
    if (offset > 64 - kBits && word < 5) bits |= shifted.l[word + 1] << (64 - offset);
    limbs[stride * j] = static_cast<Word>(bits & ((std::uint64_t{1} << kBits) - 1));
  }
}

// Carried limbs; the product with blst also reduces what is above p.
template <typename Numbers, typename Word>
blst_fp export_limbs(const Word* limbs, std::size_t stride) {
  constexpr std::size_t kBits = Numbers::kLimbBits;
  blst_fp number{};
  for (std::size_t j = 0; j < Numbers::kLimbs; ++j) {
    const std::size_t word = kBits * j / 64, offset = kBits * j % 64;
    const std::uint64_t limb = limbs[stride * j];
    number.l[word] |= limb << offset;
    if (offset > 64 - kBits && word < 5) number.l[word + 1] |= limb >> (64 - offset);
  }
  blst_fp_mul(&number, &number, &shift_out<Numbers>());
  return number;
}

inline bool is_zero(const blst_fp& number) {
  std::uint64_t any = 0;
  for (const std::uint64_t word : number.l) any |= word;
  return any == 0;
}

template <typename Numbers>
struct LaneLimbs {
  alignas(64) std::uint64_t limb[Numbers::kLimbs][Numbers::kLanes];
};

// The inverses of all lanes, by one inversion; false if one of them is zero.
template <typename Numbers>
bool invert_lanes(typename Numbers::Vector& numbers) {
  constexpr std::size_t kLanes = Numbers::kLanes;
  blst_fp lane[kLanes], prefix[kLanes];
  LaneLimbs<Numbers> limbs;
  Numbers::get_lanes(limbs.limb, numbers);
  for (std::size_t i = 0; i < kLanes; ++i) {
    lane[i] = export_limbs<Numbers>(&limbs.limb[0][i], kLanes);
    prefix[i] = lane[i];
    if (i > 0) blst_fp_mul(&prefix[i], &prefix[i - 1], &lane[i]);
  }
  if (is_zero(prefix[kLanes - 1])) return false;
  blst_fp inverse;
  blst_fp_inverse(&inverse, &prefix[kLanes - 1]);
  for (std::size_t i = kLanes; i-- > 0;) {
    blst_fp own = inverse;
    if (i > 0) blst_fp_mul(&own, &inverse, &prefix[i - 1]);
    blst_fp_mul(&inverse, &inverse, &lane[i]);
    import_limbs<Numbers>(&limbs.limb[0][i], kLanes, own);
  }
  Numbers::set_lanes(numbers, limbs.limb);
  return true;
}

template <typename Numbers>
typename Numbers::Vector ones() {
  LaneLimbs<Numbers> limbs;
  for (std::size_t i = 0; i < Numbers::kLanes; ++i) {
    import_limbs<Numbers>(&limbs.limb[0][i], Numbers::kLanes, blst_p1_generator()->z);
  }
  typename Numbers::Vector out;
  Numbers::set_lanes(out, limbs.limb);
  return out;
}

}  // namespace
}  // namespace zkpfl
