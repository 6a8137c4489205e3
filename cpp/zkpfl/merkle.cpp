#include "zkpfl/merkle.h"

#include <algorithm>

#include "zkpfl/errors.h"
#include "zkpfl/keccak_many.h"

namespace zkpfl {

namespace {

constexpr std::uint8_t kLeaf[] = {0x00};
constexpr std::uint8_t kNode[] = {0x01};
constexpr std::uint8_t kRoot[] = {0x02};

std::array<std::uint8_t, 8> u64be(std::uint64_t value) {
  std::array<std::uint8_t, 8> out;
  for (int i = 7; i >= 0; --i, value >>= 8) out[i] = static_cast<std::uint8_t>(value);
  return out;
}

Digest node(const Digest& left, const Digest& right) { return keccak256({kNode, left, right}); }

std::vector<Digest> next_level(const std::vector<Digest>& level) {
  std::vector<Message> pairs;
  for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
    pairs.push_back({{kNode[0]}, 1, {level[i].data(), 2 * sizeof(Digest)}});
  }
  std::vector<Digest> next = keccak256_many(pairs);
  if (level.size() % 2 == 1) next.push_back(level.back());
  return next;
}

Message leaf_message(std::size_t index, Bytes leaf) {
  Message message = {{kLeaf[0]}, 9, leaf};
  const auto number = u64be(index);
  std::copy(number.begin(), number.end(), message.prefix.begin() + 1);
  return message;
}

Digest bind_count(std::size_t count, const Digest& top) {
  return keccak256({kRoot, u64be(count), top});
}

}  // namespace

Digest merkle_leaf(std::size_t index, Bytes leaf) { return keccak256({kLeaf, u64be(index), leaf}); }

std::vector<Digest> merkle_leaves(Bytes data, const std::vector<std::size_t>& ends) {
  std::vector<Message> leaves;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const std::size_t start = i == 0 ? 0 : ends[i - 1];
    leaves.push_back(leaf_message(i, data.subspan(start, ends[i] - start)));
  }
  return keccak256_many(leaves);
}

Digest merkle_root(const std::vector<Digest>& leaves) {
  std::vector<Digest> level = leaves;
  while (level.size() > 1) level = next_level(level);
  return bind_count(leaves.size(), level.at(0));
}

std::vector<Digest> merkle_proof(const std::vector<Digest>& leaves, std::size_t index) {
  std::vector<Digest> proof;
  for (std::vector<Digest> level = leaves; level.size() > 1; level = next_level(level)) {
    const std::size_t sibling = index ^ 1;
    if (sibling < level.size()) proof.push_back(level[sibling]);
    index /= 2;
  }
  return proof;
}

Digest merkle_root_from_proof(std::size_t count, std::size_t index, const Digest& leaf,
                              const std::vector<Digest>& proof) {
  Digest top = leaf;
  std::size_t used = 0;
  for (std::size_t width = count; width > 1; width = width / 2 + width % 2, index /= 2) {
    if ((index ^ 1) >= width) continue;
    if (used == proof.size()) throw InvalidEncoding("the Merkle proof has too few siblings");
    const Digest& sibling = proof[used++];
    top = index % 2 == 0 ? node(top, sibling) : node(sibling, top);
  }
  if (used != proof.size()) throw InvalidEncoding("the Merkle proof has too many siblings");
  return bind_count(count, top);
}

}  // namespace zkpfl
