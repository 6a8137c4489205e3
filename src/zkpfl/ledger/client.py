"""Client of the ledger contract: every call of docs/spec.md §9 with checked arguments and typed answers."""

# ruff: noqa: A002  "round" is the protocol's word

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple

from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.logs import DISCARD
from web3.types import TxReceipt

from zkpfl.errors import InvalidParameter, LedgerError, NotAuthorized
from zkpfl.ledger.arguments import (
    checked_address,
    checked_amount,
    checked_bitmap,
    checked_bytes,
    checked_job,
    checked_round,
)
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.contracts import compiled
from zkpfl.ledger.events import address_bytes
from zkpfl.ledger.factors import packed_factors
from zkpfl.ledger.reader import LedgerReader
from zkpfl.ledger.records import (
    MAX_COINS,
    MAX_NODES,
    MILLION,
    MPC,
    MPC_COIN,
    Coin,
    DeploymentTerms,
    Durations,
    Job,
    JobStatus,
    JobTerms,
    NodeRecord,
    Phase,
    Post,
    Round,
    RoundKind,
    Submission,
    TrainerRecord,
)

__all__ = [
    "MPC",
    "Coin",
    "DeploymentTerms",
    "Durations",
    "Job",
    "JobStatus",
    "JobTerms",
    "LedgerClient",
    "NodeRecord",
    "Phase",
    "Post",
    "Round",
    "RoundKind",
    "Submission",
    "TrainerRecord",
    "deploy",
]

BLS_KEY_BYTES = 256
BLS_SIGNATURE_BYTES = 128
MAX_ENDPOINT_BYTES = 128
PARTS = ("rules", "bls_verifier", "judge", "contributions")
"""Contracts that know no ledger, in the order of the ledger's constructor, after the bank."""
TOKEN_SUPPLY = 10**9 * MPC
"""Base units of a new token, minted to the deployer."""


