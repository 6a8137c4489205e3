#include "zkpfl/msm.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "zkpfl/bucket_rows.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kBatchesPay = 16;  // points from which batches of additions are faster

using PointPointers = std::vector<const blst_p1_affine*>;

// blst's Pippenger reads pointers until a null one and then goes on contiguously; a scalar takes
// (bits + 7) / 8 bytes.
blst_p1 pippenger(const PointPointers& points, const std::uint8_t* scalars, std::size_t bits) {
  blst_p1 out{};
  if (points.empty() || bits == 0) return out;
  const std::uint8_t* const list[] = {scalars, nullptr};
  std::vector<std::uint8_t> scratch(blst_p1s_mult_pippenger_scratch_sizeof(points.size()));
  blst_p1s_mult_pippenger(&out, points.data(), points.size(), list, bits,
                          reinterpret_cast<limb_t*>(scratch.data()));
  return out;
}

PointPointers pointers(const blst_p1_affine* points, std::size_t count) {
  PointPointers list(count);
  for (std::size_t i = 0; i < count; ++i) list[i] = points + i;
  return list;
}

blst_p1 scaled(const blst_p1_affine& point, const Scalar& factor) {
  blst_p1 out = from_affine(point);
  blst_p1_mult(&out, &out, as_bytes(factor), 255);
  return out;
}

// The windows are rows of buckets that are filled and emptied together.
blst_p1 msm_in_batches(const G1Points& points, const std::vector<ShiftedScalar>& factors) {
  if (points.empty()) return blst_p1{};
  const auto [window, rows, digits] = cheapest_digits(factors);
  const DigitShape shape{points.size(), window, 1, 0};
  const auto write = [&](std::int16_t* out, std::size_t row) {
    std::copy_n(digits.data() + points.size() * row, points.size(), out);
  };
  const auto sums = with_adder([&]<typename Adder>(Adder) {
    std::vector<typename Adder::Point> table(points.size());
    Adder::import_points(table.data(), points.data(), points.size());
    return sums_of_rows<Adder>(shape, table.data(), rows, write);
  });
  blst_p1 total{};
  for (std::size_t row = rows; row-- > 0;) {
    for (int i = 0; i < window; ++i) blst_p1_double(&total, &total);
    blst_p1_add_or_double(&total, &total, &sums[row]);
  }
  return total;
}

// Signed 16-bit values times generators: the sign picks G_c or -G_c, so that Pippenger sees
// magnitudes of few bits only.
class SignedRow {
 public:
  explicit SignedRow(const G1Points& generators) : generators_(generators) {
    for (const auto& point : generators) negatives_.push_back(negated(point));
  }

  blst_p1 commit(const std::int16_t* values, std::size_t count) const {
    PointPointers points(count);
    std::vector<std::uint16_t> magnitudes(count);
    std::uint16_t any = 0;
    for (std::size_t c = 0; c < count; ++c) {
      points[c] = values[c] < 0 ? &negatives_[c] : &generators_[c];
      magnitudes[c] = static_cast<std::uint16_t>(std::abs(int{values[c]}));
      any |= magnitudes[c];
    }
    if (any == 0) return blst_p1{};
    // At least 9 bits, so that blst takes two bytes a value.
    const auto bits = std::max<std::size_t>(9, std::bit_width(any));
    return pippenger(points, reinterpret_cast<const std::uint8_t*>(magnitudes.data()), bits);
  }

 private:
  const G1Points& generators_;
  G1Points negatives_;
};

// Row by row; zeros cost nothing.
G1Points commit_rows_without_table(const Scalar* values, std::size_t rows,
                                   const CommitmentKey& key) {
  const std::size_t width = key.columns.size() + 1;
  std::vector<blst_p1> commitments(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    G1Points points;
    std::vector<Scalar> factors;
    for (std::size_t c = 0; c < width; ++c) {
      const Scalar& factor = values[row * width + c];
      if (factor == Scalar{}) continue;
      points.push_back(c + 1 < width ? key.columns[c] : key.blinding);
      factors.push_back(factor);
    }
    commitments[row] = msm_vartime(points, factors.data());
  }
  return to_affine(commitments);
}

}  // namespace

