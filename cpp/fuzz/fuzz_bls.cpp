#include "some_points.h"
#include "zkpfl/bls.h"
#include "zkpfl/errors.h"

// BLS secrets, signatures, public keys and their sums, compressed and as the ledger has them. A
// proof of possession is a signature under another domain.

namespace zkpfl::fuzz {

namespace {

using Kernel = Bytes (*)(bls::Input);

struct Kind {
  std::size_t compressed_bytes, ledger_bytes;
  Kernel to_ledger, from_ledger, aggregate, ledger_add;
  Bytes (*some)(Reader&);
};

Bytes some_signature(Reader& in) { return compressed(some_g1(in)); }
Bytes some_key(Reader& in) { return compressed(some_g2(in)); }

constexpr Kind kSignature = {48,
                             128,
                             bls::signature_to_ledger,
                             bls::signature_from_ledger,
                             bls::aggregate_signatures,
                             eip2537::g1_add,
                             some_signature};
constexpr Kind kKey = {96,
                       256,
                       bls::public_key_to_ledger,
                       bls::public_key_from_ledger,
                       bls::aggregate_public_keys,
                       eip2537::g2_add,
                       some_key};

// Empty if it is refused.
Bytes result(Kernel kernel, const Bytes& input) {
  try {
    return kernel(input);
  } catch (const InvalidEncoding&) {
    return {};
  }
}

Bytes some_compressed(Reader& in, const Kind& kind) {
  Bytes wire = in.below(4) == 0 ? in.take(kind.compressed_bytes) : kind.some(in);
  damage(wire, in);
  return wire;
}

void check_compressed(Reader& in, const Kind& kind) {
  const Bytes wire = some_compressed(in, kind);
  const Bytes ledger = result(kind.to_ledger, wire);
  REQUIRE(result(kind.aggregate, wire) == (ledger.empty() ? ledger : wire));
  if (!ledger.empty()) REQUIRE(kind.from_ledger(ledger) == wire);
  if (kind.compressed_bytes == 48) {
    REQUIRE(!ledger.empty() == (is_point_naive(wire) && wire[0] != 0xc0));
  }
}

void check_ledger(Reader& in, const Kind& kind) {
  Bytes ledger = in.take(kind.ledger_bytes);
  if (in.byte() & 1) {
    const Bytes known = result(kind.to_ledger, kind.some(in));
    if (!known.empty()) ledger = known;
    damage(ledger, in);
  }
  const Bytes wire = result(kind.from_ledger, ledger);
  if (!wire.empty()) REQUIRE(kind.to_ledger(wire) == ledger);
}

void check_aggregate(Reader& in, const Kind& kind) {
  Bytes all, sum(kind.ledger_bytes);  // the sum starts at infinity
  bool good = true;
  for (std::size_t count = 1 + in.below(4); count > 0; --count) {
    const Bytes wire = some_compressed(in, kind);
    all = joined({all, wire});
    const Bytes ledger = result(kind.to_ledger, wire);
    good &= !ledger.empty();
    if (good) sum = kind.ledger_add(joined({sum, ledger}));
  }
  const Bytes aggregate = result(kind.aggregate, all);
  const Bytes expected = good ? result(kind.from_ledger, sum) : Bytes{};  // infinity is refused
  REQUIRE(aggregate == expected);
}

void check_lengths(Reader& in) {
  const Bytes any = in.rest();
  for (const Kind& kind : {kSignature, kKey}) {
    const bool wrong = any.size() != kind.compressed_bytes;
    if (wrong) REQUIRE(refuses<InvalidEncoding>([&] { kind.to_ledger(any); }));
    const bool wrong_ledger = any.size() != kind.ledger_bytes;
    if (wrong_ledger) REQUIRE(refuses<InvalidEncoding>([&] { kind.from_ledger(any); }));
    const bool no_multiple = any.empty() || any.size() % kind.compressed_bytes != 0;
    if (no_multiple) REQUIRE(refuses<InvalidEncoding>([&] { kind.aggregate(any); }));
  }
  if (any.size() != 32) REQUIRE(result(bls::public_key, any).empty());
  REQUIRE(result(bls::generate, any).empty() == (any.size() < 32));
}

void check_signing(Reader& in) {
  const Bytes secret = in.take(32), message = in.take(in.below(40));
  const Scalar value = load_bendian(secret.data());
  const bool good = is_below_order(value) && value != Scalar{};
  const Bytes key = result(bls::public_key, secret);
  REQUIRE(key.empty() != good);
  if (!good) {
    REQUIRE(refuses<InvalidScalar>([&] { bls::sign(secret, message, "FUZZ"); }));
    return;
  }
  const Bytes signature = bls::sign(secret, message, "FUZZ");
  REQUIRE(bls::verify(key, message, "FUZZ", signature));
  Bytes changed = signature;
  damage(changed, in);
  if (changed == signature) return;
  bool accepted = false;
  const bool refused =
      refuses<InvalidEncoding>([&] { accepted = bls::verify(key, message, "FUZZ", changed); });
  REQUIRE(refused || !accepted);
}

}  // namespace

}  // namespace zkpfl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zkpfl::fuzz;
  Reader in(data, size);
  const std::size_t choice = in.below(8);
  const Kind& kind = choice % 2 == 0 ? kSignature : kKey;
  if (choice < 2) check_compressed(in, kind);
  if (choice == 2 || choice == 3) check_ledger(in, kind);
  if (choice == 4 || choice == 5) check_aggregate(in, kind);
  if (choice == 6) check_signing(in);
  if (choice == 7) check_lengths(in);
  return 0;
}
