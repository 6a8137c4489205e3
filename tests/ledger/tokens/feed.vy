# pragma version 0.4.3
"""
@title Price feed of the tests, which says what it is told to
"""

decimals: public(uint8)
answer: int256
updated_at: uint256
broken: bool


@deploy
def __init__(decimals: uint8, answer: int256):
    self.decimals = decimals
    self.answer = answer
    self.updated_at = block.timestamp


@external
def tell(answer: int256, updated_at: uint256):
    self.answer = answer
    self.updated_at = updated_at


@external
def break_down(broken: bool):
    self.broken = broken


@external
@view
def latestRoundData() -> (uint80, int256, uint256, uint256, uint80):
    assert not self.broken, "feed_is_down"
    return 1, self.answer, self.updated_at, self.updated_at, 1
