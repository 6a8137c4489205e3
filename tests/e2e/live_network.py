"""Real roles over a real EVM node, gRPC and disk, each in a thread of the test."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zkpfl.learning.bundle import Bundle
from zkpfl.learning.records import Records
from zkpfl.learning.training_worker import TrainingLimits
from zkpfl.ledger.client import LedgerClient, deploy
from zkpfl.ledger.connection import Connection
from zkpfl.ledger.records import MPC, DeploymentTerms, Durations, Job
from zkpfl.roles.events import RoleEvent
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_key import new_job_key
from zkpfl.roles.journal import SqliteReleaseJournal
from zkpfl.roles.model_owner import JobOrder, JobResult, ModelOwnerRole
from zkpfl.roles.policy import JoinPolicy
from zkpfl.roles.trainer import TrainerRole, TrainerSettings
from zkpfl.roles.zk_node import ZkNodeRole
from zkpfl.rpc.server import RunningServer, serve
from zkpfl.storage.local import LocalStore
from zkpfl.storage.store import Store

STAKE = 500 * MPC
PURSE = 2000 * MPC
DURATIONS = Durations(join=60, collect=20, check=10, aggregate=10, attest=10, score=20, reveal=10)


@dataclass
class Recorder:
    """Collects events, for assertions."""

    events: list[RoleEvent] = field(default_factory=list)

    def __call__(self, event: RoleEvent) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[RoleEvent]:
        return [event for event in self.events if event.kind == kind]

    def fault_codes(self) -> set[tuple[Any, Any]]:
        return {(event.fields["code"], event.fields["party"]) for event in self.of("fault")}


class RoleThread:
    """A role's `run` in a thread that a test can stop, and whose error it sees."""

    def __init__(self, target: Any, *arguments: Any) -> None:
        self.stop = threading.Event()
        self.recorder = Recorder()
        self.result: Any = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(target, arguments), daemon=True)

    def _run(self, target: Any, arguments: tuple[Any, ...]) -> None:
        try:
            self.result = target(self, *arguments)
        except BaseException as error:
            self.error = error

    def start(self) -> RoleThread:
        self._thread.start()
        return self

    def kill(self) -> None:
        """Stop at the next look at the ledger, as a process that dies would from the outside."""
        self.stop.set()
        self._thread.join(timeout=30)

    def join(self, timeout_s: float) -> Any:
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the role did not end in time"
        if self.error is not None:
            raise self.error
        return self.result


