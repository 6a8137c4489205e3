#include "zkpfl/packed_msm.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "zkpfl/affine_batch.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

// Pippenger's buckets over the weights as they are, below 2^128, and not over the products
// weight * 2^(width l), which reduced are twice as long: windows of a few bits divide every lane's
// width alike, so that lane l has the digits of its weight, only `per_lane * l` windows higher.

constexpr std::size_t kBits = 7;  // of the largest window: buckets cost as much as points
constexpr std::size_t kBuckets = 1 << (kBits - 1);
constexpr std::size_t kGrain = 8;  // windows whose additions make a batch

class Windows {
 public:
  explicit Windows(std::size_t width) : width_(width), per_lane_((width + kBits - 1) / kBits) {}

  std::size_t per_lane() const { return per_lane_; }

  // The first bit of a window.
  std::size_t start(std::size_t window) const {
    return width_ * (window / per_lane_) + width_ * (window % per_lane_) / per_lane_;
  }

  // Windows that hold any number of so many bits, with a carry.
  std::size_t covering(std::size_t bits) const {
    std::size_t count = 0;
    while (start(count) <= bits) ++count;
    return count;
  }

  // Digits in [-2^(k-1), 2^(k-1)] of a number, k the size of the window.
  void write_digits(std::int8_t* digits, std::size_t count, const Scalar& number) const {
    int carry = 0;
    for (std::size_t window = 0; window < count; ++window) {
      const std::size_t first = start(window), size = start(window + 1) - first;
      int digit = carry;
      for (std::size_t i = 0; i < size && first + i < 256; ++i) {
        digit += static_cast<int>(number.limbs[(first + i) / 64] >> ((first + i) % 64) & 1) << i;
      }
      carry = digit > 1 << (size - 1) ? 1 : 0;
      digits[window] = static_cast<std::int8_t>(digit - (carry << size));
    }
  }

 private:
  std::size_t width_, per_lane_;
};

// The digits of every weight, and which windows of which lane have them.
struct Digits {
  Windows windows;
  std::size_t lanes, per_weight;
  std::vector<std::int8_t> of_weights;

  Digits(const Scalar* weights, std::size_t count, const Lanes& layout)
      : windows(layout.width), lanes(layout.lanes) {
    std::size_t bits = 0;
    for (std::size_t p = 0; p < count; ++p) bits = std::max(bits, bit_length(weights[p]));
    per_weight = windows.covering(bits);
    of_weights.resize(per_weight * count);
    for (std::size_t p = 0; p < count; ++p) {
      windows.write_digits(&of_weights[per_weight * p], per_weight, weights[p]);
    }
  }

  std::size_t window_count() const { return windows.per_lane() * (lanes - 1) + per_weight; }

  // visit(point, digit) for the points with a digit other than zero in a window.
  template <typename Visit>
  void for_points(std::size_t window, std::size_t points, const Visit& visit) const {
    for (std::size_t lane = 0; lane < lanes && windows.per_lane() * lane <= window; ++lane) {
      const std::size_t k = window - windows.per_lane() * lane;
      if (k >= per_weight) continue;
      for (std::size_t p = 0; lanes * p + lane < points; ++p) {
        const int digit = of_weights[per_weight * p + k];
        if (digit != 0) visit(lanes * p + lane, digit);
      }
    }
  }
};

// The buckets of some windows, side by side so that additions come in large batches.
template <typename Adder>
class Buckets {
 public:
  using Point = typename Adder::Point;

  // `negatives` follow the points.
  Buckets(const Digits& digits, std::span<const Point> both, std::size_t begin, std::size_t end)
      : buckets_((end - begin) * kBuckets, Adder::infinity()) {
    const std::size_t points = both.size() / 2;
    std::vector<std::size_t> sizes(buckets_.size()), starts(buckets_.size());
    const auto for_all = [&](const auto& visit) {
      for (std::size_t window = begin; window < end; ++window) {
        digits.for_points(window, points, [&](std::size_t point, int digit) {
          const int magnitude = digit < 0 ? -digit : digit;
          visit((window - begin) * kBuckets + static_cast<std::size_t>(magnitude - 1),
                both[digit < 0 ? points + point : point]);
        });
      }
    };
    for_all([&](std::size_t bucket, const Point&) { ++sizes[bucket]; });
    std::exclusive_scan(sizes.begin(), sizes.end(), starts.begin(), std::size_t{0});
    std::vector<Point> placed(starts.back() + sizes.back());
    std::vector<std::size_t> next = starts;
    for_all([&](std::size_t bucket, const Point& point) { placed[next[bucket]++] = point; });
    add_up(placed, starts, sizes);
    for (std::size_t b = 0; b < sizes.size(); ++b) {
      if (sizes[b] > 0) buckets_[b] = placed[starts[b]];
    }
  }

