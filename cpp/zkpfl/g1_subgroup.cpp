#include "zkpfl/g1_subgroup.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <numeric>
#include <span>
#include <system_error>
#include <vector>

#include "zkpfl/affine_batch.h"
#include "zkpfl/endomorphism.h"
#include "zkpfl/in_step.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kBuckets = 243;  // 3^5: a round makes five combinations
constexpr std::size_t kChunk = 2048;   // points whose copies stay in the caches

void fill_from_system(std::uint8_t* out, std::size_t count) {
  while (count > 0) {
    const std::size_t wanted = std::min<std::size_t>(count, 256);
    if (getentropy(out, wanted) != 0) throw std::system_error(errno, std::generic_category());
    out += wanted, count -= wanted;
  }
}

// Uniform numbers below 243, from secret bytes by rejection.
std::vector<std::uint8_t> random_digits(std::size_t count) {
  std::vector<std::uint8_t> digits, bytes(4096);
  digits.reserve(count);
  while (digits.size() < count) {
    fill_from_system(bytes.data(), bytes.size());
    for (const std::uint8_t byte : bytes) {
      if (byte < kBuckets && digits.size() < count) digits.push_back(byte);
    }
  }
  return digits;
}

// Some rounds, side by side so that additions come in large batches. Each adds up its points by
// digit, in one bucket a digit, and then its buckets by trit.
template <typename Adder>
class Rounds {
 public:
  using Point = typename Adder::Point;

  explicit Rounds(std::size_t rounds) : buckets_(kBuckets * rounds, Adder::infinity()) {}

  // Takes points; `digits` is a row of `stride` for each round.
  void absorb(std::span<const Point> points, const std::uint8_t* digits, std::size_t stride) {
    std::vector<std::size_t> sizes = place(points, digits, stride);
    while (add_pairs(sizes)) {
    }
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      if (sizes[b] == 0) continue;
      const Point& sum = placed_[starts_[b]];
      if (Adder::is_infinity(buckets_[b])) {
        buckets_[b] = sum;  // adders are slow on infinity
      } else {
        additions_.push_back({&buckets_[b], &sum, false});
      }
    }
    add_all();
  }

  // For every trit and round, the sum of the points each times its trit less 1.
  std::vector<Point> combinations() {
    std::vector<Point> out;
    for (std::size_t third = kBuckets / 3; third > 0; third /= 3) {
      for (const Point& sum : fold(third)) out.push_back(sum);
    }
    return out;
  }

 private:
  std::size_t rounds() const { return buckets_.size() / kBuckets; }

  void add_all() {
    Adder::add(additions_.data(), additions_.size());
    additions_.clear();
  }

  // Sorts the points of every round by bucket into placed_; returns how many each bucket has.
  std::vector<std::size_t> place(std::span<const Point> points, const std::uint8_t* digits,
                                 std::size_t stride) {
    std::vector<std::size_t> sizes(buckets_.size());
    const auto bucket = [&](std::size_t r, std::size_t i) {
      return kBuckets * r + digits[stride * r + i];
    };
    for (std::size_t r = 0; r < rounds(); ++r) {
      for (std::size_t i = 0; i < points.size(); ++i) ++sizes[bucket(r, i)];
    }
    starts_.resize(sizes.size());
    std::exclusive_scan(sizes.begin(), sizes.end(), starts_.begin(), std::size_t{0});
    placed_.resize(points.size() * rounds());
    std::vector<std::size_t> next = starts_;
    for (std::size_t r = 0; r < rounds(); ++r) {
      for (std::size_t i = 0; i < points.size(); ++i) placed_[next[bucket(r, i)]++] = points[i];
    }
    return sizes;
  }

  // Adds the second half of every bucket to its first; false once none has two points.
  bool add_pairs(std::vector<std::size_t>& sizes) {
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      Point* points = placed_.data() + starts_[b];
      const std::size_t kept = (sizes[b] + 1) / 2;
      for (std::size_t i = kept; i < sizes[b]; ++i) {
        additions_.push_back({points + i - kept, points + i, false});
      }
      sizes[b] = kept;
    }
    const bool any = !additions_.empty();
    add_all();
    return any;
  }

  // Removes the leading trit of the 3·third buckets that every round still has: returns the sum
  // of the last third less the first, and adds all three thirds into the first.
  std::vector<Point> fold(std::size_t third) {
    std::vector<Point> differences;
    for (std::size_t r = 0; r < rounds(); ++r) {
      const Point* plus = &buckets_[kBuckets * r + 2 * third];
      differences.insert(differences.end(), plus, plus + third);
    }
    for (const std::size_t addend : {0, 1, 2}) {
      for (std::size_t r = 0; r < rounds(); ++r) {
        Point* first = &buckets_[kBuckets * r];
        Point* targets = addend == 0 ? &differences[third * r] : first;
        for (std::size_t i = 0; i < third; ++i) {
          additions_.push_back({targets + i, first + addend * third + i, addend == 0});
        }
      }
      add_all();
    }
    return totals(std::move(differences), third);
  }

  // Sums of `size` points in a row, for every round.
  std::vector<Point> totals(std::vector<Point> points, std::size_t size) {
    for (std::size_t left = size; left > 1; left = (left + 1) / 2) {
      const std::size_t kept = (left + 1) / 2;
      for (std::size_t r = 0; r < rounds(); ++r) {
        Point* row = &points[size * r];
        for (std::size_t i = kept; i < left; ++i) {
          additions_.push_back({row + i - kept, row + i, false});
        }
      }
      add_all();
    }
    std::vector<Point> out;
    for (std::size_t r = 0; r < rounds(); ++r) out.push_back(points[size * r]);
    return out;
  }

  std::vector<Point> buckets_;
  std::vector<Point> placed_;
  std::vector<std::size_t> starts_;
  std::vector<Addition<Point>> additions_;
};

