"""The phases of a round, its deadlines and its refusals (docs/spec.md §6, §9.3)."""

from __future__ import annotations

import pytest
from tests.ledger.conftest import CHAIN_ID
from tests.ledger.world import (
    AGGREGATE,
    CHECKPOINT,
    FEE,
    MANIFEST,
    NODE_STAKE,
    PHASE_S,
    ROOT,
    SALT,
    STAKE,
    World,
    refused,
)
from web3.exceptions import Web3Exception

from zkpfl.crypto.bls import signature_to_ledger
from zkpfl.crypto.transcript import Context
from zkpfl.ledger.client import Durations, JobStatus, Phase, RoundKind
from zkpfl.ledger.events import RoundFailed, Slashed
from zkpfl.ledger.rules import score_commitment


def reason_of_failure(world: World, job: int) -> str:
    return [event.reason for event in world.admin.events(job) if isinstance(event, RoundFailed)][-1]


# Collect


def test_a_trainer_submits_once_and_to_this_round_only(world: World) -> None:
    job = world.start()
    world.trainers[0].submit(job, 1, ROOT, MANIFEST)
    with refused("already_submitted"):
        world.trainers[0].submit(job, 1, ROOT, MANIFEST)
    with refused("wrong_round"):
        world.trainers[1].submit(job, 2, ROOT, MANIFEST)
    with refused("empty_root"):
        world.trainers[1].submit(job, 1, bytes(32), MANIFEST)
    for stranger in (world.trainers[3], world.nodes[0], world.owner):
        with refused("not_joined"):
            stranger.submit(job, 1, ROOT, MANIFEST)
    submission = world.admin.submissions(job, 1)
    assert list(submission) == [0]
    assert (submission[0].commitment_root, submission[0].manifest) == (ROOT, MANIFEST)
    world.wait(PHASE_S)
    with refused("deadline_passed"):
        world.trainers[1].submit(job, 1, ROOT, MANIFEST)


def test_collect_ends_when_everyone_has_submitted(world: World) -> None:
    job = world.start()
    world.collect(job, [0, 1])
    assert world.round(job).phase is Phase.COLLECT
    world.collect(job, [2])
    assert world.round(job).phase is Phase.CHECK
    with refused("wrong_phase"):
        world.trainers[0].submit(job, 1, ROOT, MANIFEST)


def test_collect_does_not_wait_for_those_who_were_absent(world: World) -> None:
    job = world.start()
    world.collect(job, [0, 1])
    world.pass_deadline(job)
    assert world.state(job).absent_trainers == 0b100
    world.pass_deadline(job)  # nobody reports: the round fails
    world.collect(job, [0, 1])
    assert world.round(job).phase is Phase.CHECK


def test_an_absent_trainer_may_come_back(world: World) -> None:
    job = world.start()
    world.collect(job, [0, 1])
    world.pass_deadline(job)
    world.pass_deadline(job)
    world.collect(job, [2, 0])
    assert world.round(job).phase is Phase.COLLECT
    world.collect(job, [1])
    assert world.round(job).phase is Phase.CHECK
    assert world.state(job).absent_trainers == 0


def test_after_too_few_submissions_everyone_is_waited_for(world: World) -> None:
    job = world.start()
    world.collect(job, [0])
    world.pass_deadline(job)
    assert reason_of_failure(world, job) == "too_few_submissions"
    assert world.state(job).absent_trainers == 0
    world.collect(job, [0, 1])
    assert world.round(job).phase is Phase.COLLECT


# Check


def test_a_node_reports_once_a_subset_of_the_submitters(world: World) -> None:
    job = world.start()
    with refused("wrong_phase"):
        world.nodes[0].report(job, 1, 0)
    world.collect(job, [0, 1])
    world.pass_deadline(job)
    with refused("not_submitted"):
        world.nodes[0].report(job, 1, 0b111)
    for stranger in (world.nodes[4], world.trainers[0], world.owner):
        with refused("not_in_committee"):
            stranger.report(job, 1, 0b11)
    world.nodes[0].report(job, 1, 0b11)
    with refused("already_reported"):
        world.nodes[0].report(job, 1, 0b01)
    assert world.admin.reports(job, 1) == {1: 0b11, 2: 0, 3: 0}


def test_the_largest_common_set_is_accepted(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b111, 2: 0b011, 3: 0b111})
    round_ = world.round(job)
    assert (round_.phase, round_.accepted, round_.quorum) == (Phase.AGGREGATE, 0b111, 0b101)


def test_a_node_that_reports_nobody_cannot_block_the_others(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0, 2: 0b110, 3: 0b111})
    round_ = world.round(job)
    assert (round_.accepted, round_.quorum) == (0b110, 0b110)


