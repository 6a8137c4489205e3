"""The course of a demo: deploy, start everyone, follow the job, settle, compare."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zkpfl.cli.children import Child, Crew
from zkpfl.cli.demo.display import Display
from zkpfl.cli.demo.parties import JOB, PATIENCE_S, Parties
from zkpfl.cli.demo.report import AttackOutcome, DemoReport
from zkpfl.cli.demo.round_clock import RoundClock
from zkpfl.cli.demo.settings import ATTACKER, DemoSettings
from zkpfl.cli.demo.stopwatch import Stopwatch
from zkpfl.cli.demo.uploads import Uploads
from zkpfl.cli.deployment import deploy_network
from zkpfl.cli.jobs import POLL_S, job_result
from zkpfl.cli.ledger import UNBONDING_S
from zkpfl.cli.output import Output
from zkpfl.cli.payouts import conservation, payouts
from zkpfl.errors import JobFailed, Unavailable, ZkpflError
from zkpfl.ledger.client import TOKEN_SUPPLY, LedgerClient
from zkpfl.ledger.records import DeploymentTerms, Job, RoundKind
from zkpfl.roles.events import fault_event
from zkpfl.roles.job_key import load_job_key
from zkpfl.roles.network import Network
from zkpfl.roles.store_place import LocalPlace

if TYPE_CHECKING:
    from zkpfl.cli.demo.audit import RoundAudit

CHALLENGE_S = 1
"""Seconds after the end in which the demo's ledger would take evidence, before it pays."""

LEAVE_TIMEOUT_S = 20.0
"""How long owner and trainers may take to collect what the ended job owes them."""


def run_demo(
    settings: DemoSettings, output: Output, stop: threading.Event, clock: Stopwatch, *, keep: bool
) -> DemoReport:
    """Run a whole job and report on it; when this returns, no process is left.

    Raises
    ------
    Unavailable, DeadlineExceeded
        A process did not start, or the ledger went away.
    JobFailed
        Told to stop before the end.
    """
    demo = _Demo(settings, output, stop, clock)
    with Crew(settings.data_dir / "logs", demo.hear) as crew, demo.display.progress:
        report = demo.run(crew)
        if keep:
            demo.display.progress.stop()
            output.text(f"still serving; network file: {demo.parties.network_file}; stop with Ctrl-C")
            stop.wait()
    return report


