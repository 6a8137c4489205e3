#include "input.h"
#include "zkpfl/fp_roots.h"

// The square roots that decoding points takes together, on any numbers modulo p.

namespace zkpfl::fuzz {

namespace {

// Any number, one of few bits, or the negative of one: -1 has no root.
blst_fp some_number(Reader& in) {
  const std::size_t kind = in.below(3);
  Bytes bytes(48);
  if (kind == 0) bytes = in.take(48);
  if (kind != 0) std::ranges::copy(in.take(2), bytes.end() - 2);
  blst_fp out;
  blst_fp_from_bendian(&out, bytes.data());  // reduces
  blst_fp_cneg(&out, &out, kind == 2);
  return out;
}

bool same(const blst_fp& a, const blst_fp& b) { return std::equal(a.l, a.l + 6, b.l); }

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  choose_path(in);
  std::vector<blst_fp> numbers;
  while (!in.empty() && numbers.size() < 40) numbers.push_back(some_number(in));
  std::vector<blst_fp> roots(numbers.size()), expected(numbers.size());
  zkpfl::candidate_roots(roots.data(), numbers.data(), numbers.size());
  zkpfl::candidate_roots_portable(expected.data(), numbers.data(), numbers.size());
  REQUIRE(std::ranges::equal(roots, expected, same));
  return 0;
}
