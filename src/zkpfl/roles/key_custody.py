"""A job's keys in shares: from the owner to the committee, from it to whom they are for (docs/spec.md §10).

Key 0 is the job key; key ``i ≥ 1`` is that of slice ``i`` of the test set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from zkpfl.crypto.key_sharing import KeySharing, key_digest, recover_key, share_digest, share_key
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.sealing import KEY_BYTES, EncryptionKey, derive_key, open_from, seal_to
from zkpfl.crypto.transcript import Context
from zkpfl.errors import (
    DeadlineExceeded,
    InvalidEncoding,
    NotAuthorized,
    NotDelivered,
    NotFound,
    StorageError,
    Unavailable,
    WrongContext,
    WrongPhase,
    ZkpflError,
)
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job, JobStatus, Phase, Round, RoundKind
from zkpfl.ledger.rules import slice_due
from zkpfl.params import Committee
from zkpfl.protocol.manifests import KeyAnnouncement, KeyManifest
from zkpfl.roles.job_reader import FaultHandler, JobReader, committee_member
from zkpfl.rpc.client import NodeClient
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Contents

JOB_KEY = 0
SHARE_TIMEOUT_S = 3.0
MAX_SEALED_SHARES_BYTES = 64 * 1024
"""A share of the job key and of a thousand slices' keys, sealed."""

AskNode = Callable[[int], NodeClient]
"""Gives the client of zk-node j."""


class OwnerKeys:
    """The keys of one job and their shares, as the owner makes them.

    Parameters
    ----------
    job_key
        bytes[32]. Secret.
    slice_keys
        Of each slice of the test set, in order; bytes[32] each. Secret.
    committee
        Its size and threshold.
    secret
        bytes[32] that the owner derives for this job and knows again after a crash. Secret.
    """

    def __init__(
        self, job_key: bytes, slice_keys: Sequence[bytes], committee: Committee, secret: bytes
    ) -> None:
        self._job_key = job_key
        self._sharings: list[KeySharing] = [
            share_key(
                key, committee, derive_key(secret, purpose="key-shares", context=number.to_bytes(4, "big"))
            )
            for number, key in enumerate([job_key, *slice_keys])
        ]

    def announcement(self) -> KeyAnnouncement:
        """What the job manifest says about them."""
        of_job_key, *of_slices = self._sharings
        return KeyAnnouncement(
            digest=key_digest(self._job_key),
            mask=of_job_key.mask,
            shares=tuple(share_digest(node, share) for node, share in enumerate(of_job_key.shares, start=1)),
            slice_masks=tuple(sharing.mask for sharing in of_slices),
        )

    def hand_over(self, ledger: LedgerClient, store: Contents, job: Job) -> None:
        """Seal every zk-node its shares, and record on the ledger where they lie."""
        content_ids = []
        for node, address in enumerate(job.committee, start=1):
            shares = b"".join(sharing.shares[node - 1] for sharing in self._sharings)
            context = handing_context(_context(ledger, job.id), node)
            public = committee_member(ledger, address).encryption_key
            content_ids.append(str(store.put(seal_to(public, shares, context=context))))
        ledger.share_keys(job.id, store.put(KeyManifest(tuple(content_ids)).to_bytes()).digest)


