#include <algorithm>
#include <bit>
#include <mutex>
#include <vector>

#include "zkpfl/aes_public.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kChunk = 16 * kRowTile;  // indices of a part whose blocks stay in the cache
constexpr std::size_t kChunksInBuckets = 2;    // 2^12 values of 18 bits, which 32 bits can hold

static_assert(kRowTile == PublicStream::kBlocksAtOnce);

// Adds a value to every row whose bit is set, by the bytes of a block: bucket b of byte j collects
// what comes with the byte b, and its sum counts for the bits of b.
class ByteBuckets {
 public:
  void add(const std::uint8_t* block, std::int32_t value) {
#pragma GCC unroll 16
    for (std::size_t j = 0; j < 16; ++j) buckets_[j][block[j]] += value;
  }

  void empty_into(RowSums& sums) {
    for (std::size_t j = 0; j < 16; ++j) {
      std::int64_t bucket[256];
      std::copy_n(buckets_[j], 256, bucket);
      for (int bit = 7; bit >= 0; --bit) {
        const std::size_t half = std::size_t{1} << bit;
        for (std::size_t i = 0; i < half; ++i) {
          sums.rows[8 * j + static_cast<std::size_t>(bit)] += bucket[half + i];
          bucket[i] += bucket[half + i];
        }
      }
    }
    std::fill_n(&buckets_[0][0], 16 * 256, 0);
  }

 private:
  std::int32_t buckets_[16][256] = {};
};

void add_into(RowSums& total, const RowSums& part) {
  for (std::size_t k = 0; k < kBinaryRows; ++k) total.rows[k] += part.rows[k];
  total.squares += part.squares;
}

// How often a part counts at a place of the grid: (1, 0), (0, 1) or, at ∞, (-1, 1) for each
// variable.
int sign_at(std::size_t place, std::size_t part) {
  constexpr int kSigns[3][2] = {{1, 0}, {0, 1}, {-1, 1}};
  return kSigns[place / 3][part / 2] * kSigns[place % 3][part % 2];
}

// The grid of one thread.
class Grid {
 public:
  Grid(const std::uint8_t* seed, const std::int16_t* x, const Parts& parts)
      : stream_(seed), x_(x), parts_(parts), blocks_(kParts * 16 * kChunk), buckets_(9) {}

  // Indices first … first + count - 1 of every part.
  void add(std::size_t first, std::size_t count) {
    for (std::size_t part = 0; part < kParts; ++part) {
      for (std::size_t at = 0; at < count && parts_.has(part, first); at += kRowTile) {
        stream_.blocks(block(part, at), part * parts_.size + first + at);
      }
    }
    for (std::size_t place = 0; place < 9; ++place) add_at(place, first, count);
    if (++chunks_ % kChunksInBuckets == 0) empty();
  }

  const GridSums& sums() {
    empty();
    return sums_;
  }

 private:
  std::uint8_t* block(std::size_t part, std::size_t at) {
    return &blocks_[16 * (part * kChunk + at)];
  }

  void add_at(std::size_t place, std::size_t first, std::size_t count) {
    std::int32_t values[kChunk] = {};
    for (std::size_t part = 0; part < kParts; ++part) {
      const int sign = parts_.has(part, first) ? sign_at(place, part) : 0;
      if (sign == 0) continue;
      const std::int16_t* x = x_ + part * parts_.size + first;
      for (std::size_t i = 0; i < count; ++i) values[i] += sign * x[i];
    }
    for (std::size_t part = 0; part < kParts; ++part) {
      const int sign = parts_.has(part, first) ? sign_at(place, part) : 0;
      if (sign == 0) continue;
      for (std::size_t i = 0; i < count; ++i) {
        buckets_[place].add(block(part, i), sign * values[i]);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      sums_[place].squares += std::int64_t{values[i]} * values[i];
    }
  }

  void empty() {
    for (std::size_t place = 0; place < 9; ++place) buckets_[place].empty_into(sums_[place]);
  }

  PublicStream stream_;
  const std::int16_t* x_;
  const Parts parts_;
  std::vector<std::uint8_t> blocks_;
  std::vector<ByteBuckets> buckets_;
  GridSums sums_ = {};
  std::size_t chunks_ = 0;
};

}  // namespace

GridSums binary_row_grid(const std::uint8_t* seed, const std::int16_t* x, const Parts& parts) {
  GridSums total = {};
  std::mutex mutex;
  const std::size_t chunks = (parts.size + kChunk - 1) / kChunk;
  parallel_for(chunks, 2, [&](std::size_t begin, std::size_t end) {
    Grid grid(seed, x, parts);
    for (std::size_t first = begin * kChunk; first < std::min(end * kChunk, parts.size);
         first += kChunk) {
      // A part may end inside a chunk, though not inside a tile.
      const std::size_t last = std::min(first + kChunk, parts.size);
      const std::size_t end_of_part = (parts.count - 1) % parts.size + 1;
      const std::size_t middle = first < end_of_part && end_of_part < last ? end_of_part : last;
      grid.add(first, middle - first);
      if (middle < last) grid.add(middle, last - middle);
    }
    const std::lock_guard lock(mutex);
    for (std::size_t place = 0; place < 9; ++place) add_into(total[place], grid.sums()[place]);
  });
  return total;
}

RowSums binary_row_sums_naive(const std::uint8_t* seed, std::uint64_t first, const std::int64_t* x,
                              std::size_t count) {
  const PublicStream stream(seed);
  RowSums sums;
  std::uint8_t blocks[16 * kRowTile];
  for (std::size_t i = 0; i < count; ++i) {
    if (i % kRowTile == 0) stream.blocks(blocks, first + i);
    const std::uint8_t* block = blocks + 16 * (i % kRowTile);
    for (std::size_t k = 0; k < kBinaryRows; ++k) {
      sums.rows[k] += (block[k / 8] >> (k % 8) & 1) * x[i];
    }
    sums.squares += x[i] * x[i];
  }
  return sums;
}

}  // namespace zkpfl