def test_too_few_reports_fail_the_round(world: World) -> None:
    job = world.to_check()
    world.check(job, {2: 0b111})
    world.pass_deadline(job)
    assert reason_of_failure(world, job) == "too_few_reports"
    assert world.state(job).absent_nodes == 0
    assert world.round(job).number == 2


def test_a_small_accepted_set_fails_the_round(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b001, 2: 0b011, 3: 0b100})
    assert reason_of_failure(world, job) == "too_few_accepted"


def test_check_does_not_wait_for_an_absent_node(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b111, 2: 0b111})
    world.pass_deadline(job)
    assert world.state(job).absent_nodes == 0b100
    world.pass_deadline(job)  # nobody posts: the round fails
    world.collect(job)
    world.check(job, {1: 0b111, 2: 0b111})
    assert world.round(job).phase is Phase.AGGREGATE


# Aggregate


def test_members_of_the_quorum_post_once(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b111, 2: 0b111, 3: 0b001})
    with refused("not_in_quorum"):
        world.nodes[2].post_aggregate(job, 1, ROOT, MANIFEST)
    with refused("not_in_committee"):
        world.trainers[0].post_aggregate(job, 1, ROOT, MANIFEST)
    world.aggregate(job, [1])
    with refused("already_posted"):
        world.nodes[0].post_aggregate(job, 1, ROOT, MANIFEST)
    world.aggregate(job, [2])
    assert world.round(job).phase is Phase.ATTEST
    assert world.admin.posts(job, 1)[2].share_root == bytes([2]) * 32


def test_a_member_that_does_not_deliver_is_slashed(world: World) -> None:
    job = world.to_aggregate()
    stakes = [node_stake(world, index) for index in range(3)]
    world.aggregate(job, [1, 3])
    world.pass_deadline(job)
    assert world.round(job).phase is Phase.ATTEST
    assert [node_stake(world, index) for index in range(3)] == [stakes[0], stakes[1] * 9 // 10, stakes[2]]
    assert world.state(job).escrow == FEE
    assert world.admin.owed(job, world.owner.account) == stakes[1] // 10
    (slashed,) = [event for event in world.admin.events(job) if isinstance(event, Slashed)]
    assert (slashed.node, slashed.stake, slashed.amount) == (
        world.nodes[1].account,
        stakes[1],
        stakes[1] // 10,
    )


def node_stake(world: World, index: int) -> int:
    record = world.admin.node(world.nodes[index].account)
    assert record is not None
    return record.stake


def test_too_few_aggregates_fail_the_round_and_are_slashed_too(world: World) -> None:
    job = world.to_aggregate(nodes=3)
    before = node_stake(world, 0)
    world.aggregate(job, [2])
    world.pass_deadline(job)
    assert reason_of_failure(world, job) == "too_few_aggregates"
    assert node_stake(world, 0) == before - before // 10


def test_a_node_outside_the_quorum_is_not_slashed(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b111, 2: 0b111, 3: 0b001})
    before = node_stake(world, 2)
    world.pass_deadline(job)
    assert node_stake(world, 2) == before


# Attest


def test_anyone_hands_in_the_attestation(world: World) -> None:
    job = world.to_attest()
    world.attest(job)
    round_ = world.round(job)
    assert (round_.phase, round_.valid, round_.signers) == (Phase.SCORE, 0b111, 0b011)
    assert round_.aggregate_root == AGGREGATE


@pytest.mark.parametrize("signers", [(1, 2, 3), (2, 3), (1, 3)])
def test_any_quorum_of_signers_will_do(world: World, signers: tuple[int, ...]) -> None:
    job = world.to_attest()
    world.attest(job, signers=signers)
    assert world.round(job).phase is Phase.SCORE


def test_signers_may_leave_out_a_post_whose_proof_failed(world: World) -> None:
    job = world.to_attest()
    with refused("too_few_valid"):
        world.admin.attest(job, 1, AGGREGATE, 0b001, 0b011, bytes(128))
    world.attest(job, valid=0b101)
    assert world.round(job).valid == 0b101
    world.score(job, {0: 500_000, 1: 500_000, 2: 500_000})
    assert world.admin.owed(job, world.nodes[1].account) == 0
    assert world.admin.owed(job, world.nodes[0].account) == world.admin.owed(job, world.nodes[2].account) > 0


def test_an_attestation_names_only_posts_that_exist(world: World) -> None:
    job = world.to_aggregate()
    world.aggregate(job, [1, 2])
    world.pass_deadline(job)
    with refused("not_delivered"):
        world.admin.attest(job, 1, AGGREGATE, 0b111, 0b011, bytes(128))


