#include "zkpfl/fold.h"

#include <array>
#include <bit>

#include "zkpfl/endomorphism.h"
#include "zkpfl/in_step.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

// Halves from which batches of additions are faster than one point at a time.
constexpr std::size_t kBatchesPay = 12;

// P, λP and P + λP, which is −λ²P.
std::array<blst_p1_affine, 3> endomorphism_table(const blst_p1_affine& point) {
  if (blst_p1_affine_is_inf(&point)) return {point, point, point};
  std::array<blst_p1_affine, 3> table = {point, point, negated(point)};
  blst_fp_mul(&table[1].x, &point.x, &cube_root_of_unity());
  blst_fp_mul(&table[2].x, &table[1].x, &cube_root_of_unity());
  return table;
}

// The bits of e1 and e2 at one place: 0, or which point of the table to add, from 1.
std::uint64_t digit_at(std::uint64_t e1, std::uint64_t e2, int bit) {
  return (e1 >> bit & 1) | (e2 >> bit & 1) << 1;
}

blst_p1 multiply_vartime(const blst_p1_affine& point, std::uint64_t e1, std::uint64_t e2) {
  blst_p1 result{};
  const auto table = endomorphism_table(point);
  for (int bit = std::bit_width(e1 | e2) - 1; bit >= 0; --bit) {
    blst_p1_double(&result, &result);
    const std::uint64_t digit = digit_at(e1, e2, bit);
    if (digit != 0) blst_p1_add_or_double_affine(&result, &result, &table[digit - 1]);
  }
  return result;
}

// A place of the joint sparse form: digits from -1, 0 and 1 of both numbers.
struct JointDigit {
  int first, second;
};

// Of two numbers at once, lowest place first: on average half of the places have no digit but 0
// (Solinas 2001).
std::vector<JointDigit> joint_sparse_form(std::uint64_t e1, std::uint64_t e2) {
  std::vector<JointDigit> digits;
  uint128 left[2] = {e1, e2};
  while (left[0] != 0 || left[1] != 0) {
    int digit[2];
    for (int i = 0; i < 2; ++i) {
      const auto own = static_cast<unsigned>(left[i] & 7),
                 other = static_cast<unsigned>(left[1 - i] & 3);
      digit[i] = own % 2 == 0 ? 0 : own % 4 == 1 ? 1 : -1;
      if ((own == 3 || own == 5) && other == 2) digit[i] = -digit[i];
    }
    for (int i = 0; i < 2; ++i) {
      left[i] = (left[i] - static_cast<uint128>(static_cast<__int128>(digit[i]))) >> 1;
    }
    digits.push_back({digit[0], digit[1]});
  }
  return digits;
}

// P, λP, P + λP and P - λP for many points.
template <typename Adder>
class DigitTables {
 public:
  DigitTables(const blst_p1_affine* points, std::size_t count)
      : tables_{InStep<Adder>(count), InStep<Adder>(count), InStep<Adder>(count),
                InStep<Adder>(count)} {
    std::array<G1Points, 3> entries = {G1Points(count), G1Points(count), G1Points(count)};
    for (std::size_t i = 0; i < count; ++i) {
      const auto table = endomorphism_table(points[i]);
      for (std::size_t k = 0; k < 3; ++k) entries[k][i] = table[k];
    }
    for (std::size_t k = 0; k < 3; ++k) tables_[k].import_points(entries[k].data());
    tables_[3] = tables_[0];
    tables_[3].add(tables_[1], true);
  }

  // For a digit that is not 0 and 0: the table, and whether to subtract.
  const InStep<Adder>& at(const JointDigit& digit) const {
    if (digit.second == 0) return tables_[0];
    if (digit.first == 0) return tables_[1];
    return tables_[digit.first == digit.second ? 2 : 3];
  }
  static bool negated(const JointDigit& digit) {
    return digit.first != 0 ? digit.first < 0 : digit.second < 0;
  }

 private:
  std::array<InStep<Adder>, 4> tables_;
};

// out[i] = low[i] + sum_j 2^j (first_j + λ second_j) high[i]. The highest digits are not negative.
template <typename Adder>
void fold_in_step(blst_p1_affine* out, const blst_p1_affine* low, const blst_p1_affine* high,
                  std::size_t count, const std::vector<JointDigit>& digits) {
  const DigitTables<Adder> tables(high, count);
  InStep<Adder> rest(count);
  rest.import_points(low);
  InStep<Adder> sum = tables.at(digits.back());
  for (std::size_t place = digits.size() - 1; place-- > 0;) {
    const JointDigit& digit = digits[place];
    sum.twice();
    if (digit.first != 0 || digit.second != 0) {
      sum.add(tables.at(digit), DigitTables<Adder>::negated(digit));
    }
  }
  sum.add(rest);
  sum.export_points(out);
}

}  // namespace

G1Points fold_points_vartime(const G1Points& points, std::uint64_t e1, std::uint64_t e2) {
  const std::size_t half = points.size() / 2;
  if (half < kBatchesPay || (e1 | e2) == 0) return fold_points_blst(points, e1, e2);
  G1Points folded(half);
  const auto digits = joint_sparse_form(e1, e2);
  with_adder([&]<typename Adder>(Adder) {
    parallel_for(half, kBatchesPay, [&](std::size_t begin, std::size_t end) {
      fold_in_step<Adder>(&folded[begin], &points[begin], &points[half + begin], end - begin,
                          digits);
    });
  });
  return folded;
}

G1Points fold_points_blst(const G1Points& points, std::uint64_t e1, std::uint64_t e2) {
  const std::size_t half = points.size() / 2;
  std::vector<blst_p1> folded(half);
  parallel_for(half, 2, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      folded[i] = multiply_vartime(points[half + i], e1, e2);
      blst_p1_add_or_double_affine(&folded[i], &folded[i], &points[i]);
    }
  });
  return to_affine(folded);
}

void fold_scalars(Scalar* out, const Scalar* scalars, std::size_t half, const Scalar& x) {
  const Multiplier factor(x);
  for (std::size_t i = 0; i < half; ++i) out[i] = scalars[i] + factor * scalars[half + i];
}

std::vector<Scalar> fold_weights(const Scalar* challenges, std::size_t count) {
  std::vector<Scalar> weights = {Scalar{{1, 0, 0, 0}}};
  for (std::size_t k = 0; k < count; ++k) {
    const Multiplier challenge(challenges[k]);
    std::vector<Scalar> next;
    for (const Scalar& weight : weights) {
      next.push_back(weight);
      next.push_back(challenge * weight);
    }
    weights = std::move(next);
  }
  return weights;
}

}  // namespace zkpfl
