"""From a fault in local files to a verdict on the chain (docs/spec.md §9.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from zkpfl.crypto.points import G1Array
from zkpfl.crypto.scalars import Scalars
from zkpfl.crypto.sealing import EncryptionKey, member_key
from zkpfl.crypto.sharing import check_rows, share_commitments
from zkpfl.errors import InvalidParameter, NotDelivered
from zkpfl.ledger.client import LedgerClient
from zkpfl.ledger.judge import Case, Judge
from zkpfl.ledger.records import Round
from zkpfl.protocol.aggregate import decode_commitments, decode_points
from zkpfl.protocol.evidence import openings, row_leaves, row_pieces
from zkpfl.protocol.member import opened_share
from zkpfl.protocol.plan import RoundPlan, members_of
from zkpfl.protocol.received import received_rows
from zkpfl.roles.events import Reporter, RoleEvent
from zkpfl.roles.job_reader import JobReader
from zkpfl.storage.store import Store


class Accuser:
    """Finds the evidence in what storage holds, and brings it before the judge.

    Parameters
    ----------
    ledger
        Client of the account that accuses, and puts up the bond.
    store
        Where the round's content lies.
    job, round_
        Which round.
    report
        Told of each step.
    """

    def __init__(self, ledger: LedgerClient, store: Store, job: int, round_: int, report: Reporter) -> None:
        self._judge = Judge(ledger)
        self._reader = JobReader(ledger, store, job)
        self._job = job
        self._number = round_
        self._report = report

    def accuse_trainer(self, trainer: int, node: int, encryption: EncryptionKey) -> bool:
        """Accuse a trainer of a bad share.

        Parameters
        ----------
        trainer
            Number of the trainer, from 0.
        node
            Number of the zk-node that got the share, from 1.
        encryption
            The node's key, which opens the share. Secret.

        Returns
        -------
        bool
            The verdict.

        Raises
        ------
        InvalidParameter
            Every row fits its commitments: the judge would acquit.
        NotDelivered
            Storage does not have what was signed: that is no evidence.
        """
        plan = self._plan(self._round())
        submission = self._reader.submissions(self._number).get(trainer)
        if submission is None:
            raise NotDelivered("submitted nothing", party=plan.party(trainer), field="submission")
        manifest = self._reader.submission(plan, trainer, submission.manifest)
        points = self._points(plan, trainer)
        signed, blob = self._reader.share(plan, trainer, manifest, submission.commitment_root, node)
        rows = received_rows(plan, signed.message, blob, encryption, plan.party(trainer))
        row = _bad_row(rows, share_commitments(points, plan.layout, plan.committee, node))
        case = self._judge.accuse_share(signed, row)
        self._hand_in_row(case, rows, row)
        return self._hand_in_openings(case, [points], row_leaves(plan, node, row))

    def accuse_node(self, node: int, job_key: bytes) -> bool:
        """Accuse a zk-node of a bad aggregate share; ``job_key`` (secret) opens it. See `accuse_trainer`."""
        round_ = self._round()
        plan = self._plan(round_)
        manifest = self._reader.aggregate_manifest(plan, node)
        blob = self._reader.aggregate_blob(plan, node, manifest)
        public = self._reader.public_aggregate(plan, round_.accepted)
        rows = opened_share(plan, node, manifest, blob, member_key(job_key))
        row = _bad_row(rows, public.share_commitments(node))
        case = self._judge.accuse_aggregate_share(self._job, self._number, node, row)
        self._hand_in_row(case, rows, row)
        return self._hand_in_openings(case, self._members(plan, round_), row_leaves(plan, node, row))

    def accuse_signers(self, attested: bytes) -> bool:
        """Accuse those who attested a false aggregate.

        Parameters
        ----------
        attested
            Compressed points under the attested root.
        """
        round_ = self._round()
        plan = self._plan(round_)
        root = round_.aggregate_root
        if root is None:
            raise InvalidParameter("is not attested", field="round")
        claimed = decode_points(plan, attested, root, party="committee")
        public = self._reader.public_aggregate(plan, round_.accepted)
        total = public.sums
        if public.root == root:
            raise InvalidParameter("the attested aggregate is the sum of the commitments", field="points")
        leaf = next(index for index in range(len(total)) if total[index] != claimed[index])
        case = self._judge.accuse_attestation(self._job, self._number, leaf)
        self._tell(case)
        submissions = chain([claimed], self._members(plan, round_))
        return self._hand_in_openings(case, submissions, (leaf,))

    def _round(self) -> Round:
        return self._reader.round(self._number)

    def _plan(self, round_: Round) -> RoundPlan:
        return self._reader.plan(self._reader.job(), round_)

    def _points(self, plan: RoundPlan, trainer: int) -> G1Array:
        submission = self._reader.submissions(self._number)[trainer]
        manifest = self._reader.submission(plan, trainer, submission.manifest)
        data = self._reader.commitments(plan, trainer, manifest)
        return decode_commitments(plan, data, submission.commitment_root, party=plan.party(trainer))

    def _members(self, plan: RoundPlan, round_: Round) -> Iterator[G1Array]:
        """Submissions of the accepted set: one at a time in memory."""
        return (self._points(plan, trainer) for trainer in members_of(round_.accepted))

    def _hand_in_row(self, case: Case, rows: Scalars, row: int) -> None:
        self._tell(case)
        for piece in row_pieces(rows, row):
            case.add_piece(piece)
            self._tell(case)

    def _hand_in_openings(self, case: Case, submissions: Iterable[G1Array], leaves: tuple[int, ...]) -> bool:
        """Open the leaves of every submission, in as few calls as they fit in; returns the verdict."""
        case.add_openings([one for points in submissions for one in openings(points, leaves)])
        self._tell(case)
        return bool(case.guilty)

    def _tell(self, case: Case) -> None:
        done = {name: int(case.state[name]) for name in ("pieces", "openings")}
        self._report(RoleEvent("case", self._job, self._number, {"case": case.number, **done}))


def _bad_row(rows: Scalars, commitments: G1Array) -> int:
    row = check_rows(rows, commitments)
    if row is None:
        raise InvalidParameter("every row fits its commitments: there is nothing to judge", field="share")
    return row