  // Point b of window w, weighted with 2^b for b < kBits - 1, and one more with 1, makes the sum of
  // the window, every bucket times its digit.
  std::vector<Point> weighted_sums() {
    const std::size_t windows = buckets_.size() / kBuckets;
    std::vector<Point> sums(windows * kBits);
    for (std::size_t bit = kBits - 1, half = kBuckets / 2; bit-- > 0; half /= 2) {
      std::vector<Point> upper;
      std::vector<std::size_t> starts, sizes(windows, half);
      for (std::size_t w = 0; w < windows; ++w) {
        starts.push_back(upper.size());
        Point* lower = &buckets_[w * kBuckets];
        upper.insert(upper.end(), lower + half, lower + 2 * half);
        for (std::size_t i = 0; i < half; ++i) add(lower + i, lower + half + i);
      }
      add_all();
      add_up(upper, starts, sizes);
      for (std::size_t w = 0; w < windows; ++w) sums[w * kBits + bit] = upper[starts[w]];
    }
    for (std::size_t w = 0; w < windows; ++w) sums[w * kBits + kBits - 1] = buckets_[w * kBuckets];
    return sums;
  }

 private:
  // No target occurs twice in a batch, and none is an addend in it. Adders are slow on infinity.
  void add(Point* target, const Point* addend) {
    if (Adder::is_infinity(*addend)) return;
    if (Adder::is_infinity(*target)) {
      *target = *addend;
    } else {
      additions_.push_back({target, addend, false});
    }
  }

  void add_all() {
    Adder::add(additions_.data(), additions_.size());
    additions_.clear();
  }

  // Sums of runs of points, each into the first of its run.
  void add_up(std::vector<Point>& points, const std::vector<std::size_t>& starts,
              std::vector<std::size_t> sizes) {
    while (std::any_of(sizes.begin(), sizes.end(), [](std::size_t size) { return size > 1; })) {
      for (std::size_t run = 0; run < sizes.size(); ++run) {
        Point* first = points.data() + starts[run];
        const std::size_t kept = (sizes[run] + 1) / 2;
        for (std::size_t i = kept; i < sizes[run]; ++i) add(first + i - kept, first + i);
        sizes[run] = kept;
      }
      add_all();
    }
  }

  std::vector<Point> buckets_;
  std::vector<Addition<Point>> additions_;
};

// sum_w 2^start(w) * (sum_b 2^b sums[w][b] + sums[w][last]), one doubling a bit.
blst_p1 sum_of_windows(const std::vector<blst_p1_affine>& sums, const Windows& windows) {
  const std::size_t count = sums.size() / kBits;
  std::vector<std::vector<const blst_p1_affine*>> at(windows.start(count) + kBits);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::size_t bit = i % kBits == kBits - 1 ? 0 : i % kBits;
    at[windows.start(i / kBits) + bit].push_back(&sums[i]);
  }
  blst_p1 out{};
  for (std::size_t bit = at.size(); bit-- > 0;) {
    blst_p1_double(&out, &out);
    for (const auto* point : at[bit]) blst_p1_add_or_double_affine(&out, &out, point);
  }
  return out;
}

template <typename Adder>
std::vector<typename Adder::Point> with_negatives(const G1Points& points) {
  std::vector<typename Adder::Point> both(2 * points.size());
  Adder::import_points(both.data(), points.data(), points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    both[points.size() + i] = Adder::negated(both[i]);
  }
  return both;
}

}  // namespace

blst_p1 packed_msm_vartime(const G1Points& lane_values, const Scalar* weights,
                           const Lanes& layout) {
  const std::size_t packed_rows = (lane_values.size() + layout.lanes - 1) / layout.lanes;
  const Digits digits(weights, packed_rows, layout);
  std::vector<blst_p1_affine> sums(digits.window_count() * kBits);
  with_adder([&](auto adder) {
    using Adder = decltype(adder);
    const auto both = with_negatives<Adder>(lane_values);
    parallel_for(digits.window_count(), kGrain, [&](std::size_t begin, std::size_t end) {
      const auto own = Buckets<Adder>(digits, both, begin, end).weighted_sums();
      Adder::export_points(&sums[begin * kBits], own.data(), own.size());
    });
  });
  return sum_of_windows(sums, digits.windows);
}

}  // namespace zkpfl
