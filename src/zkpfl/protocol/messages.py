"""Signed messages between a trainer and a zk-node (docs/spec.md §5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zkpfl.crypto.signatures import AccountKey, Domain, recover, sign_digest, typed_digest
from zkpfl.crypto.transcript import Context
from zkpfl.errors import BadSignature, InvalidEncoding, InvalidParameter


class MessageKind(StrEnum):
    """The EIP-712 primary type: what the signer of the fields states."""

    SHARE = "Share"
    """The trainer: this is the share that I send to this node."""
    RECEIPT = "Receipt"
    """The zk-node: this share reached me and yields the share root."""


@dataclass(frozen=True)
class ShareMessage:
    """What a trainer signs about one share, and a zk-node signs to acknowledge it.

    Parameters
    ----------
    context
        Chain, contract, job and round.
    trainer
        The trainer's account, 20 bytes.
    node
        The zk-node's number, 1…m.
    commitment_root, share_root
        32 bytes each (docs/spec.md §5).
    blob_hash
        keccak-256 of the sealed share, 32 bytes.
    """

    context: Context
    trainer: bytes
    node: int
    commitment_root: bytes
    share_root: bytes
    blob_hash: bytes

    def __post_init__(self) -> None:
        sizes = {"trainer": 20, "commitment_root": 32, "share_root": 32, "blob_hash": 32}
        for field, size in sizes.items():
            if len(getattr(self, field)) != size:
                raise InvalidParameter(f"must be {size} bytes", field=field)
        if not 1 <= self.node <= 10:
            raise InvalidParameter(f"must be 1 to 10, got {self.node}", field="node")

    def digest(self, kind: MessageKind) -> bytes:
        """EIP-712 digest of the fields as ``kind``, 32 bytes."""
        domain = Domain(self.context.chain_id, self.context.contract)
        return typed_digest(
            domain,
            kind.value,
            (
                ("job", "uint256", self.context.job),
                ("round", "uint256", self.context.round),
                ("trainer", "address", self.trainer),
                ("node", "uint256", self.node),
                ("commitmentRoot", "bytes32", self.commitment_root),
                ("shareRoot", "bytes32", self.share_root),
                ("blob", "bytes32", self.blob_hash),
            ),
        )

    def sign(self, kind: MessageKind, key: AccountKey) -> SignedMessage:
        """Sign the fields as ``kind``."""
        return SignedMessage(self, kind, sign_digest(key, self.digest(kind)))


@dataclass(frozen=True)
class SignedMessage:
    """A share message or receipt with the signature of its author."""

    message: ShareMessage
    kind: MessageKind
    signature: bytes

    def require_signer(self, address: bytes, party: str) -> None:
        """Raise `BadSignature`, naming ``party``, unless the account ``address`` signed this."""
        try:
            signer = recover(self.message.digest(self.kind), self.signature)
        except (InvalidEncoding, BadSignature) as error:
            raise BadSignature(error.message, party=party, field="signature") from error
        if signer != address:
            raise BadSignature(
                f"the {self.kind.value.lower()} is not signed by 0x{address.hex()}",
                party=party,
                field="signature",
            )
