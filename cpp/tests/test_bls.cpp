#include "check.h"
#include "zkpfl/bls.h"
#include "zkpfl/eip2537.h"
#include "zkpfl/errors.h"

namespace zkpfl::tests {

namespace {

using Bytes = std::vector<std::uint8_t>;

const Bytes kMessage(32, 7);
constexpr std::string_view kDst = "TEST";

Bytes secret(std::uint8_t value) {
  Bytes out(bls::kSecretBytes);
  out.back() = value;
  return out;
}

Bytes concatenated(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

}  // namespace

TEST(signatures_verify_under_their_key_only) {
  const Bytes key = bls::public_key(secret(2)), signature = bls::sign(secret(2), kMessage, kDst);
  CHECK(bls::verify(key, kMessage, kDst, signature));
  CHECK(!bls::verify(key, kMessage, "OTHER", signature));
  CHECK(!bls::verify(bls::public_key(secret(3)), kMessage, kDst, signature));
}

TEST(sums_of_signatures_verify_under_sums_of_keys) {
  const Bytes keys = concatenated({bls::public_key(secret(2)), bls::public_key(secret(3))});
  const Bytes signatures =
      concatenated({bls::sign(secret(2), kMessage, kDst), bls::sign(secret(3), kMessage, kDst)});
  CHECK(bls::verify(bls::aggregate_public_keys(keys), kMessage, kDst,
                    bls::aggregate_signatures(signatures)));
  CHECK(bls::aggregate_public_keys(keys) == bls::public_key(secret(5)));
}

TEST(malformed_bls_bytes_are_refused) {
  Bytes infinity(bls::kSignatureBytes);
  infinity[0] = 0xc0;
  CHECK(throws<InvalidPoint>([&] { bls::aggregate_signatures(infinity); }));
  CHECK(throws<InvalidScalar>([] { bls::public_key(secret(0)); }));
  CHECK(throws<InvalidEncoding>([] { bls::public_key(Bytes(31, 1)); }));
  CHECK(throws<InvalidEncoding>([] { bls::aggregate_signatures({}); }));
  CHECK(throws<InvalidEncoding>([] { bls::generate(Bytes(31, 1)); }));
  CHECK(throws<InvalidPoint>([] { bls::public_key_from_ledger(Bytes(256)); }));
  CHECK(throws<InvalidPoint>([] { bls::signature_from_ledger(Bytes(128)); }));
}

TEST(keys_and_signatures_survive_the_ledger_encoding) {
  const Bytes key = bls::public_key(bls::generate(Bytes(32, 9)));
  CHECK(bls::public_key_from_ledger(bls::public_key_to_ledger(key)) == key);
  const Bytes signature = bls::sign(secret(2), kMessage, kDst);
  CHECK(bls::signature_from_ledger(bls::signature_to_ledger(signature)) == signature);
}

TEST(precompiles_agree_with_each_other) {
  const Bytes point = eip2537::map_fp_to_g1(Bytes(64, 0));
  Bytes two(32), one(32);
  two.back() = 2, one.back() = 1;
  const Bytes doubled = eip2537::g1_add(concatenated({point, point}));
  CHECK(eip2537::g1_msm(concatenated({point, two})) == doubled);
  CHECK(eip2537::g1_msm(concatenated({point, one, point, one})) == doubled);
  const Bytes other = eip2537::map_fp2_to_g2(Bytes(128, 0));
  const Bytes twice = eip2537::g2_add(concatenated({other, other}));
  CHECK(eip2537::g2_msm(concatenated({other, two})) == twice);
  Bytes pairs;
  for (int i = 0; i < 20; ++i) pairs = concatenated({pairs, point, Bytes(256)});
  CHECK(eip2537::pairing_check(pairs).back() == 1);
  CHECK(eip2537::pairing_check(concatenated({point, other})).back() == 0);
}

TEST(malformed_precompile_input_is_refused) {
  CHECK(throws<InvalidEncoding>([] { eip2537::g1_msm({}); }));
  CHECK(throws<InvalidEncoding>([] { eip2537::pairing_check(Bytes(383)); }));
  CHECK(throws<InvalidEncoding>([] { eip2537::g1_add(Bytes(256, 0xff)); }));
  CHECK(throws<InvalidPoint>([] {
    Bytes off_curve(256);
    off_curve[127] = 1;
    eip2537::g1_add(off_curve);
  }));
}

}  // namespace zkpfl::tests