class LedgerClient(LedgerReader):
    """The ledger contract as one account uses it.

    Every write raises as `Connection.transact`; a refusal of the contract is a `TransactionFailed` with its
    ``reason``.
    """

    @property
    def account(self) -> bytes:
        """Address of this client's account, bytes[20]; `NotAuthorized` where it has none."""
        if self.connection.address is None:
            raise NotAuthorized("this client has no account", field="account")
        return address_bytes(self.connection.address)

    # Accounts (§9.1)

    def register_node(
        self,
        bls_key: bytes,
        possession: bytes,
        encryption_key: bytes,
        endpoint: str,
        stake: int,
        coin: int = MPC_COIN,
    ) -> None:
        """Register this account as a zk-node and pay its stake.

        Parameters
        ----------
        bls_key, possession
            Public key (bytes[256]) and proof of possession (bytes[128]) in the EIP-2537 encoding.
        encryption_key
            X25519 public key, bytes[32].
        endpoint
            Where the node listens, ``host:port``; at most 128 bytes.
        stake, coin
            Base units of a listed coin.
        """
        checked_bytes(bls_key, BLS_KEY_BYTES, "bls_key")
        checked_bytes(possession, BLS_SIGNATURE_BYTES, "possession")
        checked_bytes(encryption_key, 32, "encryption_key")
        if not 0 < len(endpoint.encode()) <= MAX_ENDPOINT_BYTES:
            raise InvalidParameter(f"must be 1 to {MAX_ENDPOINT_BYTES} bytes", field="endpoint")
        self._approve(coin, checked_amount(stake, "stake"))
        self._write(
            self._bank_functions.register_node(bls_key, possession, encryption_key, endpoint, coin, stake)
        )

    def register_trainer(self, encryption_key: bytes, stake: int, coin: int = MPC_COIN) -> None:
        """Register this account as a trainer with an X25519 key (bytes[32]); pay its stake."""
        checked_bytes(encryption_key, 32, "encryption_key")
        self._approve(coin, checked_amount(stake, "stake"))
        self._write(self._bank_functions.register_trainer(encryption_key, coin, stake))

    def unstake(self) -> None:
        """Take no new job; the stake is free the unbonding delay after the last job has ended."""
        self._write(self._bank_functions.unstake())

    def withdraw_stake(self) -> None:
        """Take the stake back and end the registration."""
        self._write(self._bank_functions.withdraw_stake())

    # Jobs (§9.2)

    def create_job(self, terms: JobTerms, nodes: int, fee: int = 100 * MPC, coin: int = MPC_COIN) -> int:
        """Pay fee and draw fee, and open a job; `advance` draws its committee.

        Parameters
        ----------
        terms
            What is offered and asked for.
        nodes
            Size of the committee, 2t − 1 to 10.
        fee, coin
            Base units of a listed coin.

        Returns
        -------
        int
            Number of the job.
        """
        if not 2 * terms.threshold - 1 <= nodes <= MAX_NODES:
            raise InvalidParameter(f"must be {2 * terms.threshold - 1} to {MAX_NODES}", field="nodes")
        self._approve(coin, checked_amount(fee, "fee") + self.amount_for(coin, self.draw_fee))
        receipt = self._write(self._functions.create_job(astuple(terms), nodes, coin, fee))
        created = self._web3_contract.events.JobCreated().process_receipt(receipt, errors=DISCARD)
        if not created:
            raise LedgerError("the receipt does not tell the job", party="ledger")
        return int(created[0]["args"]["job"])

    def cancel_job(self, job: int) -> None:
        """Cancel this account's job before its first round; the fee may then be claimed, the draw fee not."""
        self._write(self._functions.cancel_job(checked_job(job)))

    def share_keys(self, job: int, digest: bytes) -> None:
        """Record where the committee finds its shares of the keys of this account's job (bytes[32])."""
        self._write(self._functions.share_keys(checked_job(job), checked_bytes(digest, 32, "digest")))

    def join(self, job: int) -> None:
        """Join a job as this account, a registered trainer; of one that runs, from its next round on."""
        self._write(self._functions.join(checked_job(job)))

    def leave(self, job: int) -> None:
        """Leave a job for good and free the stake; ``has_submitted`` after the first submission."""
        self._write(self._functions.leave(checked_job(job)))

    def advance(self, job: int) -> None:
        """Draw a job's committee, or move the job past a deadline; ``nothing_to_do`` if not due."""
        self._write(self._functions.advance(checked_job(job)))

    def claim(self, job: int) -> None:
        """Take what an ended job owes this account, in every coin; ``nothing_owed`` if it owes nothing."""
        owed = self.owed_by_coin(checked_job(job), self.account)
        for coin in owed or {MPC_COIN: 0}:
            self._write(self._bank_functions.claim(job, coin))

    # Rounds (§9.3)

    def submit(self, job: int, round: int, commitment_root: bytes, manifest: bytes) -> None:
        """Submit a commitment root and the digest of the submission manifest, bytes[32] each."""
        hashes = (
            checked_bytes(commitment_root, 32, "commitment_root"),
            checked_bytes(manifest, 32, "manifest"),
        )
        self._write(self._functions.submit(checked_job(job), checked_round(round), *hashes))

    def report(self, job: int, round: int, accepted: int) -> None:
        """Report the set of trainers whose shares this node has verified."""
        self._write(
            self._functions.report(
                checked_job(job), checked_round(round), checked_bitmap(accepted, 256, "accepted")
            )
        )

    def post_aggregate(self, job: int, round: int, share_root: bytes, manifest: bytes) -> None:
        """Post the share root and the digest of the aggregate manifest, bytes[32] each."""
        hashes = checked_bytes(share_root, 32, "share_root"), checked_bytes(manifest, 32, "manifest")
        self._write(self._functions.post_aggregate(checked_job(job), checked_round(round), *hashes))

    def attest(
        self, job: int, round: int, aggregate_root: bytes, valid: int, signers: int, signature: bytes
    ) -> None:
        """Hand in the attestation.

        Parameters
        ----------
        job, round
            Which round.
        aggregate_root
            bytes[32].
        valid
            Set of nodes, of those that posted, whose proofs the signers verified.
        signers
            Set of nodes whose signatures are summed.
        signature
            bytes[128] in the EIP-2537 encoding.
        """
        checked_bytes(aggregate_root, 32, "aggregate_root")
        checked_bytes(signature, BLS_SIGNATURE_BYTES, "signature")
        sets = checked_bitmap(valid, MAX_NODES, "valid"), checked_bitmap(signers, MAX_NODES, "signers")
        place = checked_job(job), checked_round(round)
        keys = self.committee_keys(job)
        self._write(self._functions.attest(*place, aggregate_root, *sets, signature, keys))

    def open_slice(self, job: int, round: int, key: bytes) -> None:
        """Open the slice of the test set that is due in a round, by its key (bytes[32])."""
        place = checked_job(job), checked_round(round)
        self._write(self._functions.open_slice(*place, checked_bytes(key, 32, "key")))

    def score(self, job: int, round: int, commitment: bytes) -> None:
        """Commit to a score of a round: `rules.score_commitment`, bytes[32]."""
        place = checked_job(job), checked_round(round)
        self._write(self._functions.score(*place, checked_bytes(commitment, 32, "commitment")))

    def reveal(self, job: int, round: int, checkpoint: bytes, accuracy_ppm: int, salt: bytes) -> None:
        """Reveal a score: checkpoint digest (bytes[32]), accuracy (0 to 1,000,000) and salt (bytes[32])."""
        checked_bytes(checkpoint, 32, "checkpoint")
        checked_bytes(salt, 32, "salt")
        if not 0 <= accuracy_ppm <= MILLION:
            raise InvalidParameter(f"must be 0 to {MILLION}, got {accuracy_ppm}", field="accuracy_ppm")
        place = checked_job(job), checked_round(round)
        self._write(self._functions.reveal(*place, checkpoint, accuracy_ppm, salt))

    def contribute(self, job: int, round: int, digest: bytes) -> None:
        """Tell, before one scores, where one's contribution lies: digest of its manifest, bytes[32]."""
        place = self._hex_contract, checked_job(job), checked_round(round)
        self._write(self._contributions_functions.contribute(*place, checked_bytes(digest, 32, "digest")))

    def attest_factors(self, job: int, round: int, percents: Mapping[int, int]) -> None:
        """Say, before one reveals, what factor each trainer of I has earned: 80 to 125 percent by number."""
        place = self._hex_contract, checked_job(job), checked_round(round)
        self._write(self._contributions_functions.attest_factors(*place, packed_factors(percents)))

    # Below: how

    def _approve(self, coin: int, amount: int) -> None:
        """Let the bank take ``amount``; `NotAuthorized` where this account does not hold it."""
        token = self.coin_token(coin)
        balance = token.balance(self.account)
        if balance < amount:
            needed = f"holds {balance / MPC:g} MPC, {amount / MPC:g} MPC are needed"
            if coin != MPC_COIN:
                needed = f"holds {balance} base units of coin {coin}, {amount} are needed"
            raise NotAuthorized(
                needed,
                party=f"account 0x{self.account.hex()}",
                field="balance",
                hint="send it MPC: `zkpfl ledger deploy --fund ADDRESS=AMOUNT` does for a new network",
            )
        if token.allowance(self.account, self.bank) < amount:
            token.approve(self.bank, amount)

    def _write(self, function: ContractFunction) -> TxReceipt:
        return self.connection.transact(function)


