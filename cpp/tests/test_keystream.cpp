#include "check.h"
#include "zkpfl/cpu.h"
#include "zkpfl/keystream.h"

namespace zkpfl::tests {

#if defined(__x86_64__)

TEST(aes_256_gives_the_block_of_fips_197) {
  if (!has_aes()) return;
  std::uint8_t key[32], round_keys[kRoundKeyBytes], pieces[32 * kPiecesAtOnce];
  for (std::uint8_t i = 0; i < 32; ++i) key[i] = i;
  expand_key_aes(round_keys, key);
  // Appendix C.3: the text 00112233…ff is the counter block.
  stream_pieces_aes(pieces, round_keys, 0x0011223344556677, 0x8899aabbccddeeff);
  const std::vector<std::uint8_t> expected = {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                              0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89};
  CHECK(std::vector<std::uint8_t>(pieces, pieces + 16) == expected);
}

TEST(a_stream_goes_on_where_the_last_pieces_ended) {
  if (!has_aes()) return;
  std::mt19937_64 rng(1);
  std::uint8_t round_keys[kRoundKeyBytes], first[32 * kPiecesAtOnce], later[32 * kPiecesAtOnce];
  expand_key_aes(round_keys, random_bytes(rng, 32).data());
  stream_pieces_aes(first, round_keys, 7, 0);
  stream_pieces_aes(later, round_keys, 7, 20);
  CHECK(std::equal(first + 320, first + sizeof first, later));
}

#endif

TEST(rows_of_a_seed_do_not_depend_on_their_number) {
  std::mt19937_64 rng(2);
  const auto key = random_bytes(rng, 32);
  std::vector<Scalar> few(2 * 130), many(9 * 130);
  if (!expand_seed(few.data(), key.data(), 2, 130)) return;
  expand_seed(many.data(), key.data(), 9, 130);
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
  CHECK(!std::equal(few.begin(), few.begin() + 130, few.begin() + 130));
}

}  // namespace zkpfl::tests
