#include "zkpfl/keccak_many.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "zkpfl/cpu.h"
#include "zkpfl/parallel.h"

namespace zkpfl {

namespace {

constexpr std::size_t kGrain = 32;  // messages below which a thread costs more than it saves

using Absorb = void (*)(std::uint64_t* states, const std::uint8_t* const* blocks);

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

// Messages of the same length: messages[order[0]], …
template <std::size_t kStates>
void hash_together(std::vector<Digest>& out, const std::vector<Message>& messages,
                   const std::size_t* order, Absorb absorb) {
  alignas(64) std::uint64_t states[25 * kStates] = {};
  const std::size_t blocks = length(messages[order[0]]) / kRate + 1;
  for (std::size_t index = 0; index < blocks; ++index) {
    std::uint8_t scratch[kStates][kRate];
    const std::uint8_t* blocks[kStates];
    for (std::size_t k = 0; k < kStates; ++k) {
      blocks[k] = block(messages[order[k]], index, scratch[k]);
    }
    absorb(states, blocks);
  }
  for (std::size_t k = 0; k < kStates; ++k) {
    for (std::size_t i = 0; i < 4; ++i) {
      std::memcpy(out[order[k]].data() + 8 * i, &states[kStates * i + k], 8);
    }
  }
}

Digest hash_one(const Message& message) {
  return keccak256({Bytes(message.prefix).first(message.prefix_length), message.body});
}

// Messages begin to end - 1, those of the same length side by side.
void hash_range(std::vector<Digest>& out, const std::vector<Message>& messages, std::size_t begin,
                std::size_t end) {
  std::vector<std::size_t> order(end - begin);
  std::iota(order.begin(), order.end(), begin);
  const auto length_at = [&](std::size_t place) { return length(messages[order[place]]); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return length(messages[a]) < length(messages[b]);
  });
  const bool eight_at_a_time = has_avx512_ifma();
  for (std::size_t i = 0; i < order.size();) {
    const auto equal = [&](std::size_t count) {
      return i + count <= order.size() && length_at(i) == length_at(i + count - 1);
    };
    if (eight_at_a_time && equal(8)) {
      hash_together<8>(out, messages, &order[i], keccak_absorb_eight_avx512);
      i += 8;
    } else if (equal(4)) {
      hash_together<4>(out, messages, &order[i], keccak_absorb_four_avx2);
      i += 4;
    } else {
      out[order[i]] = hash_one(messages[order[i]]);
      ++i;
    }
  }
}

}  // namespace

std::vector<Digest> keccak256_many(const std::vector<Message>& messages) {
  std::vector<Digest> out(messages.size());
  const bool side_by_side = has_avx2();
  parallel_for(messages.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    if (side_by_side) return hash_range(out, messages, begin, end);
    for (std::size_t i = begin; i < end; ++i) out[i] = hash_one(messages[i]);
  });
  return out;
}

}  // namespace zkpfl
