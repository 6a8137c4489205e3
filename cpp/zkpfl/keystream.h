#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/fr.h"

namespace zkpfl {

// Rows 0, 1, … of `width` uniform scalars, row p from stream(key, p) (docs/spec.md §2, §5): AES-256
// in counter mode cut into pieces of 32 bytes, the top bit cleared, kept if below r. The key has 32
// bytes. On all threads. Time depends on which pieces are rejected, which says nothing about those
// that are kept. Returns false and does nothing where the processor has no instructions for AES:
// tables in memory would leak the key, so that the caller must ask a library then.
bool expand_seed(Scalar* out, const std::uint8_t* key, std::size_t rows, std::size_t width);

// For has_aes() only: the round keys of AES-256, and 64 pieces of a stream from a block on.
constexpr std::size_t kRoundKeyBytes = 15 * 16;
constexpr std::size_t kPiecesAtOnce = 64;
void expand_key_aes(std::uint8_t* round_keys, const std::uint8_t* key);
void stream_pieces_aes(std::uint8_t* pieces, const std::uint8_t* round_keys, std::uint64_t number,
                       std::uint64_t first_block);

}  // namespace zkpfl
