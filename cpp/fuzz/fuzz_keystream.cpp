#include "aes_naive.h"
#include "zkpfl/cpu.h"
#include "zkpfl/fr.h"
#include "zkpfl/keystream.h"

// expand_seed with the instructions of the processor, against AES byte by byte.

namespace zkpfl::fuzz {

namespace {

Block counter(std::uint64_t number, std::uint64_t block) {
  Block out;
  for (int i = 7; i >= 0; --i, number >>= 8, block >>= 8) {
    out[i] = static_cast<std::uint8_t>(number), out[8 + i] = static_cast<std::uint8_t>(block);
  }
  return out;
}

// Pieces of 32 bytes of stream(key, number), from a block of 16 bytes on.
Bytes pieces_naive(const Bytes& round_keys, std::uint64_t number, std::uint64_t block,
                   std::size_t pieces) {
  Bytes out;
  for (std::size_t i = 0; i < 2 * pieces; ++i) {
    const Block text = encrypt_naive(round_keys, counter(number, block + i));
    out.insert(out.end(), text.begin(), text.end());
  }
  return out;
}

std::vector<Scalar> row_naive(const Bytes& round_keys, std::uint64_t row, std::size_t width) {
  std::vector<Scalar> out(width);
  std::size_t filled = 0;
  for (std::uint64_t block = 0; filled < width; block += 2) {
    const Bytes piece = pieces_naive(round_keys, row, block, 1);
    filled += accept_scalars(out.data() + filled, width - filled, piece.data(), 1);
  }
  return out;
}

void check_rows(const Bytes& key, const Bytes& round_keys, std::size_t rows, std::size_t width) {
  std::vector<Scalar> out(rows * width);
  REQUIRE(expand_seed(out.data(), key.data(), rows, width));
  for (std::size_t row = 0; row < rows; ++row) {
    const auto expected = row_naive(round_keys, row, width);
    REQUIRE(std::equal(expected.begin(), expected.end(), out.begin() + row * width));
  }
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  if (!zkpfl::has_aes()) return 0;
  Reader in(data, size);
  const Bytes key = in.take(32), expected_keys = expand_key_naive(key);
  Bytes round_keys(zkpfl::kRoundKeyBytes);
  zkpfl::expand_key_aes(round_keys.data(), key.data());
  REQUIRE(round_keys == expected_keys);
  const std::size_t rows = in.below(3), width = in.below(80);
  check_rows(key, round_keys, rows, width);
  const std::uint64_t number = in.u64(), block = in.u64();
  Bytes pieces(32 * zkpfl::kPiecesAtOnce);
  zkpfl::stream_pieces_aes(pieces.data(), round_keys.data(), number, block);
  REQUIRE(pieces == pieces_naive(expected_keys, number, block, zkpfl::kPiecesAtOnce));
  return 0;
}
