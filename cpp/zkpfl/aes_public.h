#pragma once

#include <cstddef>
#include <cstdint>

#include "zkpfl/keystream.h"

namespace zkpfl {

// stream(key, 0) of docs/spec.md §2 for a key that everybody knows, in any order and on every
// processor: with its instructions for AES where it has them, else by tables, whose memory access
// shows key and text.
class PublicStream {
 public:
  static constexpr std::size_t kBlock = 16;
  static constexpr std::size_t kBlocksAtOnce = 2 * kPiecesAtOnce;

  // The key has 32 bytes.
  explicit PublicStream(const std::uint8_t* key);

  // kBlocksAtOnce blocks of 16 bytes, from a block on.
  void blocks(std::uint8_t* out, std::uint64_t first) const;
  void blocks_by_tables(std::uint8_t* out, std::uint64_t first) const;

 private:
  alignas(16) std::uint8_t round_keys_[kRoundKeyBytes];
  bool instructions_;
};

}  // namespace zkpfl
