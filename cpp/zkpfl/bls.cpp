#include "zkpfl/bls.h"

#include <blst.h>

#include <string>

#include "zkpfl/eip2537.h"
#include "zkpfl/errors.h"

namespace zkpfl::bls {

namespace {

void require_bytes(Input data, std::size_t expected, const char* what) {
  if (data.size() != expected)
    throw InvalidEncoding(std::string(what) + " must be " + std::to_string(expected) +
                          " bytes, got " + std::to_string(data.size()));
}

Input as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A secret scalar that is wiped when it goes out of scope.
struct Secret {
  blst_scalar scalar;
  explicit Secret(Input bytes) {
    require_bytes(bytes, kSecretBytes, "secret key");
    blst_scalar_from_bendian(&scalar, bytes.data());
    if (!blst_sk_check(&scalar)) throw InvalidScalar(0);
  }
  ~Secret() {
    volatile std::uint8_t* byte = scalar.b;
    for (std::size_t i = 0; i < sizeof scalar.b; ++i) byte[i] = 0;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
};

constexpr const char* kRefused = "is not a point of the prime-order subgroup other than infinity";

blst_p1_affine decode_signature(Input bytes, std::size_t index = 0) {
  require_bytes(bytes, kSignatureBytes, "signature");
  blst_p1_affine point;
  if (blst_p1_uncompress(&point, bytes.data()) != BLST_SUCCESS || blst_p1_affine_is_inf(&point) ||
      !blst_p1_affine_in_g1(&point))
    throw InvalidPoint(index, kRefused);
  return point;
}

blst_p2_affine decode_key(Input bytes, std::size_t index = 0) {
  require_bytes(bytes, kPublicKeyBytes, "public key");
  blst_p2_affine point;
  if (blst_p2_uncompress(&point, bytes.data()) != BLST_SUCCESS || blst_p2_affine_is_inf(&point) ||
      !blst_p2_affine_in_g2(&point))
    throw InvalidPoint(index, kRefused);
  return point;
}

Output compress(const blst_p1& point) {
  Output out(kSignatureBytes);
  blst_p1_compress(out.data(), &point);
  return out;
}

Output compress(const blst_p2& point) {
  Output out(kPublicKeyBytes);
  blst_p2_compress(out.data(), &point);
  return out;
}

std::size_t count_items(Input data, std::size_t item_bytes, const char* what) {
  if (data.empty() || data.size() % item_bytes != 0)
    throw InvalidEncoding(std::string(what) + ": expected a positive multiple of " +
                          std::to_string(item_bytes) + " bytes, got " +
                          std::to_string(data.size()));
  return data.size() / item_bytes;
}

}  // namespace

Output generate(Input seed) {
  if (seed.size() < 32) throw InvalidEncoding("seed must have at least 32 bytes");
  blst_scalar scalar;
  blst_keygen(&scalar, seed.data(), seed.size(), nullptr, 0);
  Output out(kSecretBytes);
  blst_bendian_from_scalar(out.data(), &scalar);
  return out;
}

Output public_key(Input secret) {
  const Secret key(secret);
  blst_p2 point;
  blst_sk_to_pk_in_g2(&point, &key.scalar);
  return compress(point);
}

Output sign(Input secret, Input message, std::string_view dst) {
  const Secret key(secret);
  const Input tag = as_bytes(dst);
  blst_p1 point;
  blst_hash_to_g1(&point, message.data(), message.size(), tag.data(), tag.size(), nullptr, 0);
  blst_sign_pk_in_g2(&point, &point, &key.scalar);
  return compress(point);
}

bool verify(Input key, Input message, std::string_view dst, Input signature) {
  const auto key_point = decode_key(key);
  const auto signature_point = decode_signature(signature);
  const Input tag = as_bytes(dst);
  return blst_core_verify_pk_in_g2(&key_point, &signature_point, true, message.data(),
                                   message.size(), tag.data(), tag.size(), nullptr,
                                   0) == BLST_SUCCESS;
}

Output aggregate_signatures(Input signatures) {
  blst_p1 sum{};
  for (std::size_t i = 0, n = count_items(signatures, kSignatureBytes, "signatures"); i < n; ++i) {
    const auto point =
        decode_signature(signatures.subspan(i * kSignatureBytes, kSignatureBytes), i);
    blst_p1_add_or_double_affine(&sum, &sum, &point);
  }
  if (blst_p1_is_inf(&sum)) throw InvalidEncoding("the signatures add up to infinity");
  return compress(sum);
}

Output aggregate_public_keys(Input keys) {
  blst_p2 sum{};
  for (std::size_t i = 0, n = count_items(keys, kPublicKeyBytes, "public keys"); i < n; ++i) {
    const auto point = decode_key(keys.subspan(i * kPublicKeyBytes, kPublicKeyBytes), i);
    blst_p2_add_or_double_affine(&sum, &sum, &point);
  }
  if (blst_p2_is_inf(&sum)) throw InvalidEncoding("the public keys add up to infinity");
  return compress(sum);
}

Output signature_to_ledger(Input signature) { return eip2537::encode(decode_signature(signature)); }

Output signature_from_ledger(Input signature) {
  const auto point = eip2537::decode_g1(signature);
  if (blst_p1_affine_is_inf(&point)) throw InvalidPoint(0, kRefused);
  Output out(kSignatureBytes);
  blst_p1_affine_compress(out.data(), &point);
  return out;
}

Output public_key_to_ledger(Input key) { return eip2537::encode(decode_key(key)); }

Output public_key_from_ledger(Input key) {
  const auto point = eip2537::decode_g2(key);
  if (blst_p2_affine_is_inf(&point)) throw InvalidPoint(0, kRefused);
  Output out(kPublicKeyBytes);
  blst_p2_affine_compress(out.data(), &point);
  return out;
}

}  // namespace zkpfl::bls
