# pragma version 0.4.3
# pragma evm-version prague
"""
@title BLS signatures over BLS12-381 by the precompiles of EIP-2537 (docs/spec.md §6)
@notice Signatures are in G1 (128 bytes), keys in G2 (256 bytes), both uncompressed as in EIP-2537. Answers
        False for a signature that does not verify; reverts with a reason for what is no signature or key.
@dev Stateless. The pairing checks the subgroup of every signature, and of every sum of keys; keys enter a sum
     only after a possession has been verified for each.
"""

MAX_KEYS: constant(uint256) = 10

# Precompiles (EIP-198, EIP-2537) and their prices
MODEXP: constant(address) = 0x0000000000000000000000000000000000000005
G1_ADD: constant(address) = 0x000000000000000000000000000000000000000b
G2_ADD: constant(address) = 0x000000000000000000000000000000000000000d
PAIRING: constant(address) = 0x000000000000000000000000000000000000000F
MAP_FP_TO_G1: constant(address) = 0x0000000000000000000000000000000000000010
MODEXP_GAS: constant(uint256) = 200
G1_ADD_GAS: constant(uint256) = 375
G2_ADD_GAS: constant(uint256) = 600
PAIRING_GAS: constant(uint256) = 37700 + 2 * 32600
MAP_FP_TO_G1_GAS: constant(uint256) = 5500
CALL_MARGIN: constant(uint256) = 10000  # for the copying and the call itself

# The field modulus of BLS12-381 in 64 bytes, and the generator of G2 negated, in the encoding of EIP-2537
MODULUS: constant(Bytes[64]) = x"000000000000000000000000000000001a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
NEGATED_G2: constant(Bytes[256]) = x"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bcb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed"
# keccak256 of 256 zero bytes
INFINITY_G2_HASH: constant(bytes32) = 0xd397b3b043d87fcd6fad1291ff0bfd16401c274896d8c63a923727f077b8e0b5
SIGNATURE_DST: constant(Bytes[44]) = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_+"
POSSESSION_DST: constant(Bytes[44]) = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_+"


@external
@view
def verify_possession(digest: bytes32, signature: Bytes[128], key: Bytes[256]) -> bool:
    return self._verify(digest, POSSESSION_DST, signature, key)


@external
@view
def verify_attestation(
    digest: bytes32, signature: Bytes[128], keys: Bytes[256 * MAX_KEYS], signers: uint256
) -> bool:
    """
    @notice Whether the sum of the keys whose bits are set in `signers` verifies the signature.
    """
    assert signers != 0 and signers >> (len(keys) // 256) == 0, "unknown_signer"
    total: Bytes[256] = b""
    for j: uint256 in range(MAX_KEYS):
        if signers & (1 << j) != 0:
            key: Bytes[256] = slice(keys, 256 * j, 256)
            if len(total) == 0:
                total = key
            else:
                total = self._precompile(G2_ADD, concat(total, key), G2_ADD_GAS, 256)
    return self._verify(digest, SIGNATURE_DST, signature, total)


@internal
@view
def _verify(digest: bytes32, dst: Bytes[44], signature: Bytes[128], key: Bytes[256]) -> bool:
    assert len(signature) == 128, "signature_length"
    assert len(key) == 256, "key_length"
    assert keccak256(key) != INFINITY_G2_HASH, "key_is_infinity"
    pairs: Bytes[768] = concat(signature, NEGATED_G2, self._hash_to_g1(digest, dst), key)
    return convert(slice(self._precompile(PAIRING, pairs, PAIRING_GAS, 32), 0, 32), uint256) == 1


@internal
@view
def _hash_to_g1(digest: bytes32, dst: Bytes[44]) -> Bytes[128]:
    """
    @notice RFC 9380 hash to curve, suite BLS12381G1_XMD:SHA-256_SSWU_RO_; `dst` ends with its length.
    """
    b_0: bytes32 = sha256(concat(empty(bytes32), empty(bytes32), digest, b"\x00\x80\x00", dst))
    b_1: bytes32 = sha256(concat(b_0, b"\x01", dst))
    b_2: bytes32 = sha256(concat(self._xor(b_0, b_1), b"\x02", dst))
    b_3: bytes32 = sha256(concat(self._xor(b_0, b_2), b"\x03", dst))
    b_4: bytes32 = sha256(concat(self._xor(b_0, b_3), b"\x04", dst))
    q_0: Bytes[128] = self._map_to_g1(b_1, b_2)
    q_1: Bytes[128] = self._map_to_g1(b_3, b_4)
    return slice(self._precompile(G1_ADD, concat(q_0, q_1), G1_ADD_GAS, 128), 0, 128)


@internal
@pure
def _xor(a: bytes32, b: bytes32) -> bytes32:
    return convert(convert(a, uint256) ^ convert(b, uint256), bytes32)


@internal
@view
def _map_to_g1(high: bytes32, low: bytes32) -> Bytes[128]:
    lengths: Bytes[96] = abi_encode(convert(64, uint256), convert(1, uint256), convert(64, uint256))
    element: Bytes[256] = self._precompile(
        MODEXP, concat(lengths, high, low, b"\x01", MODULUS), MODEXP_GAS, 64
    )
    return slice(self._precompile(MAP_FP_TO_G1, element, MAP_FP_TO_G1_GAS, 128), 0, 128)


@internal
@view
def _precompile(target: address, data: Bytes[768], price: uint256, size: uint256) -> Bytes[256]:
    """
    @notice Call a precompile that must answer with `size` bytes.
    @dev A starved call fails exactly as one with an invalid point does, and a missing precompile succeeds
         with no output: both get their own reason.
    """
    assert msg.gas - msg.gas // 64 > price + CALL_MARGIN, "out_of_gas"
    success: bool = False
    output: Bytes[256] = b""
    success, output = raw_call(target, data, max_outsize=256, is_static_call=True, revert_on_failure=False)
    assert success, "invalid_point"
    assert len(output) == size, "no_precompile"
    return output
