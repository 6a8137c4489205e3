#include "zkpfl/keccak_many.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "zkpfl/cpu.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kRate = 136;
constexpr std::size_t kGrain = 32;  // messages below which a thread costs more than it saves

using Four = std::array<const Message*, 4>;

std::size_t length(const Message& message) { return message.prefix_length + message.body.size(); }

// Block `index` of the padded message: in place where it lies inside the body, else in `scratch`.
const std::uint8_t* block(const Message& message, std::size_t index, std::uint8_t* scratch) {
  const std::size_t start = kRate * index, end = start + kRate, total = length(message);
  if (start >= message.prefix_length && end <= total) {
    return message.body.data() + (start - message.prefix_length);
  }
  std::memset(scratch, 0, kRate);
  for (std::size_t i = start; i < std::min(end, total); ++i) {
    scratch[i - start] =
        i < message.prefix_length ? message.prefix[i] : message.body[i - message.prefix_length];
  }
  if (total < end) {
    scratch[total - start] = 0x01;
    scratch[kRate - 1] |= 0x80;
  }
  return scratch;
}

void absorb_lanes(std::uint64_t* states, std::size_t k, const std::uint8_t* block) {
  for (std::size_t i = 0; i < kRate / 8; ++i) {
    std::uint64_t lane;
    std::memcpy(&lane, block + 8 * i, 8);
    states[4 * i + k] ^= lane;
  }
}

// Four messages of the same length.
std::array<Digest, 4> hash_four(const Four& messages) {
  alignas(32) std::uint64_t states[100] = {};
  const std::size_t blocks = length(*messages[0]) / kRate + 1;
  for (std::size_t index = 0; index < blocks; ++index) {
    std::uint8_t scratch[kRate];
    for (std::size_t k = 0; k < 4; ++k)
      absorb_lanes(states, k, block(*messages[k], index, scratch));
    keccak_permute_four_avx2(states);
  }
  std::array<Digest, 4> digests;
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::size_t i = 0; i < 4; ++i) {
      std::memcpy(digests[k].data() + 8 * i, &states[4 * i + k], 8);
    }
  }
  return digests;
}

Digest hash_one(const Message& message) {
  return keccak256({Bytes(message.prefix).first(message.prefix_length), message.body});
}

// Messages begin to end - 1, those of the same length side by side.
void hash_range(std::vector<Digest>& out, const std::vector<Message>& messages, std::size_t begin,
                std::size_t end) {
  std::vector<std::size_t> order(end - begin);
  std::iota(order.begin(), order.end(), begin);
  const auto of = [&](std::size_t place) -> const Message& { return messages[order[place]]; };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return length(messages[a]) < length(messages[b]);
  });
  for (std::size_t i = 0; i < order.size();) {
    if (i + 3 < order.size() && length(of(i)) == length(of(i + 3))) {
      const auto digests = hash_four({&of(i), &of(i + 1), &of(i + 2), &of(i + 3)});
      for (const Digest& digest : digests) out[order[i++]] = digest;
    } else {
      out[order[i]] = hash_one(of(i));
      ++i;
    }
  }
}

}  // namespace

std::vector<Digest> keccak256_many(const std::vector<Message>& messages) {
  std::vector<Digest> out(messages.size());
  const bool four_at_a_time = has_avx2();
  parallel_for(messages.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    if (four_at_a_time) return hash_range(out, messages, begin, end);
    for (std::size_t i = begin; i < end; ++i) out[i] = hash_one(messages[i]);
  });
  return out;
}

}  // namespace zkpfl
