#include "some_points.h"
#include "zkpfl/eip2537.h"
#include "zkpfl/errors.h"

// Every operation of EIP-2537 on any bytes, and what must hold of its result.

namespace zkpfl::fuzz {

namespace {

using Kernel = Bytes (*)(eip2537::Input);

struct Group {
  std::size_t bytes;
  Kernel add, msm;
  Bytes (*some)(Reader&);
};

Bytes g1_bytes(Reader& in) { return eip2537::encode(some_g1(in)); }
Bytes g2_bytes(Reader& in) { return eip2537::encode(some_g2(in)); }

constexpr Group kG1 = {eip2537::kG1Bytes, eip2537::g1_add, eip2537::g1_msm, g1_bytes};
constexpr Group kG2 = {eip2537::kG2Bytes, eip2537::g2_add, eip2537::g2_msm, g2_bytes};

// Empty if it is refused.
Bytes result(Kernel kernel, const Bytes& input) {
  try {
    return kernel(input);
  } catch (const InvalidEncoding&) {
    return {};
  }
}

// Bytes of the input as they are, or parts that mean something, damaged at most a little.
template <typename Part>
Bytes some_input(Reader& in, std::size_t most, const Part& part) {
  if (in.below(4) == 0) return in.rest();
  Bytes out;
  for (std::size_t count = in.below(most + 1); count > 0; --count) out = joined({out, part()});
  damage(out, in);
  return out;
}

Bytes some_scalar(Reader& in) {
  return in.byte() & 1 ? in.take(32) : joined({Bytes(31), in.take(1)});
}

void check_add(Reader& in, const Group& group) {
  const Bytes input = some_input(in, 2, [&] { return group.some(in); });
  const Bytes sum = result(group.add, input);
  if (input.size() != 2 * group.bytes) {
    REQUIRE(sum.empty());
    return;
  }
  const Bytes a = slice(input, 0, group.bytes), b = slice(input, group.bytes, group.bytes);
  REQUIRE(result(group.add, joined({b, a})) == sum);
  if (!sum.empty()) REQUIRE(group.add(joined({Bytes(group.bytes), sum})) == sum);
}

// The sum of one product after the other; a product alone is the library's multiplication.
Bytes msm_naive(const Bytes& input, const Group& group) {
  const std::size_t item_bytes = group.bytes + 32;
  if (input.empty() || input.size() % item_bytes != 0) return {};
  Bytes sum(group.bytes);
  for (std::size_t first = 0; first < input.size(); first += item_bytes) {
    const Bytes product = result(group.msm, slice(input, first, item_bytes));
    if (product.empty()) return {};
    sum = group.add(joined({sum, product}));
  }
  return sum;
}

void check_msm(Reader& in, const Group& group) {
  const Bytes input = some_input(in, 3, [&] { return joined({group.some(in), some_scalar(in)}); });
  REQUIRE(result(group.msm, input) == msm_naive(input, group));
}

void check_pairing(Reader& in) {
  const Bytes input = some_input(in, 2, [&] { return joined({g1_bytes(in), g2_bytes(in)}); });
  const Bytes answer = result(eip2537::pairing_check, input);
  if (input.empty() || input.size() % 384 != 0) REQUIRE(answer.empty());
  if (answer.empty()) return;
  const Bytes yes = joined({Bytes(31), {1}});
  REQUIRE(answer == Bytes(32) || answer == yes);
  // e(P, Q) e(-P, Q) = 1 changes nothing.
  const blst_p1_affine point = g1_of_subgroup(in.byte());
  const Bytes other = slice(input, 128, 256);
  const Bytes more =
      joined({eip2537::encode(point), other, eip2537::encode(negated(point)), other});
  REQUIRE(eip2537::pairing_check(more) == yes);
  REQUIRE(eip2537::pairing_check(joined({more, input})) == answer);
}

void check_map(Reader& in, Kernel map, const Group& group) {
  const Bytes input = some_input(in, 1, [&] { return joined({Bytes(16), in.take(48)}); });
  const Bytes point = result(map, input);
  if (point.empty()) return;
  // In the subgroup, and encoded as it must be.
  REQUIRE(group.msm(joined({point, Bytes(31), {1}})) == point);
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  switch (in.below(7)) {
    case 0:
      check_add(in, kG1);
      break;
    case 1:
      check_msm(in, kG1);
      break;
    case 2:
      check_add(in, kG2);
      break;
    case 3:
      check_msm(in, kG2);
      break;
    case 4:
      check_pairing(in);
      break;
    case 5:
      check_map(in, zkpfl::eip2537::map_fp_to_g1, kG1);
      break;
    default:
      check_map(in, zkpfl::eip2537::map_fp2_to_g2, kG2);
  }
  return 0;
}