def test_too_few_or_unknown_signers_are_refused(world: World) -> None:
    job = world.to_attest()
    one = world.signature(job, 0b111, [1])
    with refused("too_few_signers"):
        world.admin.attest(job, 1, AGGREGATE, 0b111, 0b001, one)
    with refused("unknown_signer"):
        world.admin.attest(job, 1, AGGREGATE, 0b111, 0b1001, one)


def test_the_keys_are_those_of_the_committee_in_its_order(world: World) -> None:
    job = world.to_attest()
    signature, keys = world.signature(job, 0b111, [1, 2]), world.admin.committee_keys(job)
    for wrong in (keys[:-256], keys[256:] + keys[:256], b""):
        with refused("wrong_keys"):
            world.admin._write(
                world.admin._functions.attest(job, 1, AGGREGATE, 0b111, 0b011, signature, wrong)
            )
    with refused("signature_length"):
        world.admin._write(world.admin._functions.attest(job, 1, AGGREGATE, 0b111, 0b011, b"", keys))


def test_one_signature_counts_once(world: World) -> None:
    job = world.to_attest()
    with refused("bad_signature"):
        world.admin.attest(job, 1, AGGREGATE, 0b111, 0b011, world.signature(job, 0b111, [1, 1]))
    with refused("bad_signature"):
        world.admin.attest(job, 1, AGGREGATE, 0b111, 0b011, world.signature(job, 0b111, [1]))


def test_a_signature_over_anything_else_is_refused(world: World) -> None:
    job = world.to_attest()
    good = world.signature(job, 0b111, [1, 2])
    others = [
        world.signature(job, 0b011, [1, 2]),
        world.signature(job, 0b111, [1, 3]),
        world.signature(job, 0b111, [1, 2], of_round=2),
        world.signature(job, 0b111, [1, 2], of_job=job + 1),
        world.signature(job, 0b111, [1, 2], chain_id=1),
        world.signature(job, 0b111, [1, 2], accepted=0b011),
    ]
    for signature in others:
        with refused("bad_signature"):
            world.admin.attest(job, 1, AGGREGATE, 0b111, 0b011, signature)
    with refused("bad_signature"):
        world.admin.attest(job, 1, ROOT, 0b111, 0b011, good)
    with refused("invalid_point"):
        world.admin.attest(job, 1, AGGREGATE, 0b111, 0b011, bytes(127) + b"\x01")
    world.admin.attest(job, 1, AGGREGATE, 0b111, 0b011, good)


def test_a_possession_proof_is_no_attestation(world: World) -> None:
    job = world.to_attest()
    key = world.bls[world.nodes[0].account]
    with refused("bad_signature"):
        world.admin.attest(
            job, 1, AGGREGATE, 0b111, 0b011, signature_to_ledger(key.prove_possession(bytes(32)))
        )


def test_a_starved_call_does_not_look_like_a_bad_signature(world: World) -> None:
    job = world.to_attest()
    signature = world.signature(job, 0b111, [1, 2])
    keys = world.admin.committee_keys(job)
    function = world.admin._functions.attest(job, 1, AGGREGATE, 0b111, 0b011, signature, keys)
    seen = set()
    for gas in range(80_000, 480_000, 16_000):
        try:
            function.call({"from": world.admin.connection.address, "gas": gas})
            seen.add("ok")
        except Web3Exception as error:
            misleading = [text for text in ("invalid_point", "bad_signature") if text in str(error)]
            seen.add(misleading[0] if misleading else "starved")
    assert seen == {"starved", "ok"}


def test_without_an_attestation_the_round_fails(world: World) -> None:
    job = world.to_attest()
    world.pass_deadline(job)
    assert reason_of_failure(world, job) == "not_attested"
    assert world.round(job).number == 2


# Score


def test_trainers_of_the_accepted_set_score_once(world: World) -> None:
    job = world.to_check()
    world.check(job, {1: 0b011, 2: 0b011, 3: 0b011})
    world.aggregate(job)
    world.attest(job)
    with refused("not_accepted"):
        world.commit(job, 2, 1)
    with refused("not_joined"):
        world.commit(job, 3, 1)
    with refused("empty_commitment"):
        world.trainers[0].score(job, 1, bytes(32))
    world.commit(job, 0, 1, checkpoint=bytes(32))
    with refused("already_scored"):
        world.commit(job, 0, 600_000)
    with refused("wrong_phase"):
        world.trainers[0].reveal(job, 1, bytes(32), 1, SALT)
    world.commit(job, 1, 1_000_001)
    with refused("wrong_phase"):
        world.commit(job, 1, 1)
    with refused("empty_checkpoint"):
        world.trainers[0].reveal(job, 1, bytes(32), 1, SALT)
    function = world.trainers[1]._functions.reveal(job, 1, CHECKPOINT, 1_000_001, SALT)
    with refused("accuracy_out_of_range"):
        world.trainers[1].connection.transact(function)
    with refused("not_joined"):
        world.trainers[3].reveal(job, 1, CHECKPOINT, 1, SALT)
    with refused("not_committed"):
        world.trainers[2].reveal(job, 1, CHECKPOINT, 1, SALT)


