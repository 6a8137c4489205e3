#pragma once

#include <blst.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace zkpfl {

// A scalar of the BLS12-381 group order r: four little-endian 64-bit limbs, canonical (below r,
// not in Montgomery form). Additions work on this form as it is; a product with one factor in
// Montgomery form is canonical again, so only multipliers are ever converted.
struct Scalar {
  std::array<std::uint64_t, 4> limbs;
  bool operator==(const Scalar&) const = default;
};
static_assert(sizeof(Scalar) == 32 && sizeof(blst_fr) == 32);

// A multiplier: the same number in Montgomery form.
struct Multiplier {
  blst_fr montgomery;
  explicit Multiplier(const Scalar& value) { blst_fr_from_uint64(&montgomery, value.limbs.data()); }
};

inline blst_fr* as_fr(Scalar* x) { return reinterpret_cast<blst_fr*>(x->limbs.data()); }
inline const blst_fr* as_fr(const Scalar* x) {
  return reinterpret_cast<const blst_fr*>(x->limbs.data());
}

inline Scalar operator+(const Scalar& a, const Scalar& b) {
  Scalar out;
  blst_fr_add(as_fr(&out), as_fr(&a), as_fr(&b));
  return out;
}

inline Scalar operator-(const Scalar& a, const Scalar& b) {
  Scalar out;
  blst_fr_sub(as_fr(&out), as_fr(&a), as_fr(&b));
  return out;
}

inline Scalar operator*(const Multiplier& a, const Scalar& b) {
  Scalar out;
  blst_fr_mul(as_fr(&out), &a.montgomery, as_fr(&b));
  return out;
}

inline const std::uint8_t* as_bytes(const Scalar& x) {
  return reinterpret_cast<const std::uint8_t*>(x.limbs.data());
}

// Number of bits of the value, 0 for zero.
std::size_t bit_length(const Scalar& x);

// Whether x is above (r - 1)/2, that is, stands for a negative number.
bool is_negative(const Scalar& x);

// accumulator[i] += x[i].
void add_into(Scalar* accumulator, const Scalar* x, std::size_t count);

// out[i] = sum_k coefficients[k] * rows[k][i].
void linear_combination(Scalar* out, const std::vector<const Scalar*>& rows,
                        const Scalar* coefficients, std::size_t count);

// Copies the scalars among `count` big-endian 32-byte blocks that are below r once their top bit
// is cleared, at most `wanted`; returns how many (docs/spec.md §5).
std::size_t accept_scalars(Scalar* out, std::size_t wanted, const std::uint8_t* blocks,
                           std::size_t count);

}  // namespace zkpfl