class LiveNetwork:
    """A ledger, storage, and parties that run as threads."""

    def __init__(self, url: str, folder: Path, *, nodes: int = 3) -> None:
        self.url = url
        self.folder = folder
        self.store_folder = folder / "store"
        self.store = self.open_store("owner")
        self.deployer = Identity.generate(with_bls=False)
        self.treasury = deploy(Connection(url, self.deployer.account), DeploymentTerms(challenge_s=1))
        self.node_identities = [self._funded(Identity.generate(with_bls=True)) for _ in range(nodes)]
        self.owner_identity = self._funded(Identity.generate(with_bls=False))
        self.nodes = [self._start_node(index) for index in range(nodes)]
        self.job_key = new_job_key()
        self.owner: RoleThread | None = None
        self.trainers: list[RoleThread] = []

    def client(self, identity: Identity) -> LedgerClient:
        return LedgerClient(Connection(self.url, identity.account), self.treasury.contract)

    def open_store(self, party: str) -> Store:
        """A party's view of storage: one folder for all."""
        return LocalStore(self.store_folder)

    def close(self) -> None:
        for thread in [*self.nodes, *self.trainers, *([self.owner] if self.owner else [])]:
            thread.kill()

    # Parties

    def restart_node(self, index: int) -> None:
        self.nodes[index] = self._start_node(index)

    def start_owner(self, bundle: Bundle, **changes: Any) -> int:
        """Submit the job and follow it; returns its number."""
        job_id, role, recorder = self._submit(bundle, changes)

        def follow(thread: RoleThread) -> JobResult:
            return role.follow(job_id, self.job_key, thread.stop)

        self.owner = RoleThread(follow)
        self.owner.recorder = recorder
        self.owner.start()
        self.wait_until(lambda: self.treasury.job(job_id).committee)
        self._seat(self.treasury.job(job_id).committee)
        return job_id

    def submit_and_go(self, bundle: Bundle, **changes: Any) -> int:
        """Submit the job and hand over its keys: from then on there is no owner; returns its number."""
        job_id, role, _ = self._submit(bundle, changes)
        job = role.hand_over(job_id, self.job_key, threading.Event())
        self._seat(job.committee)
        return job_id

    def _submit(self, bundle: Bundle, changes: dict[str, Any]) -> tuple[int, ModelOwnerRole, Recorder]:
        recorder = Recorder()
        role = ModelOwnerRole(self.client(self.owner_identity), self.store, self.owner_identity, recorder)
        order = JobOrder(
            **(
                {
                    "fee": 100 * MPC,
                    "training_rounds": 3,
                    "target_ppm": 990_000,
                    "baseline_ppm": 500_000,
                    "threshold": 2,
                    "quorum": 2,
                    "max_trainers": 4,
                    "durations": DURATIONS,
                    "deadline": int(time.time()) + 3600,
                    "nodes": len(self.node_identities),
                }
                | changes
            )
        )
        return role.submit(bundle, order, self.job_key), role, recorder

    def _seat(self, committee: tuple[bytes, ...]) -> None:
        """From now on node j of the committee is the j-th of the lists."""
        places = {identity.account.address: index for index, identity in enumerate(self.node_identities)}
        order = [places[account] for account in committee]
        self.nodes = [self.nodes[index] for index in order]
        self.node_identities = [self.node_identities[index] for index in order]

    def start_trainer(
        self,
        job_id: int,
        records: Records,
        *,
        seed: int | None = 0,
        limits: TrainingLimits | None = None,
        kind: type[TrainerRole] = TrainerRole,
    ) -> RoleThread:
        """Start a trainer once those before it have joined, so that its number is its place in the list."""
        number = len(self.trainers)
        identity = self._funded(Identity.generate(with_bls=False))
        store = self.open_store(f"trainer-{number}")

        def run(thread: RoleThread) -> Job:
            policy = JoinPolicy(most_epsilon=math.inf)
            settings = TrainerSettings(stake=STAKE, seed=seed, policy=policy, limits=limits)
            client = self.client(identity)
            load = lambda _recipe: records  # noqa: E731
            role = kind(client, store, identity, load, job_id, settings, thread.recorder)
            return role.run(thread.stop)

        thread = RoleThread(run).start()
        self.trainers.append(thread)
        self.wait_until(lambda: len(self.treasury.job(job_id).trainers) > number or thread.error is not None)
        return thread

    def wait_until(self, condition: Any, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.02)

    def finish(self, timeout_s: float = 120.0) -> JobResult:
        """Wait for the owner, then for the trainers that still run."""
        assert self.owner is not None
        result: JobResult = self.owner.join(timeout_s)
        for trainer in self.trainers:
            if not trainer.stop.is_set():
                trainer.join(30.0)
        return result

    # Below: how

    def _funded(self, identity: Identity) -> Identity:
        self.treasury.token.transfer(identity.account.address, PURSE)
        return identity

    def _start_node(self, index: int) -> RoleThread:
        identity = self.node_identities[index]
        ready = threading.Event()
        store = self.open_store(f"node-{identity.account.address.hex()}")

        def run(thread: RoleThread) -> None:
            client = self.client(identity)
            name = f"node-{identity.account.address.hex()}"
            journal = SqliteReleaseJournal(self.folder / name / "released.db")
            role = ZkNodeRole(client, store, identity, journal, thread.recorder)
            record = client.node(identity.account.address)
            port = int(record.endpoint.rsplit(":", 1)[1]) if record else 0
            server: RunningServer
            with serve(role, port=port, identity=role.transport, limits=role.admit) as server:
                role.register(server.endpoint, STAKE)
                ready.set()
                role.run(thread.stop)
            journal.close()

        thread = RoleThread(run).start()
        assert ready.wait(30), thread.error
        return thread