template <typename Adder>
G1Points combinations_of_rounds(const std::vector<typename Adder::Point>& points,
                                const std::uint8_t* digits, std::size_t begin, std::size_t end) {
  Rounds<Adder> rounds(end - begin);
  for (std::size_t first = 0; first < points.size(); first += kChunk) {
    const std::size_t count = std::min(kChunk, points.size() - first);
    rounds.absorb({points.data() + first, count}, digits + begin * points.size() + first,
                  points.size());
  }
  const auto sums = rounds.combinations();
  G1Points out(sums.size());
  Adder::export_points(out.data(), sums.data(), sums.size());
  return out;
}

bool one_by_one(const G1Points& points) {
  return std::all_of(points.begin(), points.end(),
                     [](const auto& point) { return blst_p1_affine_in_g1(&point); });
}

template <typename Adder>
void multiply_by_parameter(InStep<Adder>& points) {
  const InStep<Adder> once = points;
  for (int bit = std::bit_width(kParameter) - 2; bit >= 0; --bit) {
    points.twice();
    if (kParameter >> bit & 1) points.add(once);
  }
}

// Whether z² P = -φ²(P), which is (β² x, -y), for every point: then r P = (z⁴ - z² + 1) P = 0.
template <typename Adder>
bool each_in_subgroup(const blst_p1_affine* points, std::size_t count) {
  InStep<Adder> multiples(count);
  multiples.import_points(points);
  multiply_by_parameter(multiples);
  multiply_by_parameter(multiples);
  G1Points got(count);
  multiples.export_points(got.data());
  for (std::size_t i = 0; i < count; ++i) {
    blst_p1_affine expected = negated(points[i]);
    blst_fp_mul(&expected.x, &expected.x, &cube_root_of_unity());
    blst_fp_mul(&expected.x, &expected.x, &cube_root_of_unity());
    if (!blst_p1_affine_is_equal(&got[i], &expected)) return false;
  }
  return true;
}

template <typename Adder>
bool each_in_subgroup(const G1Points& points) {
  std::atomic<bool> good = true;
  parallel_for(points.size(), kSubgroupSteps, [&](std::size_t begin, std::size_t end) {
    if (!each_in_subgroup<Adder>(&points[begin], end - begin)) good = false;
  });
  return good;
}

}  // namespace

bool combinations_in_subgroup(const G1Points& points, const std::uint8_t* digits) {
  return with_adder([&](auto adder) {
    using Adder = decltype(adder);
    std::vector<typename Adder::Point> imported(points.size());
    Adder::import_points(imported.data(), points.data(), points.size());
    std::atomic<bool> good = true;
    parallel_for(kSubgroupRounds, 1, [&](std::size_t begin, std::size_t end) {
      const auto sums = combinations_of_rounds<Adder>(imported, digits, begin, end);
      if (!each_in_subgroup<Adder>(sums.data(), sums.size())) good = false;
    });
    return good.load();
  });
}

bool all_in_subgroup(const G1Points& points) {
  if (points.size() < kSubgroupSteps) return one_by_one(points);
  if (points.size() < kSubgroupBatch) {
    return with_adder([&]<typename Adder>(Adder) { return each_in_subgroup<Adder>(points); });
  }
  return combinations_in_subgroup(points, random_digits(kSubgroupRounds * points.size()).data());
}

}  // namespace zkpfl
