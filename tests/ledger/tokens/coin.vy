# pragma version 0.4.3
"""
@title ERC-20 of the tests that can misbehave: takes a fee, answers False or nothing, calls somebody back
"""

interface Called:
    def advance(job: uint256): nonpayable

NORMAL: constant(uint256) = 0
TAKES_A_FEE: constant(uint256) = 1
ANSWERS_FALSE: constant(uint256) = 2
ANSWERS_NOTHING: constant(uint256) = 3
CALLS_BACK: constant(uint256) = 4
REVERTS: constant(uint256) = 5

decimals: public(uint8)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
manner: public(uint256)
target: address
data: Bytes[1024]
answer: public(Bytes[1024])  # what the called back said


@deploy
def __init__(decimals: uint8, supply: uint256):
    self.decimals = decimals
    self.balanceOf[msg.sender] = supply


@external
def behave(manner: uint256, target: address, data: Bytes[1024]):
    self.manner = manner
    self.target = target
    self.data = data


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
@raw_return
def transfer(receiver: address, amount: uint256) -> Bytes[32]:
    return self._move(msg.sender, receiver, amount)


@external
@raw_return
def transferFrom(sender: address, receiver: address, amount: uint256) -> Bytes[32]:
    self.allowance[sender][msg.sender] -= amount
    return self._move(sender, receiver, amount)


@internal
def _move(sender: address, receiver: address, amount: uint256) -> Bytes[32]:
    manner: uint256 = self.manner
    assert manner != REVERTS, "token_is_paused"
    if manner == ANSWERS_FALSE:
        return abi_encode(False)
    if manner == CALLS_BACK:
        success: bool = False
        answer: Bytes[1024] = b""
        success, answer = raw_call(self.target, self.data, max_outsize=1024, revert_on_failure=False)
        assert not success, "the door was open"
        self.answer = answer
    fee: uint256 = amount // 100 if manner == TAKES_A_FEE else 0
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount - fee
    if manner == ANSWERS_NOTHING:
        return b""
    return abi_encode(True)