blst_p1 msm_vartime(const G1Points& points, const Scalar* scalars) {
  if (points.size() < kBatchesPay) return msm_blst(points, scalars);
  std::vector<ShiftedScalar> factors;
  for (std::size_t i = 0; i < points.size(); ++i) factors.push_back({scalars[i]});
  return msm_in_batches(points, factors);
}

blst_p1 packed_msm_vartime(const G1Points& lane_values, const Scalar* weights,
                           const Lanes& layout) {
  std::vector<ShiftedScalar> factors;
  for (std::size_t i = 0; i < lane_values.size(); ++i) {
    const std::size_t lane = i % layout.lanes;
    factors.push_back({weights[i / layout.lanes], static_cast<int>(layout.width * lane)});
  }
  return msm_in_batches(lane_values, factors);
}

blst_p1 msm_blst(const G1Points& points, const Scalar* scalars) {
  std::size_t bits = 0;
  for (std::size_t i = 0; i < points.size(); ++i) bits = std::max(bits, bit_length(scalars[i]));
  const std::size_t width = (bits + 7) / 8;
  std::vector<std::uint8_t> packed(points.size() * width + 8);
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::copy_n(as_bytes(scalars[i]), width, packed.data() + i * width);
  }
  return pippenger(pointers(points.data(), points.size()), packed.data(), bits);
}

blst_p1 msm_naive(const G1Points& points, const Scalar* scalars) {
  blst_p1 sum{};
  for (std::size_t i = 0; i < points.size(); ++i) {
    const blst_p1 term = scaled(points[i], scalars[i]);
    blst_p1_add_or_double(&sum, &sum, &term);
  }
  return sum;
}

G1Points hash_to_g1(const std::vector<std::vector<std::uint8_t>>& messages,
                    const std::vector<std::uint8_t>& dst) {
  std::vector<blst_p1> points(messages.size());
  parallel_for(messages.size(), 32, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      blst_hash_to_g1(&points[i], messages[i].data(), messages[i].size(), dst.data(), dst.size(),
                      nullptr, 0);
    }
  });
  return to_affine(points);
}

G1Points commit_lanes_vartime(const std::int16_t* values, std::size_t count,
                              const Scalar* blindings, const CommitmentKey& key) {
  const std::size_t columns = key.columns.size();
  const std::size_t rows = (count + columns - 1) / columns;
  const FixedBase* table = key.table(signed_bits(values, count), rows);
  if (table == nullptr) return commit_lanes_blst(values, count, blindings, key);
  return to_affine(table->sums_vartime(rows, [&](std::int16_t* digits, std::size_t row) {
    const std::size_t first = row * columns;
    write_lane_digits(digits, table->shape(), values + first, std::min(columns, count - first),
                      blindings[row]);
  }));
}

G1Points commit_rows_vartime(const Scalar* values, std::size_t rows, const CommitmentKey& key) {
  const FixedBase* table = key.table(kScalarBits, rows);
  if (table == nullptr) return commit_rows_without_table(values, rows, key);
  return to_affine(table->sums_vartime(rows, [&](std::int16_t* digits, std::size_t row) {
    write_scalar_digits(digits, table->shape(), values + row * (key.columns.size() + 1));
  }));
}

G1Points commit_lanes_blst(const std::int16_t* values, std::size_t count, const Scalar* blindings,
                           const CommitmentKey& key) {
  const std::size_t columns = key.columns.size();
  const SignedRow signed_row(key.columns);
  std::vector<blst_p1> commitments((count + columns - 1) / columns);
  parallel_for(commitments.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      const std::size_t first = row * columns;
      const blst_p1 sum = signed_row.commit(values + first, std::min(columns, count - first));
      const blst_p1 blinding = scaled(key.blinding, blindings[row]);
      blst_p1_add_or_double(&commitments[row], &sum, &blinding);
    }
  });
  return to_affine(commitments);
}

G1Points commit_rows_blst(const Scalar* values, std::size_t rows, const CommitmentKey& key) {
  const std::size_t width = key.columns.size() + 1;
  PointPointers points = pointers(key.columns.data(), key.columns.size());
  points.push_back(&key.blinding);
  std::vector<blst_p1> commitments(rows);
  parallel_for(rows, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      commitments[row] = pippenger(points, as_bytes(values[row * width]), 255);
    }
  });
  return to_affine(commitments);
}

}  // namespace zkpfl