class _Demo:
    """State of one run."""

    def __init__(
        self, settings: DemoSettings, output: Output, stop: threading.Event, clock: Stopwatch
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._clock = clock
        self._uploads = Uploads()
        self.display = Display(output)
        self.parties = Parties(settings)

    def hear(self, child: Child, event: dict[str, Any]) -> None:
        """Take an event of a child, in a thread of its own."""
        self._uploads.take(event)
        self.display.child_event(child.name, event)

    def run(self, crew: Crew) -> DemoReport:
        """Start everyone, follow the job to its end, let everyone take what is owed, compare."""
        chain = crew.start("ledger", self.parties.ledger_command())
        network = self._deploy(chain)
        self.display.introduce(self._settings, network)
        nodes = [crew.start(*command) for command in self.parties.node_commands()]
        owner = crew.start("owner", self.parties.owner_command())
        trainers = [crew.start(*command) for command in self.parties.trainer_commands()]
        # Loads torch, as most children do at this moment; the ledger, awaited before, does without.
        from zkpfl.cli.demo.follow import Follower

        ledger = network.connect(None, self._stop)
        began = self._recruit(ledger, chain, nodes, owner)
        with RoundClock(ledger, JOB, began) as clock:
            audit = self._audit(ledger, network)
            follower = Follower(ledger, audit, self._uploads, self.display, JOB, clock)
            while not (job := follower.poll()).status.ended:
                self._pause(chain)
        self._clock.lap("rounds")
        for child in (owner, *trainers):
            child.wait(LEAVE_TIMEOUT_S)
        self._clock.lap("settle")
        return self._report(ledger, job, audit, follower.verified, self._compare(job, audit))

    def _deploy(self, chain: Child) -> Network:
        url = str(chain.wait_for("serving", PATIENCE_S, self._stop)["url"])
        self._clock.lap("ledger")
        terms = DeploymentTerms(unbonding_s=UNBONDING_S, challenge_s=CHALLENGE_S)
        store = LocalPlace(self._settings.data_dir / "store")
        account, file, grants = (
            self.parties.deployer.account,
            self.parties.network_file,
            self.parties.grants(),
        )
        deploy_network(url, account, file, store, grants, terms)
        self._clock.lap("deploy")
        return Network.load(file)

    def _recruit(self, ledger: LedgerClient, chain: Child, nodes: Sequence[Child], owner: Child) -> float:
        """Wait until the first round begins, and return when that was."""
        for number, node in enumerate(nodes):
            self.display.advance("zk-nodes register", number, len(nodes))
            node.wait_for("ready", PATIENCE_S, self._stop)
        owner.wait_for("job_created", PATIENCE_S, self._stop)
        self._clock.lap("committee")
        job = ledger.job(JOB)
        while not job.current_round and not job.status.ended:
            self.display.advance("trainers join", len(job.trainers), self._settings.trainers)
            self._pause(chain)
            job = ledger.job(JOB)
        self._clock.lap("join")
        return time.monotonic()

    def _audit(self, ledger: LedgerClient, network: Network) -> RoundAudit:
        from zkpfl.cli.demo.audit import RoundAudit

        key = load_job_key(self.parties.job_key_file)
        return RoundAudit(ledger, network.open_store(), JOB, key, self._fault)

    def _compare(self, job: Job, audit: RoundAudit) -> tuple[float, float, float | None]:
        """Accuracy on the whole test set of the job's model, and of plain averaging in as many rounds.

        Last that of plain averaging with an attacker's updates, if there is one.
        """
        from zkpfl.cli.demo.baseline import attacked_accuracy, baseline_accuracy
        from zkpfl.cli.sources import model_source

        self.display.advance("plain federated averaging, to compare", 0, 1)
        run = self._settings
        bundle = model_source(run.data.value, run.seed, run.privacy, run.rounds).bundle
        rounds = max(1, job.trained)
        accuracies = (
            audit.accuracy_on(bundle.test_set),
            baseline_accuracy(run, bundle, rounds),
            attacked_accuracy(run, bundle, rounds) if run.attack else None,
        )
        self._clock.lap("baseline")
        return accuracies

    def _report(
        self,
        ledger: LedgerClient,
        job: Job,
        audit: RoundAudit,
        verified: bool,
        accuracies: tuple[float, float, float | None],
    ) -> DemoReport:
        return DemoReport(
            job=job_result(ledger, job, audit.reader),
            verified=verified,
            conservation=conservation(ledger, self.parties.names(), TOKEN_SUPPLY),
            payouts=payouts(ledger, job, self.parties.names()),
            model_accuracy=accuracies[0],
            baseline_accuracy=accuracies[1],
            stages=self._clock.laps,
            wall_s=self._clock.total(),
            seed=self._settings.seed,
            data_dir=self._settings.data_dir,
            factors=self._factors(ledger, job),
            attack=self._outcome(ledger, job, accuracies[2]),
        )

    def _factors(self, ledger: LedgerClient, job: Job) -> dict[int, dict[str, int]]:
        """What contributions decided, where they did."""
        names = self.parties.names()
        decided = {number: ledger.factors(JOB, number) for number in range(1, job.current_round + 1)}
        return {
            number: {names[job.trainers[trainer]]: percent for trainer, percent in factors.items()}
            for number, factors in decided.items()
            if factors
        }

    def _outcome(self, ledger: LedgerClient, job: Job, unstopped: float | None) -> AttackOutcome | None:
        run = self._settings
        if run.attack is None or unstopped is None:
            return None
        place = job.submitter(self.parties.trainers[ATTACKER].account.address)
        rounds = [ledger.round(JOB, number) for number in range(1, job.current_round + 1)]
        trained = [one for one in rounds if one.kind is RoundKind.TRAINING and one.accepted]
        accepted = sum(place is not None and one.accepted >> place & 1 for one in trained)
        name = run.trainer_names[ATTACKER]
        return AttackOutcome(run.attack.value, name, accepted, len(trained), round(unstopped, 6))

    def _pause(self, chain: Child) -> None:
        """Wait a moment; raise if there is nothing left to wait for."""
        if self._stop.wait(POLL_S):
            raise JobFailed("stopped before the job ended", hint="its data stays where it is")
        if not chain.alive:
            raise Unavailable(chain.failure(), party="ledger", hint="its log says more")

    def _fault(self, error: ZkpflError) -> None:
        self.display.fault(fault_event(error, JOB, None).to_dict())
