// AES-256 by the processor's own instructions, which take the same time for every key and text.

#include "zkpfl/keystream.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define ZKPFL_AES __attribute__((target("aes,avx2")))

namespace zkpfl {

namespace {

constexpr int kRounds = 14;
constexpr std::size_t kBlocksAtOnce = 8;  // hides the latency of a round

// FIPS 197 §5.2, four words at a time: each is the sum of all words of the key before it up to its
// own place, and of the substituted word that came last.
ZKPFL_AES __m128i next_round_key(__m128i before, __m128i substituted) {
  before = _mm_xor_si128(before, _mm_slli_si128(before, 4));
  before = _mm_xor_si128(before, _mm_slli_si128(before, 8));
  return _mm_xor_si128(before, substituted);
}

template <int kConstant>
ZKPFL_AES void next_pair(__m128i* keys) {
  const __m128i turned = _mm_aeskeygenassist_si128(keys[1], kConstant);
  keys[2] = next_round_key(keys[0], _mm_shuffle_epi32(turned, 0xff));
  const __m128i plain = _mm_aeskeygenassist_si128(keys[2], 0);
  keys[3] = next_round_key(keys[1], _mm_shuffle_epi32(plain, 0xaa));
}

}  // namespace

ZKPFL_AES void expand_key_aes(std::uint8_t* round_keys, const std::uint8_t* key) {
  __m128i keys[16];  // the last is made and not used
  const auto* halves = reinterpret_cast<const __m128i*>(key);
  keys[0] = _mm_loadu_si128(halves);
  keys[1] = _mm_loadu_si128(halves + 1);
  next_pair<0x01>(keys), next_pair<0x02>(keys + 2), next_pair<0x04>(keys + 4);
  next_pair<0x08>(keys + 6), next_pair<0x10>(keys + 8), next_pair<0x20>(keys + 10);
  next_pair<0x40>(keys + 12);
  auto* out = reinterpret_cast<__m128i*>(round_keys);
  for (int i = 0; i <= kRounds; ++i) _mm_storeu_si128(out + i, keys[i]);
}

ZKPFL_AES void stream_pieces_aes(std::uint8_t* pieces, const std::uint8_t* round_keys,
                                 std::uint64_t number, std::uint64_t first_block) {
  __m128i keys[kRounds + 1];
  for (int i = 0; i <= kRounds; ++i) {
    keys[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(round_keys) + i);
  }
  auto* out = reinterpret_cast<__m128i*>(pieces);
  const auto big_endian = [](std::uint64_t x) {
    return static_cast<long long>(__builtin_bswap64(x));
  };
  for (std::size_t begin = 0; begin < 2 * kPiecesAtOnce; begin += kBlocksAtOnce) {
    __m128i blocks[kBlocksAtOnce];
    for (std::size_t b = 0; b < kBlocksAtOnce; ++b) {
      const __m128i counter =
          _mm_set_epi64x(big_endian(first_block + begin + b), big_endian(number));
      blocks[b] = _mm_xor_si128(counter, keys[0]);
    }
    for (int round = 1; round < kRounds; ++round) {
      for (__m128i& block : blocks) block = _mm_aesenc_si128(block, keys[round]);
    }
    for (std::size_t b = 0; b < kBlocksAtOnce; ++b) {
      _mm_storeu_si128(out + begin + b, _mm_aesenclast_si128(blocks[b], keys[kRounds]));
    }
  }
}

}  // namespace zkpfl

#endif