def test_a_score_is_what_was_committed_to_by_whom_in_this_round(world: World) -> None:
    job = world.to_score()
    copied = score_commitment(
        Context(CHAIN_ID, world.admin.contract, job, 1), world.trainers[0].account, CHECKPOINT, 600_000, SALT
    )
    world.commit(job, 0, 600_000)
    world.trainers[1].score(job, 1, copied)  # a copycat learns nothing, and cannot open it
    world.commit(job, 2, 610_000)
    assert world.round(job).phase is Phase.REVEAL
    world.trainers[0].reveal(job, 1, CHECKPOINT, 600_000, SALT)
    with refused("already_revealed"):
        world.trainers[0].reveal(job, 1, CHECKPOINT, 600_000, SALT)
    with refused("wrong_opening"):
        world.trainers[1].reveal(job, 1, CHECKPOINT, 600_000, SALT)
    for changed in ((ROOT, 610_000, SALT), (CHECKPOINT, 610_001, SALT), (CHECKPOINT, 610_000, ROOT)):
        with refused("wrong_opening"):
            world.trainers[2].reveal(job, 1, *changed)
    world.trainers[2].reveal(job, 1, CHECKPOINT, 610_000, SALT)
    assert world.round(job).phase is Phase.REVEAL  # one has not opened its commitment: the deadline decides
    world.pass_deadline(job)
    closed = world.admin.round(job, 1)
    assert (closed.phase, closed.accuracy, closed.scored, closed.revealed) == (Phase.CLOSED, 600_000, 3, 2)


def test_whoever_does_not_score_in_time_is_not_waited_for(world: World) -> None:
    job = world.to_score()
    world.commit(job, 0, 600_000)
    world.wait(world.state(job).phase_deadline - world.now())
    with refused("deadline_passed"):
        world.commit(job, 1, 600_000)
    world.admin.advance(job)
    assert world.round(job).phase is Phase.REVEAL
    world.trainers[0].reveal(job, 1, CHECKPOINT, 600_000, SALT)
    closed = world.admin.round(job, 1)
    assert (closed.phase, closed.accuracy, closed.scored, closed.revealed) == (Phase.CLOSED, 600_000, 1, 1)


def test_scores_that_nobody_reveals_count_as_none(world: World) -> None:
    job = world.to_score()
    for index in range(3):
        world.commit(job, index, 600_000)
    world.pass_deadline(job)
    closed = world.admin.round(job, 1)
    assert (closed.phase, closed.checkpoint, closed.accuracy) == (Phase.CLOSED, None, None)
    assert world.state(job).best == 500_000


def test_the_median_of_those_behind_the_leading_checkpoint_counts(world: World) -> None:
    job = world.to_score()
    world.score(job, {0: 900_000}, checkpoint=ROOT)
    world.score(job, {1: 600_000, 2: 700_000})
    closed = world.admin.round(job, 1)
    assert (closed.phase, closed.checkpoint, closed.accuracy) == (Phase.CLOSED, CHECKPOINT, 600_000)
    assert (world.state(job).checkpoint, world.state(job).best) == (CHECKPOINT, 600_000)


def test_the_lowest_hash_wins_among_equals(world: World) -> None:
    job = world.to_score()
    world.score(job, {0: 1}, checkpoint=b"\x09" * 32)
    world.score(job, {1: 2}, checkpoint=b"\x07" * 32)
    world.score(job, {2: 3}, checkpoint=b"\x08" * 32)
    closed = world.admin.round(job, 1)
    assert (closed.checkpoint, closed.accuracy) == (b"\x07" * 32, 2)


def test_a_round_that_nobody_scored_closes_without_a_checkpoint(world: World) -> None:
    job = world.to_score()
    world.pass_deadline(job)
    closed = world.admin.round(job, 1)
    assert (closed.phase, closed.checkpoint, closed.accuracy) == (Phase.CLOSED, None, None)
    state = world.state(job)
    assert (state.trained, state.best, state.current_round) == (1, 500_000, 2)
    assert world.admin.owed(job, world.trainers[0].account) > 0