def deploy(
    connection: Connection,
    terms: DeploymentTerms | None = None,
    *,
    token: bytes | None = None,
    coins: Sequence[Coin] = (),
) -> LedgerClient:
    """Deploy a ledger, and its token unless there is one.

    Parameters
    ----------
    connection
        Node and the deploying account, to which a new token's whole supply is minted.
    terms
        Minima and unbonding delay; the specification's by default.
    token
        Address of an MPC token that exists, bytes[20].
    coins
        Coins beside MPC, at most seven; numbered from 1.

    Returns
    -------
    LedgerClient
        Client of the new contract, for the deploying account.

    Raises
    ------
    TransactionFailed
        With ``bank_of_another_ledger``: another transaction of this account came between; deploy again.
    """
    fixed = terms or DeploymentTerms()
    first_block = connection.block_number()
    if len(coins) >= MAX_COINS:
        raise InvalidParameter(f"at most {MAX_COINS - 1} beside MPC, got {len(coins)}", field="coins")
    if token is None:
        token = _create(connection, "mpc_token", TOKEN_SUPPLY)
    parts = [Web3.to_checksum_address(_create(connection, name)) for name in PARTS]
    # Each must know the other for ever, so the bank is told the address that the ledger is going to have.
    ledger = connection.next_contract(after=1)
    listed = [Coin(checked_address(token, "token"), bytes(20), 0), *coins]
    bank = _create(
        connection,
        "bank",
        Web3.to_checksum_address(ledger),
        parts[PARTS.index("bls_verifier")],
        [_coin_tuple(coin) for coin in listed],
        fixed.unbonding_s,
        fixed.challenge_s,
        fixed.min_node_stake,
        fixed.min_trainer_stake,
        fixed.min_fee,
        fixed.draw_fee,
    )
    contract = _create(connection, "zkpfl", Web3.to_checksum_address(bank), *parts, fixed.draw_delay)
    return LedgerClient(connection, contract, first_block=first_block)


def _coin_tuple(coin: Coin) -> tuple[str, str, int]:
    return Web3.to_checksum_address(coin.token), Web3.to_checksum_address(coin.feed), coin.max_age_s


def _create(connection: Connection, name: str, *arguments: object) -> bytes:
    contract = compiled(name)
    return connection.deploy(contract.abi, contract.bytecode, *arguments)
