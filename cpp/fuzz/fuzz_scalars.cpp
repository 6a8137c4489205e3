#include "input.h"
#include "zkpfl/bytes.h"
#include "zkpfl/errors.h"
#include "zkpfl/fr.h"

// decode_scalars, encode_scalars and accept_scalars, against comparisons of bytes.

namespace zkpfl::fuzz {

namespace {

bool is_canonical(const Bytes& scalar) {
  Bytes order(32);
  store_bendian(order.data(), Scalar{kOrder});
  return scalar < order;
}

// One byte a scalar chooses how it is made: near r, where mistakes are, or any bytes.
Bytes some_scalar(Reader& in) {
  const std::size_t kind = in.below(3);
  if (kind == 0) return in.take(32);
  Bytes out(32);
  store_bendian(out.data(), Scalar{kOrder});
  if (kind == 1) damage(out, in);
  if (kind == 2) out[31] = in.byte();  // r ends with 01
  return out;
}

void check_decoding(const std::vector<Bytes>& scalars, const Bytes& wire) {
  std::size_t first_bad = 0;
  while (first_bad < scalars.size() && is_canonical(scalars[first_bad])) ++first_bad;
  std::vector<Scalar> decoded(scalars.size());
  std::string refusal;
  try {
    decode_scalars(decoded.data(), wire.data(), scalars.size());
  } catch (const InvalidScalar& error) {
    refusal = error.what();
  }
  if (first_bad < scalars.size()) {
    REQUIRE(refusal == InvalidScalar(first_bad).what());
    return;
  }
  REQUIRE(refusal.empty());
  Bytes again(wire.size());
  encode_scalars(again.data(), decoded.data(), decoded.size());
  REQUIRE(again == wire);
}

void check_rejection(const std::vector<Bytes>& blocks, const Bytes& wire, std::size_t wanted) {
  Bytes expected;
  for (Bytes block : blocks) {
    block[0] &= 0x7f;
    if (is_canonical(block) && expected.size() < 32 * wanted) {
      expected.insert(expected.end(), block.begin(), block.end());
    }
  }
  std::vector<Scalar> accepted(wanted);
  accepted.resize(accept_scalars(accepted.data(), wanted, wire.data(), blocks.size()));
  Bytes found(32 * accepted.size());
  encode_scalars(found.data(), accepted.data(), accepted.size());
  REQUIRE(found == expected);
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  const std::size_t wanted = in.below(20);
  std::vector<Bytes> scalars;
  Bytes wire;
  while (!in.empty() && scalars.size() < 100) {
    scalars.push_back(some_scalar(in));
    wire = joined({wire, scalars.back()});
  }
  check_decoding(scalars, wire);
  check_rejection(scalars, wire, wanted);
  return 0;
}