def test_the_job_is_done_at_its_target(world: World) -> None:
    job = world.to_score(training_rounds=1000)
    world.score(job, dict.fromkeys(range(3), 900_000))
    assert world.state(job).status is JobStatus.DONE


def test_the_job_is_done_after_its_last_round(world: World) -> None:
    job = world.to_score(training_rounds=1)
    world.score(job, dict.fromkeys(range(3), 100_000))
    state = world.state(job)
    assert (state.status, state.best, state.escrow) == (JobStatus.DONE, 500_000, 0)
    for client in (*world.nodes[:3], *world.trainers[:3]):
        record = world.admin.node(client.account) or world.admin.trainer(client.account)
        assert record is not None


def test_a_statistics_round_comes_first_and_is_repeated_until_it_succeeds(world: World) -> None:
    job = world.start(statistics=True, training_rounds=1)
    world.pass_deadline(job)
    world.collect(job)
    world.check(job)
    world.aggregate(job)
    assert world.round(job).kind is RoundKind.STATISTICS
    world.attest(job)
    state = world.state(job)
    assert (state.current_round, state.statistics_done, state.trained) == (3, True, 0)
    assert world.admin.round(job, 2).phase is Phase.CLOSED
    assert world.round(job).kind is RoundKind.TRAINING


def test_a_job_of_statistics_alone_ends_with_them(world: World) -> None:
    job = world.to_attest(statistics=True, training_rounds=0, target=0, baseline=0)
    world.attest(job)
    assert world.state(job).status is JobStatus.DONE


# Failure


def test_three_failures_in_a_row_fail_the_job(world: World) -> None:
    job = world.start()
    for _ in range(3):
        assert world.state(job).status is JobStatus.RUNNING
        world.pass_deadline(job)
    state = world.state(job)
    assert (state.status, state.current_round, state.escrow) == (JobStatus.FAILED, 3, 0)
    assert world.admin.owed(job, world.owner.account) == FEE
    with refused("job_not_running"):
        world.trainers[0].submit(job, 3, ROOT, MANIFEST)


def test_a_success_between_failures_starts_the_count_again(world: World) -> None:
    job = world.start()
    world.pass_deadline(job)
    world.pass_deadline(job)
    world.collect(job)
    world.check(job)
    world.aggregate(job)
    world.attest(job)
    world.score(job, dict.fromkeys(range(3), 0))
    assert world.state(job).failures == 0
    world.pass_deadline(job)
    assert world.state(job).status is JobStatus.RUNNING


def test_the_deadline_of_the_job_cuts_the_phase_and_fails_the_job(world: World) -> None:
    job = world.start(deadline=world.now() + 2 * PHASE_S)
    world.pass_deadline(job)
    assert world.state(job).phase_deadline == world.state(job).terms.deadline
    world.pass_deadline(job)
    assert world.state(job).status is JobStatus.FAILED
    assert reason_of_failure(world, job) == "job_deadline"


LONG_PHASES = Durations(PHASE_S, *[10 * PHASE_S] * 6)
"""Longer than the job of the tests below may take."""


def test_nobody_is_slashed_for_the_deadline_of_the_job(world: World) -> None:
    job = world.to_aggregate(durations=LONG_PHASES, deadline=world.now() + 5 * PHASE_S)
    before = node_stake(world, 0)
    world.pass_deadline(job)
    assert world.state(job).status is JobStatus.FAILED
    assert node_stake(world, 0) == before


def test_an_attested_round_is_paid_though_the_job_deadline_ends_it(world: World) -> None:
    job = world.to_score(durations=LONG_PHASES, deadline=world.now() + 5 * PHASE_S)
    world.score(job, {0: 600_000})
    world.pass_deadline(job)
    assert world.admin.round(job, 1).phase is Phase.CLOSED
    assert world.state(job).status is JobStatus.FAILED
    assert world.admin.owed(job, world.trainers[1].account) > 0


def test_advance_does_nothing_before_a_deadline(world: World) -> None:
    job = world.start()
    with refused("nothing_to_do"):
        world.admin.advance(job)
    world.collect(job)
    with refused("nothing_to_do"):
        world.admin.advance(job)


def test_stakes_are_what_they_were_unless_slashed(world: World) -> None:
    assert all(node_stake(world, index) <= NODE_STAKE for index in range(5))
    for trainer in world.trainers:
        record = world.admin.trainer(trainer.account)
        assert record is not None
        assert record.stake == STAKE
