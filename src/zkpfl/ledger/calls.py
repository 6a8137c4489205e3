"""Messages that the embedded EVM executes without a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from eth.abc import ComputationAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import Revert
from eth.vm.spoof import SpoofTransaction
from eth_utils.exceptions import ValidationError

from zkpfl.errors import InvalidInput
from zkpfl.ledger.evm import TRANSACTION_GAS_LIMIT, LedgerVM

_CALL_STIPEND = 2300


@dataclass(frozen=True)
class Call:
    """A message to execute without a signature: ``eth_call`` and ``eth_estimateGas``.

    Parameters
    ----------
    sender, to
        20-byte addresses; ``to`` is empty for a contract creation. The sender needs funds only for ``value``.
    data
        Calldata or init code.
    value
        Wei.
    gas
        Gas limit, at most `TRANSACTION_GAS_LIMIT`.
    """

    sender: bytes = bytes(20)
    to: bytes = CREATE_CONTRACT_ADDRESS
    data: bytes = b""
    value: int = 0
    gas: int = TRANSACTION_GAS_LIMIT


@dataclass(frozen=True)
class Outcome:
    """What executing a `Call` gave.

    Parameters
    ----------
    output
        Return data; the revert data where ``error`` is "execution reverted".
    gas_needed
        Gas charged before refunds.
    error
        None on success, "execution reverted", or the name of another EVM error.
    """

    output: bytes
    gas_needed: int
    error: str | None


def execute(vm: Any, call: Call) -> Outcome:
    """Execute a call as the next transaction of a VM, whose state is spent by that.

    Raises
    ------
    InvalidInput
        The gas exceeds the limit or does not cover the calldata, or the sender lacks ``value``.
    """
    if call.gas > TRANSACTION_GAS_LIMIT:
        raise InvalidInput(f"gas {call.gas} exceeds {TRANSACTION_GAS_LIMIT}", field="gas")
    unsigned = vm.create_unsigned_transaction(
        nonce=vm.state.get_nonce(call.sender),
        gas_price=0,
        gas=call.gas,
        to=call.to,
        value=call.value,
        data=call.data,
    )
    try:
        computation = vm.state.apply_transaction(SpoofTransaction(unsigned, from_=call.sender))
    except ValidationError as error:
        raise InvalidInput(f"refused: {error}", field="call") from error
    return _outcome(computation, call.gas)


def least_gas(run: Callable[[Call], Outcome], call: Call) -> tuple[int, Outcome]:
    """Return a gas limit within 5 % of the least that suffices, and the outcome with all of ``call.gas``.

    Where the outcome failed the number means nothing. A call may use less gas than it must be given (63/64
    rule, refunds, ``gasleft`` checks): a limit counts only after the call succeeded with it.

    Parameters
    ----------
    run
        Executes a call on a fresh state.
    call
        The call; its ``gas`` is the most that may be needed.
    """
    outcome = run(call)
    if outcome.error is not None:
        return 0, outcome
    low, high = outcome.gas_needed - 1, call.gas
    guess = min(high, (outcome.gas_needed + _CALL_STIPEND) * 64 // 63)
    while high - low > high // 20:
        if _suffices(run, replace(call, gas=guess)):
            high = guess
        else:
            low = guess
        guess = (low + high) // 2
    return high, outcome


def _suffices(run: Callable[[Call], Outcome], call: Call) -> bool:
    try:
        return run(call).error is None
    except InvalidInput:
        return False


def _outcome(computation: ComputationAPI, gas: int) -> Outcome:
    used = gas - computation.get_gas_remaining()
    refund = LedgerVM.calculate_net_gas_refund(used, computation.get_gas_refund())
    # EIP-7623 charges a floor for calldata; py-evm reports by how much that exceeds the gas after refunds.
    needed = max(used, used - refund + computation.data_floor_gas)
    error = None
    if computation.is_error:
        reverted = isinstance(computation.error, Revert)
        error = "execution reverted" if reverted else type(computation.error).__name__
    return Outcome(bytes(computation.output), needed, error)
