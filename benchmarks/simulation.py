"""One round between simulated parties in one process: time and memory of each stage, bytes a message."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks import material
from zkpfl.crypto.encoding import decode_mean, encode_update
from zkpfl.crypto.proofs import norm
from zkpfl.crypto.sealing import EncryptionKey, generate_encryption_key
from zkpfl.crypto.sharing import ShareCheck
from zkpfl.crypto.signatures import AccountKey
from zkpfl.crypto.transcript import Context
from zkpfl.errors import Equivocation
from zkpfl.params import Committee
from zkpfl.protocol import received, trainer
from zkpfl.protocol.member import MemberRound
from zkpfl.protocol.norm_proofs import norm_statement
from zkpfl.protocol.plan import CommitteeMember, RoundPlan
from zkpfl.protocol.trainer import PreparedSubmission, SeededShares, SharedValues, share_values
from zkpfl.protocol.zk_node import AggregateShare, NodeRound

Result = TypeVar("Result")
COMMITTEE = Committee(3, 2)
JUDGE = COMMITTEE.size
"""The zk-node that is measured: the last one, which receives matrices and not seeds."""


OFFLINE = "trainer: prepare seeded shares (offline)"
ENCODE = "trainer: encode"
SHARE = "trainer: commit, share, seal"
PROVE = "trainer: prove the norm"
RECEIVE = "zk-node: hash, decode, check and add, a trainer"
VERIFY = "zk-node: verify norm proofs, a round"
RELEASE = "zk-node: check batch, aggregate, prove, a round"
COMMIT, SEAL, DECODE, CHECK = "commit", "seal", "decode commitments", "check shares against commitments"

PARTS: tuple[tuple[str, Any, str], ...] = (
    (COMMIT, trainer, "commit_rows"),
    (COMMIT, trainer, "commit_lanes"),
    (SEAL, trainer, "seal_to"),
    (DECODE, received, "decode_commitments"),
    (CHECK, received, "combine_share"),
    (CHECK, ShareCheck, "faulty"),
)
"""Calls inside stages that are timed by themselves: name of the part, module or class, attribute."""


@dataclass
class Stage:
    """One stage: how often it ran, its least seconds, and the most bytes of memory that a run added.

    Parameters
    ----------
    parts
        Least seconds of a run that went into each of `PARTS`.
    """

    runs: int = 0
    seconds: float = float("inf")
    memory: int = 0
    parts: dict[str, float] = field(default_factory=dict)

    def record(self, seconds: float, parts: dict[str, float]) -> None:
        """Add a run."""
        self.runs += 1
        self.seconds = min(self.seconds, seconds)
        for name, part in parts.items():
            self.parts[name] = min(self.parts.get(name, part), part)


@dataclass
class Costs:
    """What a round costs.

    Parameters
    ----------
    stages
        By role and stage.
    messages
        Bytes of each message.
    kept
        Bytes by which the process grew between the first trainer's share and the last one's, a zk-node.
    peaks
        Whether memory is measured; then what was freed goes back to the system before each stage.
    """

    dimension: int
    columns: int
    trainers: int
    kept: int = 0
    peaks: bool = True
    stages: dict[str, Stage] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._running: dict[str, float] | None = None

    def measure(self, stage: str, run: Callable[[], Result]) -> Result:
        """Run a stage and record it."""
        own, parts, seconds = self.stages.setdefault(stage, Stage()), dict[str, float](), _clock()
        with _peak_memory() if self.peaks else nullcontext(int) as added:
            self._running = parts
            begin = seconds()
            result = run()
            own.record(seconds() - begin, parts)
            self._running = None
        own.memory = max(own.memory, added())
        return result

    @contextmanager
    def parts(self) -> Iterator[None]:
        """Time `PARTS` of the stages that run meanwhile."""
        with ExitStack() as stack:
            for name, owner, attribute in PARTS:
                stack.enter_context(self._timed(name, owner, attribute))
            yield

    @contextmanager
    def _timed(self, name: str, owner: Any, attribute: str) -> Iterator[None]:
        original, seconds = getattr(owner, attribute), _clock()

        def run(*arguments: Any, **named: Any) -> Any:
            begin = seconds()
            result = original(*arguments, **named)
            if self._running is not None:
                self._running[name] = self._running.get(name, 0.0) + seconds() - begin
            return result

        setattr(owner, attribute, run)
        try:
            yield
        finally:
            setattr(owner, attribute, original)


class Memory:
    """A release journal that is not durable."""

    def __init__(self) -> None:
        self._recorded: dict[Context, bytes] = {}

    def record(self, context: Context, accepted_hash: bytes) -> None:
        if self._recorded.setdefault(context, accepted_hash) != accepted_hash:
            raise Equivocation("another set is recorded", party="zk-node", field="accepted")


class Folder:
    """An archive on disk that does not wait for it: what is measured is the node and not the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = count()

    def put(self, data: bytes) -> Path:
        path = self._path / str(next(self._numbers))
        path.write_bytes(data)
        return path

    def get(self, handle: Path, *, max_size_bytes: int) -> bytes:
        assert handle.stat().st_size <= max_size_bytes
        return handle.read_bytes()


