#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace zkpfl::bls {

// BLS signatures over BLS12-381, signatures in G1 (48 bytes), keys in G2 (96 bytes), compressed.
// Every point is checked on decoding: canonical, on the curve, in the subgroup; infinity is
// refused. Secret keys are 32 bytes big-endian, 1 to r - 1; signing is constant time.

using Input = std::span<const std::uint8_t>;
using Output = std::vector<std::uint8_t>;

inline constexpr std::size_t kSecretBytes = 32, kSignatureBytes = 48, kPublicKeyBytes = 96;

Output generate(Input seed);  // KeyGen of draft-irtf-cfrg-bls-signature over >= 32 secret bytes
Output public_key(Input secret);
Output sign(Input secret, Input message, std::string_view dst);
bool verify(Input key, Input message, std::string_view dst, Input signature);

// Sums of n >= 1 concatenated signatures or keys. A sum that is infinity is refused.
Output aggregate_signatures(Input signatures);
Output aggregate_public_keys(Input keys);

// To and from the EIP-2537 encoding: signature 128 bytes, key 256 bytes.
Output signature_to_ledger(Input signature);
Output signature_from_ledger(Input signature);
Output public_key_to_ledger(Input key);
Output public_key_from_ledger(Input key);

}  // namespace zkpfl::bls
