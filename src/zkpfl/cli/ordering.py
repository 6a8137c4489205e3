"""From the options of ``zkpfl job submit`` to a job on the ledger."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from zkpfl.cli.decimals import parse_mpc, parse_ppm
from zkpfl.cli.jobs import wait_until
from zkpfl.cli.output import Output
from zkpfl.cli.sources import ModelSource, PrivacyOptions, model_source
from zkpfl.errors import InvalidParameter
from zkpfl.ledger.records import Durations
from zkpfl.roles.identity import Identity
from zkpfl.roles.job_key import new_job_key_file
from zkpfl.roles.model_owner import JobOrder, ModelOwnerRole
from zkpfl.roles.network import Network

FINALITY_MARGIN_S = 5
"""For a zk-node to sum, prove and post once the accepted set is final."""


@dataclass(frozen=True)
class OrderOptions:
    """A job as it was asked for; texts are checked by `order_of`.

    Parameters
    ----------
    fee
        Decimal MPC.
    rounds, target
        Most training rounds and the accuracy that ends the job; None takes what suits the model, or what its
        recipe states. A target given here wins, and stands in the recipe that is sealed.
    baseline
        Accuracy from which improvement is paid.
    threshold, quorum, max_trainers
        See docs/spec.md §9.2.
    phases
        Seven numbers of seconds with commas: join, collect, check, aggregate, attest, score, reveal.
    deadline_s
        From now until the job fails.
    nodes
        Size of the committee that is drawn.
    slices
        Into how many slices the test set is split; None for as many as say something.
    coin
        Number of the listed coin in which the fee is paid.
    privacy
        Budget of a record.
    """

    fee: str
    rounds: int | None
    target: str | None
    baseline: str
    threshold: int
    quorum: int
    max_trainers: int
    phases: str
    deadline_s: int
    nodes: int
    slices: int | None
    coin: int
    privacy: PrivacyOptions = field(default_factory=PrivacyOptions)


def order_of(options: OrderOptions, model: ModelSource) -> JobOrder:
    """Return the checked order.

    Raises
    ------
    InvalidParameter
        Malformed, or neither the options nor the model say how long or how far to train.
    """
    rounds = model.rounds if options.rounds is None else options.rounds
    target = options.target or model.target
    if rounds is None or target is None:
        field = "rounds" if rounds is None else "target"
        raise InvalidParameter("the bundle does not say it", field=field, hint=f"give --{field}")
    return JobOrder(
        fee=parse_mpc(options.fee, field="fee"),
        training_rounds=rounds,
        target_ppm=parse_ppm(target, field="target"),
        baseline_ppm=parse_ppm(options.baseline, field="baseline"),
        threshold=options.threshold,
        quorum=options.quorum,
        max_trainers=options.max_trainers,
        durations=parse_phases(options.phases),
        deadline=int(time.time()) + options.deadline_s,
        nodes=options.nodes,
        slices=options.slices,
        coin=options.coin,
    )


def parse_phases(text: str) -> Durations:
    """Return the durations of the seven phases."""
    parts = text.split(",")
    if len(parts) != 7 or not all(part.isdecimal() and len(part) <= 9 for part in parts):
        hint = (
            "seconds to join, collect, check, aggregate, attest, score, reveal, such as 60,20,10,10,10,20,10"
        )
        raise InvalidParameter(f"{text!r} is not seven whole numbers", field="phases", hint=hint)
    return Durations(*map(int, parts))


def require_time_to_finalise(durations: Durations, lag_s: int) -> None:
    """Refuse an Aggregate phase in which honest zk-nodes could not deliver, for which they would be slashed.

    A zk-node releases its sum only once the accepted set is final. The lag was measured at one moment; on a
    chain that finalises in epochs it may be half as long again at another.

    Raises
    ------
    InvalidParameter
        The phase is too short for this chain.
    """
    needed_s = lag_s + lag_s // 2 + FINALITY_MARGIN_S
    if lag_s and durations.aggregate < needed_s:
        raise InvalidParameter(
            f"{durations.aggregate} s to aggregate are too few: blocks become final after {lag_s} s here",
            field="phases",
            hint=f"give the aggregate phase at least {needed_s} seconds",
        )


def submit_job(
    network: Path,
    identity: Path,
    job_key: Path,
    model: str,
    seed: int,
    options: OrderOptions,
    wait_s: float,
    stop: threading.Event,
    output: Output,
) -> int:
    """Submit a job and return its number; the job's key is on disk before anything is sealed under it."""
    source = model_source(model, seed, options.privacy, options.rounds)
    order = order_of(options, source)
    where, keys = Network.load(network), Identity.load(identity)
    ledger = where.connect(keys.account, stop)
    require_time_to_finalise(order.durations, ledger.connection.finality_lag_s())
    if wait_s:
        enough = lambda: len(ledger.nodes()) >= order.nodes  # noqa: E731
        wait_until(enough, wait_s, stop, f"{order.nodes} zk-nodes to register")
    with closing(where.open_store()) as store:
        role = ModelOwnerRole(ledger, store, keys, output)
        role.require_nodes(order)
        return role.submit(source.bundle, order, new_job_key_file(job_key))
