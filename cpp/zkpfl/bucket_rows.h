#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "zkpfl/affine_batch.h"
#include "zkpfl/digits.h"
#include "zkpfl/g1.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

// Sums sum_i d_i T_i of a few rows at a time, from their digits d_i and a table T.
//
// Bucket b of a row collects what has the digit b or -b; the row is sum_b b B_b. Where the table
// has the powers of the base, all digits of a row share one set of buckets. In round t
// every bucket with more than t entries takes its next one, all rows together, so that one batch
// has thousands of independent additions. Buckets are ranked by their number of entries: those
// still in play are the first ones, and memory is walked in order. A bucket with far more entries
// than others is cut into several, which are added up at the end: otherwise a digit that many share
// would be added one by one. Cost: about an addition a digit, and two a bucket. Source: Pippenger
// 1976 in the form of Brickell et al. 1992.
template <typename Adder>
class BucketRows {
 public:
  using Point = typename Adder::Point;

  BucketRows(const DigitShape& shape, const Point* table, std::size_t rows)
      : shape_(shape), table_(table), digits_(rows * shape.entries()) {}

  std::int16_t* digits(std::size_t row) { return digits_.data() + row * shape_.entries(); }

  // out[row] = the sum of each of the first `rows` rows.
  void sum(blst_p1* out, std::size_t rows) {
    rank_buckets(rows);
    place_entries(rows);
    accumulate();
    join_slots();
    reduce(rows);
    combine(out, rows);
  }

 private:
  struct Entry {
    std::uint32_t index : 31, negate : 1;
  };

  // Calls visit(bucket, entry) for every digit but zeros.
  template <typename Visit>
  void each_digit(std::size_t rows, const Visit& visit) {
    for (std::size_t row = 0; row < rows; ++row) {
      const std::int16_t* digits = this->digits(row);
      const std::size_t first = row * shape_.buckets() - 1;
      for (std::size_t i = 0; i < shape_.entries(); ++i) {
        const int digit = digits[i];
        if (digit == 0) continue;
        const auto magnitude = static_cast<std::size_t>(digit < 0 ? -digit : digit);
        visit(first + magnitude, Entry{static_cast<std::uint32_t>(i), digit < 0});
      }
    }
  }

  // Cuts buckets into slots of at most 2^slot_bits_ entries and ranks these by falling number of
  // entries; starts_[t] is where the entries of round t begin.
  void rank_buckets(std::size_t rows) {
    taken_.assign(rows * shape_.buckets(), 0);
    each_digit(rows, [&](std::size_t bucket, Entry) { ++taken_[bucket]; });
    slot_bits_ = std::bit_width(2 * shape_.entries() / shape_.buckets() | 8u);
    const std::uint32_t full = 1u << slot_bits_;
    std::vector<std::uint32_t> sizes;
    first_slots_.assign(1, 0);
    for (const std::uint32_t count : taken_) {
      std::uint32_t left = count;
      for (; left > full; left -= full) sizes.push_back(full);
      sizes.push_back(left);
      first_slots_.push_back(static_cast<std::uint32_t>(sizes.size()));
    }
    const std::size_t most = *std::max_element(sizes.begin(), sizes.end());
    std::vector<std::uint32_t> next(most + 2, 0);  // next[most - n]: rank of a slot with n
    for (const std::uint32_t size : sizes) ++next[most - size + 1];
    for (std::size_t i = 1; i < next.size(); ++i) next[i] += next[i - 1];
    starts_.assign(1, 0);
    for (std::size_t t = 0; t < most; ++t) starts_.push_back(starts_.back() + next[most - t]);
    ranks_.resize(sizes.size());
    for (std::size_t s = 0; s < sizes.size(); ++s) ranks_[s] = next[most - sizes[s]]++;
  }

  void place_entries(std::size_t rows) {
    entries_.resize(starts_.back());
    std::fill(taken_.begin(), taken_.end(), 0);
    const std::uint32_t last = (1u << slot_bits_) - 1;
    each_digit(rows, [&](std::size_t bucket, Entry entry) {
      const std::uint32_t number = taken_[bucket]++;
      const std::uint32_t slot = first_slots_[bucket] + (number >> slot_bits_);
      entries_[starts_[number & last] + ranks_[slot]] = entry;
    });
  }

  // Adds all slots of a bucket into its first, in pairs.
  void join_slots() {
    for (std::uint32_t step = 1;; step *= 2) {
      additions_.clear();
      for (std::size_t b = 0; b + 1 < first_slots_.size(); ++b) {
        for (std::uint32_t s = first_slots_[b]; s + step < first_slots_[b + 1]; s += 2 * step) {
          queue(&sums_[ranks_[s]], &sums_[ranks_[s + step]]);
        }
      }
      if (additions_.empty()) return;
      Adder::add(additions_.data(), additions_.size());
    }
  }

