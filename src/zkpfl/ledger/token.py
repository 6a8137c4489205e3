"""The MPC token: an ERC-20 contract."""

from __future__ import annotations

from zkpfl.ledger.arguments import checked_address, checked_amount
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.contracts import compiled


class Token:
    """MPC balances; amounts are in base units, 10**18 to one MPC.

    Parameters
    ----------
    connection
        Node and account.
    address
        The token contract, bytes[20].
    """

    def __init__(self, connection: Connection, address: bytes) -> None:
        self.address = checked_address(address, "token")
        self._connection = connection
        self._contract = connection.contract(compiled("mpc_token").abi, address)

    def balance(self, account: bytes) -> int:
        """Return what an account (bytes[20]) holds."""
        return int(
            self._connection.call(self._contract.functions.balanceOf(checked_address(account, "account")))
        )

    def allowance(self, owner: bytes, spender: bytes) -> int:
        """Return what ``spender`` may still take from ``owner``; both bytes[20]."""
        pair = checked_address(owner, "owner"), checked_address(spender, "spender")
        return int(self._connection.call(self._contract.functions.allowance(*pair)))

    def approve(self, spender: bytes, amount: int) -> None:
        """Let ``spender`` (bytes[20]) take up to ``amount``; raises as `Connection.transact`."""
        arguments = checked_address(spender, "spender"), checked_amount(amount, "amount")
        self._connection.transact(self._contract.functions.approve(*arguments))

    def transfer(self, receiver: bytes, amount: int) -> None:
        """Send ``amount`` to ``receiver`` (bytes[20]); raises as `Connection.transact`."""
        arguments = checked_address(receiver, "receiver"), checked_amount(amount, "amount")
        self._connection.transact(self._contract.functions.transfer(*arguments))
