# pragma version 0.4.3
# pragma evm-version prague
"""Smallest contract that shows what the engines must agree on."""

event Stored:
    key: indexed(uint256)
    amount: uint256

value_of: public(HashMap[uint256, uint256])
deadline: public(uint256)


@deploy
def __init__(deadline: uint256):
    self.deadline = deadline


@external
def store(key: uint256, amount: uint256):
    assert amount != 0, "zero_value"
    self.value_of[key] = amount
    log Stored(key=key, amount=amount)


@external
def store_many(count: uint256):
    for key: uint256 in range(count, bound=256):
        log Stored(key=key, amount=key)


@external
def store_once(key: uint256):
    assert self.value_of[key] == 0, "already_stored"
    self.value_of[key] = 1


@external
def store_late(key: uint256):
    assert block.timestamp >= self.deadline, "too_early"
    self.value_of[key] = block.timestamp


@external
def fail_silently():
    raise


@external
@payable
def pay():
    pass


@external
def burn(least_gas: uint256):
    assert msg.gas >= least_gas, "little_gas"
    self.value_of[0] = msg.gas


@external
@view
def now() -> uint256:
    return block.timestamp


@external
@view
def checked(key: uint256) -> uint256:
    assert self.value_of[key] != 0, "unknown_key"
    return self.value_of[key]


@external
@view
def precompile(number: uint256, data: Bytes[4096]) -> (bool, Bytes[256]):
    success: bool = False
    output: Bytes[256] = b""
    success, output = raw_call(
        convert(number, address), data, max_outsize=256, is_static_call=True, revert_on_failure=False
    )
    return success, output
