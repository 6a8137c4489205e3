"""Which jobs a trainer lets itself into: nothing binds its stake or data that its policy refuses."""

from __future__ import annotations

from dataclasses import dataclass

from zkpfl.errors import NotAuthorized
from zkpfl.ledger.records import Job


@dataclass(frozen=True)
class JoinPolicy:
    """What a job must offer before a trainer joins it.

    Parameters
    ----------
    smallest_set
        Fewest trainers in a sum: the smaller the set, the more its sum says about each.
    known_nodes
        Accounts of zk-nodes that the trainer trusts not to collude; empty if it trusts any.
    """

    smallest_set: int = 2
    known_nodes: frozenset[bytes] = frozenset()

    def require(self, job: Job) -> None:
        """Raise `NotAuthorized`, naming the term, unless the job is within this policy."""
        party, hint = f"owner of job {job.id}", "join another job, or change the policy"
        if job.terms.quorum < self.smallest_set:
            text = f"sums of {job.terms.quorum} trainers are allowed, the policy wants {self.smallest_set}"
            raise NotAuthorized(text, party=party, field="quorum", hint=hint)
        unknown = [node for node in job.committee if node not in self.known_nodes]
        # Updates stay hidden from t − 1 colluding zk-nodes, so that many may be strangers.
        if self.known_nodes and len(unknown) >= job.terms.threshold:
            names = ", ".join(f"0x{node.hex()}" for node in unknown)
            text = f"a sum can be opened by {job.terms.threshold} zk-nodes that are not known: {names}"
            raise NotAuthorized(text, party=party, field="committee", hint=hint)
