#include "input.h"
#include "zkpfl/errors.h"
#include "zkpfl/merkle.h"

// Trees of any leaves, against docs/spec.md §2 written as a recursion, and proofs of any shape.

namespace zkpfl::fuzz {

namespace {

Bytes text(const Digest& digest) { return {digest.begin(), digest.end()}; }

Digest hash(const Bytes& bytes) { return keccak256({std::span(bytes)}); }

Bytes u64be(std::uint64_t value) {
  Bytes out(8);
  for (int i = 7; i >= 0; --i, value >>= 8) out[i] = static_cast<std::uint8_t>(value);
  return out;
}

// The largest power of two below the count is on the left.
Digest top_naive(std::span<const Digest> leaves) {
  if (leaves.size() == 1) return leaves[0];
  std::size_t left = 1;
  while (2 * left < leaves.size()) left *= 2;
  return hash(
      joined({{1}, text(top_naive(leaves.first(left))), text(top_naive(leaves.subspan(left)))}));
}

Digest root_naive(const std::vector<Digest>& leaves) {
  return hash(joined({{2}, u64be(leaves.size()), text(top_naive(leaves))}));
}

// Levels on which the leaf has a sibling.
std::size_t proof_length(std::uint64_t count, std::uint64_t index) {
  std::size_t length = 0;
  for (std::uint64_t last = count - 1; last > 0; last /= 2, index /= 2) {
    length += (index ^ 1) <= last;
  }
  return length;
}

void check_tree(Reader& in) {
  choose_path(in);
  std::vector<std::size_t> ends;
  for (std::size_t count = 1 + in.below(40); count > 0; --count) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + in.byte());
  }
  const std::size_t index = in.below(ends.size()), other = in.below(ends.size());
  const Bytes data = in.take(ends.back());
  const auto leaves = merkle_leaves(data, ends);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const std::size_t start = i == 0 ? 0 : ends[i - 1];
    const Bytes leaf = slice(data, start, ends[i] - start);
    REQUIRE(leaves[i] == hash(joined({{0}, u64be(i), leaf})));
  }
  const Digest root = merkle_root(leaves);
  REQUIRE(root == root_naive(leaves));
  auto proof = merkle_proof(leaves, index);
  REQUIRE(proof.size() == proof_length(ends.size(), index));
  REQUIRE(merkle_root_from_proof(ends.size(), index, leaves[index], proof) == root);
  if (other != index) {  // no leaf stands at the place of another
    REQUIRE(merkle_root_from_proof(ends.size(), index, leaves[other], proof) != root);
  }
}

// Counts and siblings as a peer might claim them.
void check_proof(Reader& in) {
  const std::uint64_t count = std::max<std::uint64_t>(1, in.u64() >> in.below(64));
  const std::uint64_t index = in.u64() % count;
  const std::size_t length = in.below(70);
  std::vector<Digest> proof(length);
  for (auto& sibling : proof) sibling.fill(in.byte());
  const bool refused =
      refuses<InvalidEncoding>([&] { merkle_root_from_proof(count, index, Digest{}, proof); });
  REQUIRE(refused == (length != proof_length(count, index)));
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  if (in.byte() & 1) {
    check_proof(in);
  } else {
    check_tree(in);
  }
  return 0;
}