  void accumulate() {
    sums_.assign(ranks_.size(), Adder::infinity());
    for (std::size_t round = 0; round + 1 < starts_.size(); ++round) {
      const Entry* entries = entries_.data() + starts_[round];
      const std::size_t active = starts_[round + 1] - starts_[round];
      additions_.clear();
      for (std::size_t i = 0; i < active; ++i) {
        const Point& point = table_[entries[i].index];
        if (round == 0) {
          sums_[i] = point;
          if (entries[i].negate) Adder::negate(sums_[i]);
        } else {
          additions_.push_back({&sums_[i], &point, entries[i].negate != 0});
        }
      }
      Adder::add(additions_.data(), additions_.size());
    }
  }

  Point* bucket(std::size_t row, std::size_t b) {
    return &sums_[ranks_[first_slots_[row * shape_.buckets() + b - 1]]];
  }

  void queue(Point* target, const Point* addend) {
    if (Adder::is_infinity(*addend)) return;
    if (Adder::is_infinity(*target)) {
      *target = *addend;
    } else {
      additions_.push_back({target, addend, false});
    }
  }

  // sum_b b B_b = 2 sum_b b (B_2b + B_(2b-1)) - sum_b B_(2b-1), again and again. At level l the
  // pairs are the multiples of 2^l and the odd ones are left over; odd ones of earlier levels
  // are summed by halves meanwhile. In the end bucket 2^l holds the odd sum O_l of level l, and
  // the last bucket the sum B of all.
  void reduce(std::size_t rows) {
    const std::size_t count = shape_.buckets();
    for (std::size_t step = 1; step < count; step *= 2) {
      additions_.clear();
      for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t b = 2 * step; b <= count; b += 2 * step) {
          queue(bucket(row, b), bucket(row, b - step));
        }
        for (std::size_t odd = 1; odd < step; odd *= 2) queue_halves(row, odd, count / step / 2);
      }
      Adder::add(additions_.data(), additions_.size());
    }
  }

  // Odd multiples of `odd`: the upper `half` onto the lower.
  void queue_halves(std::size_t row, std::size_t odd, std::size_t half) {
    for (std::size_t i = 0; i < half; ++i) {
      queue(bucket(row, odd * (2 * i + 1)), bucket(row, odd * (2 * (i + half) + 1)));
    }
  }

  // B 2^L - sum_l 2^l O_l, of all rows in step.
  void combine(blst_p1* out, std::size_t rows) {
    std::vector<Point> totals(rows);
    for (std::size_t row = 0; row < rows; ++row) totals[row] = *bucket(row, shape_.buckets());
    for (std::size_t odd = shape_.buckets() / 2; odd > 0; odd /= 2) {
      Adder::twice(totals.data(), rows);
      additions_.clear();
      for (std::size_t row = 0; row < rows; ++row) {
        additions_.push_back({&totals[row], bucket(row, odd), true});
      }
      Adder::add(additions_.data(), rows);
    }
    G1Points affine(rows);
    Adder::export_points(affine.data(), totals.data(), rows);
    std::transform(affine.begin(), affine.end(), out, from_affine);
  }

  const DigitShape shape_;
  const Point* table_;
  std::vector<std::int16_t> digits_;
  std::vector<std::uint32_t> taken_, first_slots_, ranks_, starts_;
  int slot_bits_ = 0;
  std::vector<Entry> entries_;
  std::vector<Point> sums_;
  std::vector<Addition<Point>> additions_;
};

// The sum of each of some rows, whose digits write(digits, row) writes, on all threads.
template <typename Adder, typename Write>
std::vector<blst_p1> sums_of_rows(const DigitShape& shape, const typename Adder::Point* table,
                                  std::size_t rows, const Write& write) {
  constexpr std::size_t kBuckets = 4096;  // in play at once, for long batches
  const std::size_t block = std::max<std::size_t>(1, kBuckets / shape.buckets());
  std::vector<blst_p1> out(rows);
  parallel_for(rows, 1, [&](std::size_t begin, std::size_t end) {
    BucketRows<Adder> buckets(shape, table, std::min(block, end - begin));
    for (std::size_t first = begin; first < end; first += block) {
      const std::size_t size = std::min(block, end - first);
      for (std::size_t i = 0; i < size; ++i) write(buckets.digits(i), first + i);
      buckets.sum(&out[first], size);
    }
  });
  return out;
}

}  // namespace zkpfl
