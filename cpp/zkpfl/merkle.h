#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace zkpfl {

using Digest = std::array<std::uint8_t, 32>;
using Bytes = std::span<const std::uint8_t>;

// Keccak-256 as Ethereum uses it (padding 0x01, not SHA-3's 0x06) of the parts in a row.
Digest keccak256(std::initializer_list<Bytes> parts);

// Leaf of docs/spec.md §2: keccak(0x00 | u64be(index) | leaf).
Digest merkle_leaf(std::size_t index, Bytes leaf);

// Leaf i ends at ends[i] in `data`.
std::vector<Digest> merkle_leaves(Bytes data, const std::vector<std::size_t>& ends);

// Root over leaf hashes; at least one.
Digest merkle_root(const std::vector<Digest>& leaves);

// Siblings from leaf to top, none on levels where the node moves up unpaired.
std::vector<Digest> merkle_proof(const std::vector<Digest>& leaves, std::size_t index);

// Root that a proof yields for a leaf hash. Throws InvalidEncoding if the proof has the wrong
// number of siblings for the place.
Digest merkle_root_from_proof(std::size_t count, std::size_t index, const Digest& leaf,
                              const std::vector<Digest>& proof);

}  // namespace zkpfl