class KeyCustodian:
    """A zk-node's shares of a job's keys; may be asked from several threads.

    Parameters
    ----------
    ledger
        Says who may have what.
    store
        Where the node's sealed shares lie.
    reader
        The job.
    encryption
        The node's key. Secret.
    node
        Its number, from 1.
    """

    def __init__(
        self, ledger: LedgerClient, store: Contents, reader: JobReader, encryption: EncryptionKey, node: int
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._reader = reader
        self._encryption = encryption
        self._node = node
        self._opened: tuple[bytes, list[bytes]] | None = None

    def release(self, account: bytes, number: int) -> bytes:
        """Seal the share of a key to an account that may have it by the finalised ledger.

        The job key is for trainers who have joined and are staked; that of a slice is for the other zk-nodes,
        from when it is due.

        Parameters
        ----------
        account
            bytes[20], of a trainer or zk-node.
        number
            0 for the job key, else of the slice.

        Raises
        ------
        NotAuthorized
            The key is not for this account.
        WrongPhase
            Not yet: the owner has not handed out shares, the block is not final, or the slice is not due.
        WrongContext, NotDelivered
            The owner handed this node something else than it announced.
        """
        public = self._trainer_key(account) if number == JOB_KEY else self._node_key(account, number)
        context = releasing_context(_context(self._ledger, self._reader.job_id), self._node, account, number)
        try:
            return seal_to(public, self.share(number), context=context)
        except InvalidEncoding as error:
            text, party = f"its registered key {error.message}", f"account 0x{account.hex()}"
            raise NotAuthorized(text, party=party, field="encryption_key") from error

    def share(self, number: int) -> bytes:
        """Return this node's own share of a key, bytes[32]; secret. Raises as `release` does."""
        shares = self._shares()
        if number >= len(shares):
            raise NotAuthorized(f"there is no slice {number}", party="peer", field="number")
        return shares[number]

    def _trainer_key(self, account: bytes) -> bytes:
        job, party = self._reader.job_id, f"trainer 0x{account.hex()}"
        if not self._ledger.has_trainer(job, account, finalized=True):
            if self._ledger.has_trainer(job, account):
                raise WrongPhase("its joining is not final yet", party=party, field="account")
            raise NotAuthorized(f"is not a trainer of job {job}", party=party, field="account")
        record = self._ledger.trainer(account)
        if record is None:
            raise NotAuthorized("is not registered", party=party, field="account")
        return record.encryption_key

    def _node_key(self, account: bytes, number: int) -> bytes:
        job = self._reader.job(finalized=True)
        if account not in job.committee:
            party = f"account 0x{account.hex()}"
            raise NotAuthorized(f"is not in the committee of job {job.id}", party=party, field="account")
        round_ = self._reader.final_round(job.current_round)
        if number != job.slices_opened + 1 or not slice_is_due(job, round_):
            raise WrongPhase(f"slice {number} is not due", party="peer", field="number")
        return committee_member(self._ledger, account).encryption_key

    def _shares(self) -> list[bytes]:
        digest = self._ledger.key_shares(self._reader.job_id)
        if digest is None:
            raise WrongPhase("the owner has not handed out its keys' shares", party=self._owner)
        if self._opened is None or self._opened[0] != digest:
            self._opened = digest, self._open(digest)
        return self._opened[1]

    def _open(self, digest: bytes) -> list[bytes]:
        try:
            manifest = KeyManifest.from_bytes(self._reader.content_by_digest(digest))
            content_id = ContentId.parse(manifest.shares[self._node - 1])
            blob = self._store.get(content_id, max_size_bytes=MAX_SEALED_SHARES_BYTES)
            context = handing_context(_context(self._ledger, self._reader.job_id), self._node)
            opened = open_from(self._encryption, blob, context=context)
        except NotFound as error:
            text = f"what zk-node {self._node} was handed is not in storage: {error}"
            raise NotDelivered(text, party=self._owner, field="key_shares") from error
        except (InvalidEncoding, StorageError, IndexError) as error:
            text = f"zk-node {self._node} cannot open what it was handed: {error}"
            raise WrongContext(text, party=self._owner, field="key_shares") from error
        announced = self._reader.manifest.keys
        shares = [opened[start : start + KEY_BYTES] for start in range(0, len(opened), KEY_BYTES)]
        if len(opened) != KEY_BYTES * (1 + len(announced.slice_masks)):
            raise WrongContext("not a share of each key", party=self._owner, field="key_shares")
        if share_digest(self._node, shares[JOB_KEY]) != announced.shares[self._node - 1]:
            text = f"zk-node {self._node} was handed another share of the job key than was announced"
            raise WrongContext(text, party=self._owner, field="key_shares")
        return shares

    @property
    def _owner(self) -> str:
        return f"owner of job {self._reader.job_id}"


class KeyCollector:
    """Gathers shares of one key from zk-nodes, until t of them give it.

    Parameters
    ----------
    ledger
        Client with the account that may have the key.
    reader
        The job.
    encryption
        The account's key. Secret.
    number
        0 for the job key, else of the slice.
    ask
        Gives the client of a zk-node.
    on_fault
        Told once of each zk-node that answers with something else.
    """

    def __init__(
        self,
        ledger: LedgerClient,
        reader: JobReader,
        encryption: EncryptionKey,
        number: int,
        ask: AskNode,
        on_fault: FaultHandler,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._encryption = encryption
        self._number = number
        self._ask = ask
        self._on_fault = on_fault
        self._shares: dict[int, bytes] = {}
        self._refused: dict[int, ZkpflError] = {}
        self._told: set[str] = set()

    def add(self, node: int, share: bytes) -> None:
        """Take a share that is known already, bytes[32]. Secret."""
        self._shares[node] = share

    def collect(self, job: Job) -> bytes | None:
        """Ask the zk-nodes whose share is missing; returns the key (secret) as soon as t shares give it.

        Returns
        -------
        bytes or None
            bytes[32]; None if zk-nodes must be asked again later.

        Raises
        ------
        WrongContext
            The job's keys are not as the owner announced them: no number of shares will give the key.
        NotAuthorized
            So many zk-nodes refuse this account that the others' shares are too few.
        """
        for node in range(1, len(job.committee) + 1):
            if len(self._shares) >= job.terms.threshold and (key := self._recovered(job)) is not None:
                return key
            if node not in self._shares and node not in self._refused:
                self._request(job, node)
        key = self._recovered(job)
        if key is None and self._number == JOB_KEY:
            self._require_hope(job)
        return key

    def _request(self, job: Job, node: int) -> None:
        context = _context(self._ledger, job.id)
        account = self._ledger.account
        try:
            client = self._ask(node)
            sealed = client.key_share(context, account, self._number, timeout_s=SHARE_TIMEOUT_S)
            opening = releasing_context(context, node, account, self._number)
            self._shares[node] = self._checked(node, open_from(self._encryption, sealed, context=opening))
        except (Unavailable, DeadlineExceeded, WrongPhase):
            return  # later
        except ZkpflError as error:
            if not isinstance(error, NotDelivered):  # what is not in storage yet may still come
                self._refused[node] = error
            self._tell(f"zk-node {node} gave no share of key {self._number}: {error}", error)

    def _tell(self, text: str, error: ZkpflError) -> None:
        if text not in self._told:
            self._told.add(text)
            self._on_fault(NotDelivered(text, party=error.party, field=error.field))

    def _checked(self, node: int, share: bytes) -> bytes:
        announced = self._reader.manifest.keys
        wrong = len(share) != KEY_BYTES
        if self._number == JOB_KEY and not wrong:
            wrong = share_digest(node, share) != announced.shares[node - 1]
        if wrong:
            raise WrongContext("not the announced share", party=f"zk-node {node}", field="key_share")
        return share

    def _recovered(self, job: Job) -> bytes | None:
        announced, threshold = self._reader.manifest.keys, job.terms.threshold
        if self._number == JOB_KEY:
            mask, is_key = announced.mask, lambda key: key_digest(key) == announced.digest
        else:
            mask = announced.slice_masks[self._number - 1]
            is_key = lambda key: keccak256(key) == job.slice_key  # noqa: E731
        return recover_key(mask, self._shares, threshold, is_key)

    def _require_hope(self, job: Job) -> None:
        """Raise if even the shares that are missing cannot help."""
        party, threshold = f"owner of job {job.id}", job.terms.threshold
        if len(self._shares) >= threshold:
            text = "the announced shares do not give the announced key"
            raise WrongContext(text, party=party, field="key_shares")
        if len(job.committee) - len(self._refused) < threshold:
            for error in self._refused.values():
                if isinstance(error, NotAuthorized):
                    raise error
            reasons = "; ".join(f"zk-node {node}: {error}" for node, error in self._refused.items())
            text = f"fewer than {threshold} zk-nodes have a good share of the job key ({reasons})"
            raise WrongContext(text, party=party, field="key_shares")


def slice_is_due(job: Job, round_: Round | None) -> bool:
    """Whether a slice of the test set is to be opened now: updates are final, scores are not."""
    return (
        job.status is JobStatus.RUNNING
        and round_ is not None
        and round_.kind is RoundKind.TRAINING
        and Phase.CHECK <= round_.phase <= Phase.ATTEST
        and not round_.slice_opened
        and slice_due(job.trained, job.slices_opened, job.terms)
    )


def bundle_hash(job_key: bytes, bundle: bytes) -> bytes:
    """``SHA-256(salt ‖ plain bundle)``, bytes[32]. The salt follows from the job key, so none can guess."""
    return hashlib.sha256(derive_key(job_key, purpose="bundle-hash") + bundle).digest()


def handing_context(context: Context, node: int) -> bytes:
    """What the sealing of a zk-node's shares is bound to."""
    return b"key-shares" + context.to_bytes() + bytes((node,))


def releasing_context(context: Context, node: int, account: bytes, number: int) -> bytes:
    """What the sealing of one zk-node's share of one key to an account is bound to."""
    return b"key-share" + context.to_bytes() + bytes((node,)) + number.to_bytes(4, "big") + account


def _context(ledger: LedgerClient, job: int) -> Context:
    """Of a job and no round."""
    return Context(ledger.chain_id, ledger.contract, job, 0)
