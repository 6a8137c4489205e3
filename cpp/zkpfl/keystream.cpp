#include "zkpfl/keystream.h"

#include "zkpfl/cpu.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

#if defined(__x86_64__)

namespace {

void fill_row(Scalar* out, std::size_t width, const std::uint8_t* round_keys, std::uint64_t row) {
  std::uint8_t pieces[32 * kPiecesAtOnce];
  std::size_t filled = 0;
  for (std::uint64_t block = 0; filled < width; block += 2 * kPiecesAtOnce) {
    stream_pieces_aes(pieces, round_keys, row, block);
    filled += accept_scalars(out + filled, width - filled, pieces, kPiecesAtOnce);
  }
}

}  // namespace

bool expand_seed(Scalar* out, const std::uint8_t* key, std::size_t rows, std::size_t width) {
  if (!has_aes()) return false;
  std::uint8_t round_keys[kRoundKeyBytes];
  expand_key_aes(round_keys, key);
  parallel_for(rows, 2, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
      fill_row(out + width * row, width, round_keys, row);
    }
  });
  return true;
}

#else

bool expand_seed(Scalar*, const std::uint8_t*, std::size_t, std::size_t) { return false; }

#endif

}  // namespace zkpfl
