"""Which stored content belongs to a job: pinned while it can still matter, let go when the job is over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from zkpfl.errors import DeadlineExceeded, LedgerError, Unavailable
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.records import Job
from zkpfl.protocol.manifests import KeyManifest
from zkpfl.protocol.trainer import PreparedSubmission
from zkpfl.roles.job_reader import JobReader
from zkpfl.storage.cid import ContentId
from zkpfl.storage.store import Store

MAX_CONTENT_BYTES = 1 << 32
"""Largest content of another party that is kept."""

KEEP_S = 2.0
"""How long one attempt to fetch what is to be kept may take a content: the job goes on meanwhile."""

_LABEL = re.compile(r"(\d{1,20})-([0-9a-f]{40})-(\d{1,20})-[0-9a-f]{40}")


def job_label(ledger: LedgerClient, job_id: int) -> str:
    """Label of what this account keeps of a job: ``chain-contract-job-account``."""
    return f"{ledger.chain_id}-{ledger.contract.hex()}-{job_id}-{ledger.account.hex()}"


def is_over(ledger: LedgerClient, job: Job) -> bool:
    """Whether a job has ended and nobody can bring evidence any more, which may need what was stored."""
    return job.status.ended and ledger.connection.timestamp() >= ledger.pays_at(job)


def release_if_over(ledger: LedgerClient, store: JobStore, job: Job) -> None:
    """Drop a job's label if the job is over; if the ledger does not answer, `release_finished` will."""
    with suppress(Unavailable, DeadlineExceeded, LedgerError):
        if is_over(ledger, job):
            store.release()


def release_finished(ledger: LedgerClient, store: Store) -> list[str]:
    """Drop the labels of this contract's jobs that are over, of whichever account; returns them."""
    released, jobs = [], ledger.job_count()
    for label in store.pins():
        match = _LABEL.fullmatch(label)
        if match is None or (int(match[1]), match[2]) != (ledger.chain_id, ledger.contract.hex()):
            continue
        number = int(match[3])
        if 1 <= number <= jobs and is_over(ledger, ledger.job(number)):
            store.unpin(label)
            released.append(label)
    return released


def keep_job_content(reader: JobReader, store: JobStore, key_manifest: bytes | None) -> None:
    """Pin what its owner stored for a job: manifest, bundle, slices of the test set, sealed key shares.

    Parameters
    ----------
    reader, store
        The job, and where it is kept.
    key_manifest
        Digest of the key manifest, None before the keys are handed over.

    Raises
    ------
    StorageError
        Something has not come within `KEEP_S` each; asking again goes on.
    InvalidEncoding
        A manifest is malformed.
    """
    manifest = reader.manifest
    digests = [reader.job().terms.manifest]
    texts = [manifest.bundle, *manifest.test_slices]
    if key_manifest is not None:
        digests.append(key_manifest)
        texts += KeyManifest.from_bytes(reader.content_by_digest(key_manifest)).shares
    for cid in (*map(ContentId.from_digest, digests), *map(ContentId.parse, texts)):
        store.keep(cid, max_size_bytes=MAX_CONTENT_BYTES, timeout_s=KEEP_S)


def publish_submission(store: JobStore, submission: PreparedSubmission) -> bytes:
    """Store a submission: commitments, sealed shares, manifest. Returns the manifest's digest, bytes[32]."""
    commitments = str(store.put(submission.commitments))
    blobs = [str(store.put(share.blob)) for share in submission.shares]
    return store.put(submission.manifest(commitments, blobs).to_bytes()).digest


class JobStore:
    """`Contents` for one job of one account: whatever is put is pinned under the job's label.

    Parameters
    ----------
    store
        Where it is put.
    label
        See `job_label`.
    """

    def __init__(self, store: Store, label: str) -> None:
        self._store = store
        self._label = label

    def put(self, data: bytes) -> ContentId:
        """Store and pin content."""
        return self._kept(self._store.put(data))

    def put_stream(self, chunks: Iterable[bytes]) -> ContentId:
        """Store and pin content that arrives in pieces."""
        return self._kept(self._store.put_stream(chunks))

    def keep(self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None) -> None:
        """Pin what another party stored, fetching it if need be."""
        self._store.pin(cid, self._label, max_size_bytes=max_size_bytes, timeout_s=timeout_s)

    def release(self) -> None:
        """Drop the job's label."""
        self._store.unpin(self._label)

    def get(self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None) -> bytes:
        """See ``Contents``."""
        return self._store.get(cid, max_size_bytes=max_size_bytes, timeout_s=timeout_s)

    def stream(
        self, cid: ContentId, *, max_size_bytes: int, timeout_s: float | None = None
    ) -> Iterator[bytes]:
        """See ``Contents``."""
        return self._store.stream(cid, max_size_bytes=max_size_bytes, timeout_s=timeout_s)

    def has(self, cid: ContentId) -> bool:
        """See ``Contents``."""
        return self._store.has(cid)

    def _kept(self, cid: ContentId) -> ContentId:
        self._store.pin(cid, self._label)
        return cid
