#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "zkpfl/aes_public.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kChunk = 16 * kRowTile;  // indices of a part whose blocks stay in the cache
constexpr std::size_t kChunksInBuckets = 4;    // 2^13 values of 18 bits, which 32 bits can hold
constexpr std::size_t kPlaces = 9, kPlacesOfPart = 4;

static_assert(kRowTile == PublicStream::kBlocksAtOnce);

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

// The places where a part counts: each variable at its own bit or at ∞.
std::array<std::size_t, kPlacesOfPart> places_of(std::size_t part) {
  const std::size_t first = 3 * (part / 2), second = part % 2;
  return {first + second, first + 2, 6 + second, 8};
}

// What a part's entries are multiplied with at its four places.
using Values = std::int32_t __attribute__((vector_size(16)));

// Adds values to every row whose bit is set, by the bytes of a block: bucket b of byte j collects
// what comes with the byte b, and its sum counts for the bits of b.
class ByteBuckets {
 public:
  // Four bytes of all blocks at a time, so that their buckets stay in the nearest cache.
  void add(const std::uint8_t* blocks, const Values* values, std::size_t count) {
    constexpr std::size_t kBytes = 4;
    for (std::size_t first = 0; first < 16; first += kBytes) {
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* block = blocks + 16 * i + first;
#pragma GCC unroll 4
        for (std::size_t j = 0; j < kBytes; ++j) buckets_[first + j][block[j]] += values[i];
      }
    }
  }

  // Adds the sums at place l of the values to sums[l].
  void empty_into(const std::array<RowSums*, kPlacesOfPart>& sums) {
    for (std::size_t j = 0; j < 16; ++j) {
      for (std::size_t l = 0; l < kPlacesOfPart; ++l) {
        std::int64_t bucket[256];
        for (std::size_t i = 0; i < 256; ++i) bucket[i] = buckets_[j][i][l];
        for (std::size_t bit = 8; bit-- > 0;) {
          const std::size_t half = std::size_t{1} << bit;
          for (std::size_t i = 0; i < half; ++i) {
            sums[l]->rows[8 * j + bit] += bucket[half + i];
            bucket[i] += bucket[half + i];
          }
        }
      }
      std::fill_n(buckets_[j], 256, Values{});
    }
  }

 private:
  Values buckets_[16][256] = {};
};

// The grid of one thread.
class Grid {
 public:
  Grid(const std::uint8_t* seed, const std::int16_t* x, const Parts& parts)
      : stream_(seed), x_(x), parts_(parts), buckets_(kParts) {}

  // Indices first … first + count - 1 of every part, up to kChunk of them.
  void add(std::size_t first, std::size_t count) {
    for (std::size_t place = 0; place < kPlaces; ++place) read_place(place, first, count);
    for (std::size_t part = 0; part < kParts; ++part) {
      if (parts_.has(part, first)) add_part(part, first, count);
    }
    if (++chunks_ % kChunksInBuckets == 0) empty();
  }

  const GridSums& sums() {
    empty();
    return sums_;
  }

 private:
  void read_place(std::size_t place, std::size_t first, std::size_t count) {
    std::int32_t* values = x_at_[place];
    std::fill_n(values, count, 0);
    for (std::size_t part = 0; part < kParts; ++part) {
      const int sign = parts_.has(part, first) ? sign_at(place, part) : 0;
      if (sign == 0) continue;
      const std::int16_t* x = x_ + part * parts_.size + first;
      for (std::size_t i = 0; i < count; ++i) values[i] += sign * x[i];
    }
    for (std::size_t i = 0; i < count; ++i) {
      sums_[place].squares += std::int64_t{values[i]} * values[i];
    }
  }

  void add_part(std::size_t part, std::size_t first, std::size_t count) {
    for (std::size_t at = 0; at < count; at += kRowTile) {
      stream_.blocks(blocks_ + 16 * at, part * parts_.size + first + at);
    }
    const auto places = places_of(part);
    for (std::size_t l = 0; l < kPlacesOfPart; ++l) {
      const int sign = sign_at(places[l], part);
      const std::int32_t* values = x_at_[places[l]];
      for (std::size_t i = 0; i < count; ++i) values_[i][l] = sign * values[i];
    }
    buckets_[part].add(blocks_, values_, count);
  }

  void empty() {
    for (std::size_t part = 0; part < kParts; ++part) {
      const auto places = places_of(part);
      std::array<RowSums*, kPlacesOfPart> sums;
      for (std::size_t l = 0; l < kPlacesOfPart; ++l) sums[l] = &sums_[places[l]];
      buckets_[part].empty_into(sums);
    }
  }

  PublicStream stream_;
  const std::int16_t* x_;
  const Parts parts_;
  std::vector<ByteBuckets> buckets_;
  GridSums sums_ = {};
  std::size_t chunks_ = 0;
  std::int32_t x_at_[kPlaces][kChunk];
  Values values_[kChunk];
  std::uint8_t blocks_[16 * kChunk];
};

}  // namespace

GridSums binary_row_grid(const std::uint8_t* seed, const std::int16_t* x, const Parts& parts) {
  GridSums total = {};
  std::mutex mutex;
  const std::size_t chunks = (parts.size + kChunk - 1) / kChunk;
  parallel_for(chunks, 2, [&](std::size_t begin, std::size_t end) {
    const auto grid = std::make_unique<Grid>(seed, x, parts);
    for (std::size_t first = begin * kChunk; first < std::min(end * kChunk, parts.size);
         first += kChunk) {
      // A part may end inside a chunk, though not inside a tile.
      const std::size_t last = std::min(first + kChunk, parts.size);
      const std::size_t end_of_part = (parts.count - 1) % parts.size + 1;
      const std::size_t middle = first < end_of_part && end_of_part < last ? end_of_part : last;
      grid->add(first, middle - first);
      if (middle < last) grid->add(middle, last - middle);
    }
    const std::lock_guard lock(mutex);
    const GridSums& sums = grid->sums();
    for (std::size_t place = 0; place < kPlaces; ++place) add_into(total[place], sums[place]);
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
