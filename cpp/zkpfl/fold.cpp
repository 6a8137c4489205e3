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

// out[i] = low[i] + (e1 + λ e2) high[i].
template <typename Adder>
void fold_in_step(blst_p1_affine* out, const blst_p1_affine* low, const blst_p1_affine* high,
                  std::size_t count, std::uint64_t e1, std::uint64_t e2) {
  std::array<InStep<Adder>, 3> tables = {InStep<Adder>(count), InStep<Adder>(count),
                                         InStep<Adder>(count)};
  std::array<G1Points, 3> entries = {G1Points(count), G1Points(count), G1Points(count)};
  for (std::size_t i = 0; i < count; ++i) {
    const auto table = endomorphism_table(high[i]);
    for (std::size_t k = 0; k < 3; ++k) entries[k][i] = table[k];
  }
  for (std::size_t k = 0; k < 3; ++k) tables[k].import_points(entries[k].data());
  InStep<Adder> rest(count);
  rest.import_points(low);
  const int top = std::bit_width(e1 | e2) - 1;
  InStep<Adder> sum = tables[digit_at(e1, e2, top) - 1];
  for (int bit = top - 1; bit >= 0; --bit) {
    sum.twice();
    const std::uint64_t digit = digit_at(e1, e2, bit);
    if (digit != 0) sum.add(tables[digit - 1]);
  }
  sum.add(rest);
  sum.export_points(out);
}

}  // namespace

G1Points fold_points_vartime(const G1Points& points, std::uint64_t e1, std::uint64_t e2) {
  const std::size_t half = points.size() / 2;
  if (half < kBatchesPay || (e1 | e2) == 0) return fold_points_blst(points, e1, e2);
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
