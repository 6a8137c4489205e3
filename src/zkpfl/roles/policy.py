"""Which jobs a trainer lets itself into: nothing binds its stake or data that its policy refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zkpfl.errors import InvalidParameter, NotAuthorized
from zkpfl.ledger.records import Job
from zkpfl.privacy.levels import Privacy
from zkpfl.roles.privacy_budget import require_budget


@dataclass(frozen=True)
class JoinPolicy:
    """What a job must offer before a trainer joins it.

    Parameters
    ----------
    smallest_set
        Fewest trainers in a sum: the smaller the set, the more its sum says about each.
    known_nodes
        Accounts of zk-nodes that the trainer trusts not to collude; empty if it trusts any.
    most_epsilon, most_delta
        Largest budget ε, δ that a job may have of each of the trainer's records. Infinite ``most_epsilon``
        admits jobs without privacy too.
    """

    smallest_set: int = 2
    known_nodes: frozenset[bytes] = frozenset()
    most_epsilon: float = 8.0
    most_delta: float = 1e-3

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

    def require_privacy(self, job: Job, privacy: Privacy | None) -> None:
        """Raise `NotAuthorized` unless the job may spend no more than the policy allows."""
        party = f"owner of job {job.id}"
        if privacy is None:
            if self.most_epsilon == math.inf:
                return
            hint = "join a private job, or set most_epsilon to inf"
            raise NotAuthorized("the job is not private", party=party, field="privacy", hint=hint)
        hint = "join another job, or change the policy"
        if privacy.epsilon > self.most_epsilon or privacy.delta > self.most_delta:
            asked = f"ε = {privacy.epsilon:g}, δ = {privacy.delta:g}"
            text = f"asks for {asked}; the policy allows ε = {self.most_epsilon:g}, δ = {self.most_delta:g}"
            raise NotAuthorized(text, party=party, field="privacy", hint=hint)
        try:
            require_budget(privacy, job.terms.training_rounds)
        except InvalidParameter as error:
            raise NotAuthorized(error.message, party=party, field="privacy", hint=hint) from error