class Round:
    """Trainers, a committee of three and a member, all honest.

    Parameters
    ----------
    dimension
        d.
    trainers
        n, at least 2.
    columns
        N; None takes the default.
    peaks
        Whether memory is measured.
    """

    def __init__(
        self, dimension: int, trainers: int, columns: int | None = None, *, peaks: bool = True
    ) -> None:
        self.accounts = [AccountKey.generate() for _ in range(trainers)]
        self._node_accounts = [AccountKey.generate() for _ in range(COMMITTEE.size)]
        self._node_keys = [generate_encryption_key() for _ in range(COMMITTEE.size)]
        self._member_key: EncryptionKey = generate_encryption_key()
        self._fixed_point = material.fixed_point(dimension)
        members = zip(self._node_accounts, self._node_keys, strict=True)
        self.plan = RoundPlan(
            Context(1, bytes(20), job=1, round=1),
            material.layout(dimension, columns=columns),
            COMMITTEE,
            tuple(CommitteeMember(account.address, key.public) for account, key in members),
            tuple(account.address for account in self.accounts),
            quorum=2,
            member_key=self._member_key.public,
        )
        self.costs = Costs(dimension, self.plan.layout.columns, trainers, peaks=peaks)
        _ = self.plan.generators  # made once a job

    def run(self) -> Costs:
        """Run it, check the sum and return the costs, of which those of earlier runs are a part."""
        with TemporaryDirectory() as folder, self.costs.parts():
            return self._run(Folder(Path(folder)))

    def require_accepted(self, number: int, sent: PreparedSubmission) -> None:
        """Raise AssertionError unless a zk-node accepts this submission of a trainer."""
        with TemporaryDirectory() as folder:
            node, share = self._node(JUDGE, Folder(Path(folder))), sent.shares[JUDGE - 1]
            node.receive_share(share.signed, sent.commitments, share.blob)
            assert node.report({number: sent.commitment_root}).accepted == 1 << number

    def _node(self, number: int, archive: Folder) -> NodeRound:
        account, key = self._node_accounts[number - 1], self._node_keys[number - 1]
        return NodeRound(self.plan, number, account, key, archive)

    def _run(self, archive: Folder) -> Costs:
        nodes = [self._node(j, archive) for j in range(JUDGE - COMMITTEE.threshold + 1, JUDGE + 1)]
        expected, roots = np.zeros(self.plan.layout.dimension, dtype=np.int64), {}
        first = 0
        for number, account in enumerate(self.accounts):
            integers, sent = self._train(number, account)
            expected += integers
            roots[number] = sent.commitment_root
            for node in nodes:
                self._deliver(node, sent)
            first = first or _resident_memory()
        self.costs.kept = (_resident_memory() - first) // len(nodes)
        shares = {node.node: self._release(node, roots) for node in nodes}
        assert np.array_equal(self._decode(nodes[-1], shares), expected)
        return self.costs

    def _train(self, number: int, account: AccountKey) -> tuple[NDArray[np.int16], PreparedSubmission]:
        measure, update = self.costs.measure, material.update(self.plan.layout.dimension, number)
        seeded = measure(OFFLINE, partial(SeededShares, self.plan))
        integers = measure(
            ENCODE,
            partial(encode_update, update, self._fixed_point, self.plan.rotation_seed, bytes([number]) * 32),
        )
        shared = measure(SHARE, partial(share_values, self.plan, account, integers, seeded))
        sent = shared.submission(measure(PROVE, partial(self._prove, number, shared)))
        self.costs.messages["trainer: commitments"] = len(sent.commitments)
        for share in sent.shares:
            self.costs.messages[f"trainer: share to zk-node {share.signed.message.node}"] = len(share.blob)
        return integers, sent

    def _prove(self, number: int, shared: SharedValues) -> bytes:
        statement = norm_statement(self.plan, number, shared.points)
        return norm.prove(statement, shared.witness, self.plan.generators)

    def _deliver(self, node: NodeRound, sent: PreparedSubmission) -> None:
        share = sent.shares[node.node - 1]
        run = partial(node.receive_share, share.signed, sent.commitments, share.blob)
        self._measure_judge(node, RECEIVE, run)

    def _release(self, node: NodeRound, roots: dict[int, bytes]) -> AggregateShare:
        accepted = (1 << len(roots)) - 1

        def finish() -> AggregateShare:
            assert node.report(roots).accepted == accepted
            return node.release(accepted, Memory())

        self.costs.measure(VERIFY, node.verify_norms)  # the same for all nodes
        share = self._measure_judge(node, RELEASE, finish)
        self.costs.messages["zk-node: aggregate share"] = len(share.blob)
        self.costs.messages["zk-node: proof"] = len(share.proof)
        return share

    def _measure_judge(self, node: NodeRound, stage: str, run: Callable[[], Result]) -> Result:
        return self.costs.measure(stage, run) if node.node == JUDGE else run()

    def _decode(self, node: NodeRound, shares: dict[int, AggregateShare]) -> NDArray[np.int64]:
        measure = self.costs.measure
        public = node.public_aggregate((1 << len(self.accounts)) - 1)
        member = MemberRound(public, self._member_key)
        for number, share in shares.items():
            manifest = share.manifest(number, "")
            measure("anybody: verify a proof", partial(public.require_proof, number, manifest))
            measure("member: verify a share", partial(member.accept_share, number, manifest, share.blob))
        total = measure("member: decode the sum", member.total)
        seed, count = self.plan.rotation_seed, len(self.accounts)
        measure("member: mean update", partial(decode_mean, total, self._fixed_point, seed, count))
        return total


def _clock() -> Callable[[], float]:
    """CPU time if the kernels may use one thread, time on the wall if they may use more."""
    return time.process_time if os.environ.get("ZKPFL_NUM_THREADS") == "1" else time.perf_counter


@contextmanager
def _peak_memory() -> Iterator[Callable[[], int]]:
    """Give a function that says by how many bytes the process grew at most; 0 where it is not Linux."""
    before = _resident_memory()  # what earlier stages freed would hide what this one takes
    if before:
        Path("/proc/self/clear_refs").write_text("5")
    yield lambda: max(0, _status("VmHWM") - before) if before else 0


def _resident_memory() -> int:
    """Bytes that the process has in use; 0 where it is not Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return 0
    ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
