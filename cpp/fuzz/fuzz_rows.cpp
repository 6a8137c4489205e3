#include "aes_naive.h"
#include "zkpfl/aes_public.h"
#include "zkpfl/binary_rows.h"
#include "zkpfl/fr_products.h"

// Sums and combinations of binary rows, against bits one by one of AES byte by byte; and unreduced
// products with the registers of the processor, against those without.

namespace zkpfl::fuzz {

namespace {

Bytes blocks_naive(const Bytes& seed, std::uint64_t first, std::size_t count) {
  const Bytes round_keys = expand_key_naive(seed);
  Bytes out;
  for (std::size_t i = 0; i < count; ++i) {
    Block counter{};
    for (int byte = 0; byte < 8; ++byte) {
      counter[15 - byte] = static_cast<std::uint8_t>((first + i) >> (8 * byte));
    }
    const Block block = encrypt_naive(round_keys, counter);
    out.insert(out.end(), block.begin(), block.end());
  }
  return out;
}

bool bit(const Bytes& blocks, std::size_t index, std::size_t row) {
  return blocks[16 * index + row / 8] >> (row % 8) & 1;
}

std::vector<Scalar> some_scalars(Reader& in, std::size_t count) {
  std::vector<Scalar> out(count);
  for (auto& value : out) {
    for (auto& limb : value.limbs) limb = in.byte() & 1 ? ~std::uint64_t{0} : in.u64();
  }
  return out;
}

std::vector<Scalar> canonical(std::vector<Scalar> values) {
  for (auto& value : values) {
    value.limbs[3] &= ~std::uint64_t{0} >> 2;
    if (!is_below_order(value)) value = {};
  }
  return values;
}

void check_stream(const Bytes& seed, std::uint64_t first) {
  const PublicStream stream(seed.data());
  std::uint8_t fast[16 * kRowTile], slow[16 * kRowTile];
  stream.blocks(fast, first);
  stream.blocks_by_tables(slow, first);
  const Bytes expected = blocks_naive(seed, first, kRowTile);
  REQUIRE(std::equal(expected.begin(), expected.end(), fast));
  REQUIRE(std::equal(expected.begin(), expected.end(), slow));
}

void check_combination(const Bytes& seed, const std::vector<Scalar>& weights, std::size_t count) {
  const Bytes blocks = blocks_naive(seed, 0, count);
  std::vector<Scalar> combined(count);
  combine_binary_rows(combined.data(), seed.data(), weights.data(), 0, count);
  for (std::size_t i = 0; i < count; ++i) {
    Scalar sum{};
    for (std::size_t row = 0; row < kBinaryRows; ++row) {
      if (bit(blocks, i, row)) sum = sum + weights[row];
    }
    REQUIRE(sum == combined[i]);
  }
}

void check_grid(const Bytes& seed, const std::vector<std::int16_t>& x) {
  const Bytes blocks = blocks_naive(seed, 0, x.size());
  const std::size_t quarter = 64 << (x.size() > 256) << (x.size() > 512);
  const auto grid = binary_row_grid(seed.data(), x.data(), {x.size(), quarter});
  for (std::size_t row = 0; row < kBinaryRows; ++row) {
    std::int64_t sum = 0, corners = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += bit(blocks, i, row) * x[i];
    for (const std::size_t place : {0, 1, 3, 4}) corners += grid[place].rows[row];
    REQUIRE(sum == corners);
  }
}

void check_products(const std::vector<Scalar>& x, const std::vector<Scalar>& y) {
  WideSum fast = {}, slow = {};
  fastest_multiply_add()(fast, x.data(), y.data(), x.size());
  multiply_add_portable(slow, x.data(), y.data(), x.size());
  REQUIRE(fast == slow);
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  const Bytes seed = in.take(32);
  check_stream(seed, in.u64());
  const std::size_t count = in.below(5);
  std::vector<std::int16_t> x(256 * (1 + in.below(4)));
  for (auto& value : x) {
    value = static_cast<std::int16_t>(in.byte() << 8);
    if (value & 256) value = static_cast<std::int16_t>(value - 1);
  }
  check_grid(seed, x);
  check_products(some_scalars(in, count), some_scalars(in, count));
  check_combination(seed, canonical(some_scalars(in, zkpfl::kBinaryRows)), 1 + in.below(200));
  return 0;
}
