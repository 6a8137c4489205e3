"""Client of the judge: evidence to the chain, piece by piece (docs/spec.md §9.6)."""

# ruff: noqa: A002  "round" is the protocol's word

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.logs import DISCARD
from web3.types import TxReceipt

from zkpfl.errors import InvalidParameter, LedgerError
from zkpfl.ledger.arguments import checked_bytes, checked_job, checked_round
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.contracts import compiled
from zkpfl.protocol.evidence import Opening, Piece
from zkpfl.protocol.messages import ShareMessage, SignedMessage

OPENINGS_PER_CALL = 100
"""With proofs of twenty levels they fit in a transaction of 128 kB."""


@dataclass(frozen=True)
class SignedAttestation:
    """What a zk-node signed about a round's aggregate (docs/spec.md §6).

    Parameters
    ----------
    accepted, valid
        Sets of trainers and of nodes.
    aggregate_root, posts
        32 bytes each; ``posts`` is the hash of what was posted.
    signature
        bytes[128] in the EIP-2537 encoding.
    """

    accepted: int
    aggregate_root: bytes
    valid: int
    posts: bytes
    signature: bytes

    def to_tuple(self, key: bytes) -> tuple[int, bytes, int, bytes, bytes, bytes]:
        """In the order of the contract's struct, with the signer's registered key (bytes[256])."""
        return self.accepted, self.aggregate_root, self.valid, self.posts, self.signature, key


class Judge:
    """The judge that a ledger trusts, as one account uses it; writes raise as those of `LedgerClient`.

    Parameters
    ----------
    ledger
        Client of the ledger, with the account that accuses.
    """

    def __init__(self, ledger: LedgerClient) -> None:
        self.ledger = ledger
        self.contract = ledger.connection.contract(compiled("judge").abi, ledger.judge)
        self._functions = self.contract.functions
        self._address = Web3.to_checksum_address(ledger.contract)

    def accuse_share(self, share: SignedMessage, row: int) -> Case:
        """Open a case: row ``row`` of a signed share fails the commitments that its message names."""
        message = share.message
        context = message.context
        return self._open(
            self._functions.accuse_share(
                self._address, context.job, context.round, _share(message), _signature(share.signature), row
            )
        )

    def accuse_aggregate_share(self, job: int, round: int, node: int, row: int) -> Case:
        """Open a case: row ``row`` of what a zk-node posted fails the sum of the accepted commitments."""
        place = checked_job(job), checked_round(round)
        posts = [
            (poster, post.share_root, post.manifest) for poster, post in self.ledger.posts(job, round).items()
        ]
        return self._open(self._functions.accuse_aggregate_share(self._address, *place, node, row, posts))

    def accuse_attestation(self, job: int, round: int, leaf: int) -> Case:
        """Open a case: a leaf under the attested root is not the sum of the accepted commitments."""
        place = checked_job(job), checked_round(round)
        return self._open(self._functions.accuse_attestation(self._address, *place, leaf))

    def case(self, number: int) -> Case:
        """Return an open case of anybody, as the events tell it."""
        connection, last = self.ledger.connection, self.ledger.block_number()
        events = self.contract.events
        found = {
            name: connection.logs(events[name], self.ledger.first_block, last, {"number": number})
            for name in ("CaseOpened", "CaseAdvanced", "CaseClosed")
        }
        if not found["CaseOpened"] or found["CaseClosed"]:
            raise InvalidParameter(f"case {number} is not open", field="number")
        case = Case(self, number, dict(found["CaseOpened"][0]["args"]["case"]))
        for entry in found["CaseAdvanced"]:
            case.follow(entry["args"])
        return case

    def prove_equivocation(
        self, job: int, round: int, node: int, first: SignedAttestation, second: SignedAttestation
    ) -> None:
        """Convict a zk-node by two attestations of different sets or aggregates of one round."""
        place = checked_job(job), checked_round(round), node
        key = self._key(job, node)
        statements = first.to_tuple(key), second.to_tuple(key)
        self._write(self._functions.prove_equivocation(self._address, *place, *statements))

    def prove_other_set(self, job: int, round: int, node: int, attestation: SignedAttestation) -> None:
        """Convict a zk-node that attested the aggregate of another set than the ledger's."""
        place = checked_job(job), checked_round(round), node
        statement = attestation.to_tuple(self._key(job, node))
        self._write(self._functions.prove_other_set(self._address, *place, statement))

    def _key(self, job: int, node: int) -> bytes:
        committee = self.ledger.job(job).committee
        if not 0 < node <= len(committee):
            raise InvalidParameter(f"job {job} has zk-nodes 1 to {len(committee)}, not {node}", field="node")
        record = self.ledger.node(committee[node - 1])
        if record is None:
            raise LedgerError("is not registered", party=f"zk-node {node}")
        return record.bls_key

    def _open(self, function: ContractFunction) -> Case:
        bond = self.ledger.min_trainer_stake // 10
        if self.ledger.token.allowance(self.ledger.account, self.ledger.judge) < bond:
            self.ledger.token.approve(self.ledger.judge, bond)
        receipt = self._write(function)
        opened = self.contract.events.CaseOpened().process_receipt(receipt, errors=DISCARD)
        if not opened:
            raise LedgerError("the receipt does not tell the case", party="judge")
        arguments = cast(Any, opened[0]["args"])
        return Case(self, int(arguments["number"]), dict(arguments["case"]))

    def _write(self, function: ContractFunction) -> TxReceipt:
        return self.ledger.connection.transact(function)


