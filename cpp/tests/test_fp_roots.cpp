#include "check.h"
#include "zkpfl/bytes.h"
#include "zkpfl/cpu.h"
#include "zkpfl/fp_roots.h"
#include "zkpfl/msm.h"

namespace zkpfl::tests {

namespace {

using Roots = void (*)(blst_fp*, const blst_fp*, std::size_t);

std::vector<blst_fp> random_numbers(std::mt19937_64& rng, std::size_t count) {
  std::vector<blst_fp> out(count);
  for (blst_fp& number : out) blst_fp_from_bendian(&number, random_bytes(rng, 48).data());
  return out;
}

bool same(const blst_fp& a, const blst_fp& b) { return std::equal(a.l, a.l + 6, b.l); }

// Squares have one of their two roots; what has none gives a root of its negative.
void roots_are_right(Roots roots) {
  std::mt19937_64 rng(31);
  for (const std::size_t count : {0, 1, 7, 8, 9, 15, 16, 17, 33}) {
    auto numbers = random_numbers(rng, count);
    if (count > 2) numbers[0] = blst_fp{}, numbers[1] = blst_p1_generator()->z;
    std::vector<blst_fp> out(count), expected(count);
    roots(out.data(), numbers.data(), count);
    candidate_roots_portable(expected.data(), numbers.data(), count);
    for (std::size_t i = 0; i < count; ++i) CHECK(same(out[i], expected[i]));
  }
}

std::vector<std::uint8_t> some_wire(std::size_t count) {
  std::vector<std::vector<std::uint8_t>> messages;
  for (std::size_t i = 0; i < count; ++i) messages.push_back({'d', static_cast<std::uint8_t>(i)});
  G1Points points = hash_to_g1(messages, {'T', 'E', 'S', 'T'});
  for (std::size_t i = 1; i < count; i += 2) points[i] = negated(points[i]);
  points[5] = points[70] = blst_p1_affine{};
  std::vector<std::uint8_t> wire(48 * count);
  encode_points(wire.data(), points);
  return wire;
}

}  // namespace

TEST(avx2_takes_the_roots_that_blst_takes) {
  if (has_avx2()) roots_are_right(candidate_roots_avx2);
}

TEST(avx512_takes_the_roots_that_blst_takes) {
  if (has_avx512_ifma()) roots_are_right(candidate_roots_avx512);
}

TEST(many_points_decode_as_one_by_one) {
  const auto wire = some_wire(300);
  const G1Points points = decode_points(wire.data(), 300);
  for (std::size_t i = 0; i < 300; ++i) {
    CHECK(same_points({points[i]}, decode_points(wire.data() + 48 * i, 1)));
  }
}

TEST(a_bad_point_among_many_is_named) {
  const auto good = some_wire(300);
  const std::vector<std::uint8_t> prime({0x9a, 0x01, 0x11, 0xea, 0x39, 0x7f, 0xe6, 0x9a, 0x4b, 0x1b,
                                         0xa7, 0xb6, 0x43, 0x4b, 0xac, 0xd7, 0x64, 0x77, 0x4b, 0x84,
                                         0xf3, 0x85, 0x12, 0xbf, 0x67, 0x30, 0xd2, 0xa0, 0xf6, 0xb0,
                                         0xf6, 0x24, 0x1e, 0xab, 0xff, 0xfe, 0xb1, 0x53, 0xff, 0xff,
                                         0xb9, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xaa, 0xab});
  std::vector<std::vector<std::uint8_t>> bad(5, std::vector<std::uint8_t>(48));
  bad[0] = prime;                    // zero, not canonical
  bad[1][0] = 0xe0;                  // infinity with a sign
  bad[2][0] = 0xc0, bad[2][47] = 1;  // infinity with an x
  bad[3][0] = 0x1a;                  // not compressed
  bad[4][0] = 0x80;                  // (0, 2), of order three
  for (const auto& point : bad) {
    for (const std::size_t at : {0, 63, 64, 299}) {
      auto wire = good;
      std::copy(point.begin(), point.end(), wire.begin() + static_cast<std::ptrdiff_t>(48 * at));
      std::string text;
      try {
        decode_points(wire.data(), 300);
      } catch (const InvalidPoint& error) {
        text = error.what();
      }
      CHECK(text.starts_with("point " + std::to_string(at) + " "));
    }
  }
}

}  // namespace zkpfl::tests
