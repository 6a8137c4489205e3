#include "zkpfl/fold.h"

#include <array>
#include <bit>

#include "zkpfl/affine_batch.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

// β with (β·x, y) = λ·(x, y), λ = z² − 1: the endomorphism of Gallant, Lambert and Vanstone.
constexpr std::array<std::uint8_t, 48> kBeta = {
    0x1a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x99, 0xec, 0x02, 0x40, 0x86, 0x63, 0xd4, 0xde, 0x85,
    0xaa, 0x0d, 0x85, 0x7d, 0x89, 0x75, 0x9a, 0xd4, 0x89, 0x7d, 0x29, 0x65, 0x0f, 0xb8, 0x5f, 0x9b,
    0x40, 0x94, 0x27, 0xeb, 0x4f, 0x49, 0xff, 0xfd, 0x8b, 0xfd, 0x00, 0x00, 0x00, 0x00, 0xaa, 0xac};

// Halves from which batches of additions are faster than one point at a time.
constexpr std::size_t kBatchesPay = 12;

const blst_fp& beta() {
  static const blst_fp value = [] {
    blst_fp out;
    blst_fp_from_bendian(&out, kBeta.data());
    return out;
  }();
  return value;
}

// P, λP and P + λP, which is −λ²P because 1 + λ + λ² = 0.
std::array<blst_p1_affine, 3> endomorphism_table(const blst_p1_affine& point) {
  std::array<blst_p1_affine, 3> table = {point, point, negated(point)};
  blst_fp_mul(&table[1].x, &point.x, &beta());
  blst_fp_mul(&table[2].x, &table[1].x, &beta());
  return table;
}

// The bits of e1 and e2 at one place: 0, or which point of the table to add, from 1.
std::uint64_t digit_at(std::uint64_t e1, std::uint64_t e2, int bit) {
  return (e1 >> bit & 1) | (e2 >> bit & 1) << 1;
}

blst_p1 multiply_vartime(const blst_p1_affine& point, std::uint64_t e1, std::uint64_t e2) {
  blst_p1 result{};
  if (blst_p1_affine_is_inf(&point)) return result;
  const auto table = endomorphism_table(point);
  for (int bit = std::bit_width(e1 | e2) - 1; bit >= 0; --bit) {
    blst_p1_double(&result, &result);
    const std::uint64_t digit = digit_at(e1, e2, bit);
    if (digit != 0) blst_p1_add_or_double_affine(&result, &result, &table[digit - 1]);
  }
  return result;
}

// Some points in an adder's representation, all of which take the same steps.
template <typename Adder>
class InStep {
 public:
  using Point = typename Adder::Point;

  explicit InStep(std::size_t count) : points_(count, Adder::infinity()), additions_(count) {}

  void import(std::size_t index, const blst_p1_affine& point) {
    Adder::import_points(&points_[index], &point, 1);
  }

  void twice() { Adder::twice(points_.data(), points_.size()); }

  void add(const InStep& addends) {
    for (std::size_t i = 0; i < points_.size(); ++i) {
      additions_[i] = {&points_[i], &addends.points_[i], false};
    }
    Adder::add(additions_.data(), additions_.size());
  }

  void export_to(blst_p1_affine* out) const {
    Adder::export_points(out, points_.data(), points_.size());
  }

 private:
  std::vector<Point> points_;
  std::vector<Addition<Point>> additions_;
};

// out[i] = low[i] + (e1 + λ e2) high[i].
template <typename Adder>
void fold_in_step(blst_p1_affine* out, const blst_p1_affine* low, const blst_p1_affine* high,
                  std::size_t count, std::uint64_t e1, std::uint64_t e2) {
  std::array<InStep<Adder>, 3> tables = {InStep<Adder>(count), InStep<Adder>(count),
                                         InStep<Adder>(count)};
  InStep<Adder> rest(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto table = endomorphism_table(high[i]);
    const bool infinite = blst_p1_affine_is_inf(&high[i]);
    for (std::size_t k = 0; k < 3; ++k) tables[k].import(i, infinite ? high[i] : table[k]);
    rest.import(i, low[i]);
  }
  const int top = std::bit_width(e1 | e2) - 1;
  InStep<Adder> sum = top < 0 ? InStep<Adder>(count) : tables[digit_at(e1, e2, top) - 1];
  for (int bit = top - 1; bit >= 0; --bit) {
    sum.twice();
    const std::uint64_t digit = digit_at(e1, e2, bit);
    if (digit != 0) sum.add(tables[digit - 1]);
  }
  sum.add(rest);
  sum.export_to(out);
}

}  // namespace

G1Points fold_points_vartime(const G1Points& points, std::uint64_t e1, std::uint64_t e2) {
  const std::size_t half = points.size() / 2;
  if (half < kBatchesPay) return fold_points_blst(points, e1, e2);
  G1Points folded(half);
  with_adder([&]<typename Adder>(Adder) {
    parallel_for(half, kBatchesPay, [&](std::size_t begin, std::size_t end) {
      fold_in_step<Adder>(&folded[begin], &points[begin], &points[half + begin], end - begin, e1,
                          e2);
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
