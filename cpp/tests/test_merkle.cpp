#include <algorithm>
#include <string_view>

#include "check.h"
#include "zkpfl/errors.h"
#include "zkpfl/keccak_many.h"
#include "zkpfl/merkle.h"
#include "zkpfl/parallel.h"

namespace zkpfl::tests {

namespace {

Bytes bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string hex(const Digest& digest) {
  std::string out;
  for (const auto byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace

TEST(keccak_gives_the_known_digests) {
  CHECK(hex(keccak256({})) == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
  CHECK(hex(keccak256({bytes("a"), bytes("bc")})) ==
        "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}

TEST(keccak_does_not_depend_on_how_the_text_is_cut) {
  std::mt19937_64 rng(1);
  for (const std::size_t length : {1, 135, 136, 137, 272, 1000}) {
    const auto text = random_bytes(rng, length);
    const Bytes all(text);
    CHECK(keccak256({all}) == keccak256({all.first(length / 3), all.subspan(length / 3)}));
  }
}

TEST(many_messages_hash_as_one_by_one) {
  std::mt19937_64 rng(2);
  std::vector<std::vector<std::uint8_t>> bodies;
  for (const std::size_t length : {0, 1, 126, 127, 128, 135, 136, 137, 263, 264, 1000}) {
    for (int repeat = 0; repeat < 6; ++repeat) bodies.push_back(random_bytes(rng, length));
  }
  std::shuffle(bodies.begin(), bodies.end(), rng);
  for (const std::size_t prefix_length : {0, 1, 9}) {
    std::vector<Message> messages;
    for (const auto& body : bodies) messages.push_back({{9, 8, 7}, prefix_length, body});
    std::vector<Digest> expected;
    for (const Message& message : messages) {
      expected.push_back(keccak256({Bytes(message.prefix).first(prefix_length), message.body}));
    }
    on_both_paths([&] { CHECK(keccak256_many(messages) == expected); });
  }
  CHECK(keccak256_many({}).empty());
}

TEST(every_leaf_has_a_proof_and_no_other_place_accepts_it) {
  for (std::size_t count = 1; count <= 17; ++count) {
    std::vector<std::uint8_t> data(count);
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < count; ++i)
      data[i] = static_cast<std::uint8_t>(i), ends.push_back(i + 1);
    const auto leaves = merkle_leaves(data, ends);
    const Digest root = merkle_root(leaves);
    for (std::size_t i = 0; i < count; ++i) {
      auto proof = merkle_proof(leaves, i);
      CHECK(merkle_root_from_proof(count, i, leaves[i], proof) == root);
      CHECK(merkle_root_from_proof(count, i, merkle_leaf(i + 1, Bytes(data).subspan(i, 1)),
                                   proof) != root);
      proof.push_back(root);
      CHECK(throws<InvalidEncoding>([&] { merkle_root_from_proof(count, i, leaves[i], proof); }));
    }
  }
}

TEST(a_proof_has_the_length_for_its_place_whatever_the_count) {
  const std::size_t most = ~std::size_t{0};
  CHECK(throws<InvalidEncoding>([&] { merkle_root_from_proof(most, 0, {}, {Digest{}}); }));
  merkle_root_from_proof(most, 0, {}, std::vector<Digest>(64));
}

TEST(parallel_for_covers_every_item_once_and_passes_failures_on) {
  std::vector<int> visits(1000, 0);
  parallel_for(visits.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++visits[i];
  });
  CHECK(visits == std::vector<int>(1000, 1));
  CHECK(throws<InvalidScalar>([] {
    parallel_for(8, 1, [](std::size_t begin, std::size_t) { throw InvalidScalar(begin); });
  }));
}

}  // namespace zkpfl::tests