class Case:
    """An open case; the last piece or opening closes it.

    Parameters
    ----------
    judge
        Client of the accuser.
    number
        Which case.
    state
        The contract's struct, of which it keeps the hash.

    Attributes
    ----------
    guilty
        The verdict; None while the case is open.
    """

    def __init__(self, judge: Judge, number: int, state: dict[str, Any]) -> None:
        self.number = number
        self.state = state
        self.guilty: bool | None = None
        self._judge = judge
        self._functions = judge.contract.functions

    def add_piece(self, piece: Piece) -> None:
        """Hand in the next piece of the row."""
        self._advance(
            self._functions.add_piece(
                self.number,
                self.state,
                piece.scalars,
                list(piece.proof),
                piece.generators,
                list(piece.generator_proofs),
            )
        )

    def add_openings(self, openings: Sequence[Opening]) -> None:
        """Hand in the next commitments, in as many transactions as they need."""
        for start in range(0, len(openings), OPENINGS_PER_CALL):
            chosen = [_opening(opening) for opening in openings[start : start + OPENINGS_PER_CALL]]
            self._advance(self._functions.add_openings(self.number, self.state, chosen))

    def dismiss(self) -> None:
        """Close a case that was not brought to its end in time."""
        self._advance(self._functions.dismiss(self.number, self.state))

    def follow(self, advanced: Mapping[str, Any]) -> None:
        """Take over what an event says has been summed."""
        self.state |= {name: advanced[name] for name in ("pieces", "openings", "total")}

    def _advance(self, function: ContractFunction) -> None:
        receipt = self._judge._write(function)
        events = self._judge.contract.events
        for entry in events.CaseAdvanced().process_receipt(receipt, errors=DISCARD):
            self.follow(cast(Any, entry["args"]))
        for entry in events.CaseClosed().process_receipt(receipt, errors=DISCARD):
            self.guilty = bool(cast(Any, entry["args"])["guilty"])


def _share(message: ShareMessage) -> tuple[str, int, bytes, bytes, bytes]:
    return (
        Web3.to_checksum_address(message.trainer),
        message.node,
        message.commitment_root,
        message.share_root,
        message.blob_hash,
    )


def _signature(signature: bytes) -> tuple[int, int, int]:
    checked_bytes(signature, 65, "signature")
    r, s = (int.from_bytes(signature[start : start + 32], "big") for start in (0, 32))
    return signature[64], r, s


def _opening(opening: Opening) -> tuple[list[bytes], list[bytes]]:
    return [opening.point[start : start + 32] for start in range(0, 128, 32)], list(opening.proof)
