#include <algorithm>
#include <bit>
#include <mutex>

#include "zkpfl/aes_public.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kGrain = 128 * kRowTile;
constexpr std::size_t kTilesInBuckets = 128;  // 2^14 values of 17 bits, which 32 bits can hold

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

// Calls visit(buckets, sums, first) for tiles of [0, count), on all threads, and adds up.
template <typename Visit>
RowSums over_tiles(std::size_t count, const Visit& visit) {
  RowSums total;
  std::mutex mutex;
  const std::size_t tiles = (count + kRowTile - 1) / kRowTile;
  parallel_for(tiles, kGrain / kRowTile, [&](std::size_t begin, std::size_t end) {
    RowSums sums;
    ByteBuckets buckets;
    for (std::size_t tile = begin; tile < end; ++tile) {
      visit(buckets, sums, tile * kRowTile);
      if ((tile - begin) % kTilesInBuckets == kTilesInBuckets - 1) buckets.empty_into(sums);
    }
    buckets.empty_into(sums);
    const std::lock_guard lock(mutex);
    add_into(total, sums);
  });
  return total;
}

}  // namespace

RowSums binary_row_sums(const std::uint8_t* seed, std::uint64_t first, const std::int16_t* x,
                        std::size_t count) {
  const PublicStream stream(seed);
  return over_tiles(count, [&](ByteBuckets& buckets, RowSums& sums, std::size_t begin) {
    std::uint8_t blocks[16 * kRowTile];
    stream.blocks(blocks, first + begin);
    const std::size_t size = std::min(kRowTile, count - begin);
    for (std::size_t i = 0; i < size; ++i) {
      const std::int32_t value = x[begin + i];
      buckets.add(blocks + 16 * i, value);
      sums.squares += std::int64_t{value} * value;
    }
  });
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

RowSums binary_row_differences(const std::uint8_t* seed, const std::int16_t* x, std::size_t count,
                               std::size_t half) {
  const PublicStream stream(seed);
  return over_tiles(half, [&](ByteBuckets& buckets, RowSums& sums, std::size_t begin) {
    std::uint8_t low[16 * kRowTile], high[16 * kRowTile];
    const bool both = half + begin < count;
    stream.blocks(low, begin);
    if (both) stream.blocks(high, half + begin);
    for (std::size_t i = 0; i < kRowTile; ++i) {
      const std::int32_t upper = both ? x[half + begin + i] : 0;
      const std::int32_t difference = upper - x[begin + i];
      buckets.add(low + 16 * i, -difference);
      if (both) buckets.add(high + 16 * i, difference);
      sums.squares += std::int64_t{difference} * difference;
    }
  });
}

}  // namespace zkpfl
