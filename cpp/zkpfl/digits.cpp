#include "zkpfl/digits.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace zkpfl {

namespace {

constexpr int kLargestWindow = 15;  // a digit fits 16 bits

int digits_for(int bits, int window) { return (bits + window - 1) / window; }

// Additions of a row: its digits, and twice the buckets.
std::size_t additions(const DigitShape& shape) { return shape.entries() + 2 * shape.buckets(); }

// Digits above half of the base become negative and carry.
class SignedDigits {
 public:
  SignedDigits(std::int16_t* out, std::size_t stride, int window, bool negative)
      : out_(out), stride_(stride), window_(window), negative_(negative) {}

  void write(std::uint32_t bits) {
    int digit = static_cast<int>(bits) + carry_;
    carry_ = digit > (1 << (window_ - 1));
    digit -= carry_ << window_;
    *out_ = static_cast<std::int16_t>(negative_ ? -digit : digit);
    out_ += stride_;
  }

 private:
  std::int16_t* out_;
  std::size_t stride_;
  int window_;
  bool negative_;
  int carry_ = 0;
};

void write_integer(std::int16_t* out, std::size_t stride, int count, int window, int value) {
  SignedDigits digits(out, stride, window, value < 0);
  auto magnitude = static_cast<std::uint32_t>(std::abs(value));
  for (int j = 0; j < count; ++j, magnitude >>= window) {
    digits.write(magnitude & ((1u << window) - 1));
  }
}

// Bits [first, first + window) of a number below 2^256, all others being zero.
std::uint32_t extract(const Scalar& x, int first, int window) {
  if (first < 0) return first + window <= 0 ? 0 : extract(x, 0, first + window) << -first;
  const int word = first / 64, offset = first % 64;
  std::uint64_t bits = word < 4 ? x.limbs[static_cast<std::size_t>(word)] >> offset : 0;
  if (offset + window > 64 && word < 3) {
    bits |= x.limbs[static_cast<std::size_t>(word) + 1] << (64 - offset);
  }
  return static_cast<std::uint32_t>(bits & ((1u << window) - 1));
}

// Of 2^shift value.
void write_scalar(std::int16_t* out, std::size_t stride, int count, int window, const Scalar& value,
                  int shift = 0) {
  const bool negative = is_negative(value);
  const Scalar magnitude = negative ? Scalar{} - value : value;
  SignedDigits digits(out, stride, window, negative);
  for (int j = 0; j < count; ++j) digits.write(extract(magnitude, j * window - shift, window));
}

}  // namespace

DigitShape cheapest_shape(std::size_t columns, int bits) {
  DigitShape best{columns, 2, digits_for(bits, 2), digits_for(kScalarBits, 2)};
  for (int window = 3; window <= kLargestWindow; ++window) {
    const DigitShape shape{columns, window, digits_for(bits, window),
                           digits_for(kScalarBits, window)};
    if (additions(shape) < additions(best)) best = shape;
  }
  return best;
}

int signed_bits(const std::int16_t* values, std::size_t count) {
  int most = 1;
  for (std::size_t i = 0; i < count; ++i) most = std::max(most, std::abs(int{values[i]}));
  return std::bit_width(static_cast<unsigned>(most - 1)) + 1;
}

void write_lane_digits(std::int16_t* digits, const DigitShape& shape, const std::int16_t* values,
                       std::size_t count, const Scalar& blinding) {
  std::fill_n(digits, shape.column_entries(), std::int16_t{0});
  for (std::size_t c = 0; c < count; ++c) {
    write_integer(digits + c, shape.columns, shape.column_digits, shape.window, values[c]);
  }
  write_scalar(digits + shape.column_entries(), 1, shape.blinding_digits, shape.window, blinding);
}

void write_scalar_digits(std::int16_t* digits, const DigitShape& shape, const Scalar* values) {
  for (std::size_t c = 0; c < shape.columns; ++c) {
    write_scalar(digits + c, shape.columns, shape.column_digits, shape.window, values[c]);
  }
  write_scalar(digits + shape.column_entries(), 1, shape.blinding_digits, shape.window,
               values[shape.columns]);
}

ScalarDigits cheapest_digits(const std::vector<ShiftedScalar>& factors) {
  int bits = 1, shift = 0;
  for (const auto& [value, own_shift] : factors) {
    const Scalar magnitude = is_negative(value) ? Scalar{} - value : value;
    bits = std::max(bits, 1 + static_cast<int>(bit_length(magnitude)));
    shift = std::max(shift, own_shift);
  }
  const auto additions = [&](int window) {
    const auto digits = static_cast<std::size_t>(digits_for(bits, window)) * factors.size();
    const auto rows = static_cast<std::size_t>(digits_for(bits + shift, window));
    return digits + 2 * rows * (std::size_t{1} << (window - 1));
  };
  int window = 2;
  for (int other = 3; other <= kLargestWindow; ++other) {
    if (additions(other) < additions(window)) window = other;
  }
  const int rows = digits_for(bits + shift, window);
  ScalarDigits out{window, static_cast<std::size_t>(rows), {}};
  out.digits.resize(out.rows * factors.size());
  for (std::size_t i = 0; i < factors.size(); ++i) {
    write_scalar(out.digits.data() + i, factors.size(), rows, window, factors[i].value,
                 factors[i].shift);
  }
  return out;
}

}  // namespace zkpfl
