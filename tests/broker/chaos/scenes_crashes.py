"""Scenes of workers that die, stand still, come and go, or are replaced (F1, F4 to F7)."""

import shutil
import signal
from time import monotonic

from confluent_kafka import Producer

from app.process import failpoints
from tests.broker.chaos.log_reader import ANSWER_S
from tests.broker.chaos.stage import TRANSACTION_MS, Stage
from tests.stage.day_runs import until


def killed_at_each_failpoint(stage: Stage) -> None:
    """F1: a worker dies at every failpoint there is, one after the other, with and without its state."""
    with stage.feed.flowing():
        for round_, name in enumerate(failpoints.ALL):
            if name == failpoints.RECALL or (stage.seed + round_) % 3 == 0:
                shutil.rmtree(stage.settings.worker.state, ignore_errors=True)
            times = 1 if name in (failpoints.RESTORE, failpoints.RECALL, failpoints.REVOKE) else 2
            hand = stage.crew.hire(failpoint=f"{name}:{times}", until_final=False)
            if round_:
                hand.has_tasks() if name == failpoints.REVOKE else None
            if name == failpoints.REVOKE:
                hand.send(signal.SIGTERM)
            hand.died()
        hand = stage.crew.hire()
        stage.recovers(hand)
    stage.finish(hand)


def a_zombie_wakes(stage: Stage) -> None:
    """F4: a worker stands still beyond its session, another takes over, and the first wakes up again."""
    zombie = stage.crew.hire("0")
    with stage.feed.flowing():
        stage.rows_seen()
        zombie.send(signal.SIGSTOP)
        heir = stage.crew.hire("1")
        heir.has_tasks()
        stage.recovers(heir)
        zombie.send(signal.SIGCONT)
        stage.rows_seen(200)
    stage.feed.finish()
    heir.ended_well()
    # It has dropped what was the other's and goes on as a member, or has been fenced and says so.
    if zombie.wait() != 0:
        stage.note = zombie.gave_up()


def a_worker_takes_anothers_slot(stage: Stage) -> None:
    """F4: two workers run under one slot; one of them is fenced and stops."""
    first = stage.crew.hire("0")
    with stage.feed.flowing():
        stage.rows_seen()
        second = stage.crew.hire("0")
        until(lambda: not (first.alive and second.alive), "one of two workers of a slot stops")
        stage.note = (second if first.alive else first).gave_up()
        left = first if first.alive else second
        stage.rows_seen(100)
    stage.finish(left)


def a_zombie_of_a_taken_slot_wakes(stage: Stage) -> None:
    """F4: a worker stands still, another has its slot, and the first wakes up with a transaction too old.

    It stops, and its heir goes on.
    """
    zombie = stage.crew.hire("0")
    with stage.feed.flowing():
        stage.rows_seen()
        zombie.send(signal.SIGSTOP)
        begun_s = monotonic()
        heir = stage.crew.hire("0")
        stage.recovers(heir)
        until(lambda: monotonic() - begun_s > TRANSACTION_MS / 1_000 + 1, "its transaction is too old")
        zombie.send(signal.SIGCONT)
        stage.note = zombie.gave_up()
        stage.rows_seen(100)
    stage.finish(heir)


def workers_come_and_go(stage: Stage) -> None:
    """F5: members join and leave under load; every lock of a state is free when its next owner comes."""
    hands = [stage.crew.hire("0", until_final=False)]
    with stage.feed.flowing():
        stage.rows_seen()
        for slot in ("1", "2"):
            hands.append(stage.crew.hire(slot, until_final=False))
            hands[-1].has_tasks() if slot == "1" else stage.rows_seen(50)
        leaver = hands.pop(0)
        leaver.send(signal.SIGTERM)
        leaver.ended_well()
        stage.rows_seen(50)
        hands[0].send(signal.SIGKILL)
        hands.pop(0).died()
        last = stage.crew.hire("3")
        stage.rows_seen(50)
        for hand in hands:
            hand.send(signal.SIGTERM)
            hand.ended_well()
    stage.finish(last)
    assert not any("LOCK" in hand.said() for hand in stage.crew.hands), "a state was locked"


def a_member_joins_during_recovery(stage: Stage) -> None:
    """F6: a worker without its state reads back what it needs when another member joins."""
    with stage.feed.flowing():
        first = stage.crew.hire("0")
        stage.rows_seen(500)
        first.send(signal.SIGKILL)
        first.died()
        shutil.rmtree(stage.settings.worker.state)
        again = stage.crew.hire("0")
        again.has_tasks()
        again.send(signal.SIGSTOP)  # in the middle of reading back, until the other one asks for its share
        other = stage.crew.hire("1")
        until(lambda: "joining on clock" in other.said(), "the other one is about to join")
        again.send(signal.SIGCONT)
        stage.recovers(again)
        stage.rows_seen(100)
    stage.finish(again, other)


def a_stranger_takes_the_transactional_id(stage: Stage) -> None:
    """F7: another producer takes the worker's transactional id; the worker is fenced and stops."""
    first = stage.crew.hire("0")
    with stage.feed.flowing():
        stage.rows_seen()
        stranger = Producer(
            {"bootstrap.servers": stage.bootstrap, "transactional.id": f"{stage.settings.pipeline.prefix}-0"}
        )
        stranger.init_transactions(ANSWER_S)
        stage.note = first.gave_up()
        again = stage.crew.hire("0")
        stage.recovers(again)
    stage.finish(again)
