"""Scenes of a broker that dies, stands still, loses an answer, or has a rotten log (F2, F3, F8, F25)."""

import signal
from pathlib import Path
from time import monotonic

from confluent_kafka import IsolationLevel

from tests.broker.chaos.log_reader import ends
from tests.broker.chaos.own_broker import OwnBroker
from tests.broker.chaos.proxy import END_TRANSACTION
from tests.broker.chaos.stage import Stage
from tests.stage.day_runs import until

ENDED_S = 60.0  # a client may be in the middle of a wait of 15 s when the broker is back


def the_broker_dies(stage: Stage, broker: OwnBroker, seconds: float = 0.0) -> None:
    """F2: the broker is killed and, so long after, started again on its log; the worker stays and goes on."""
    hand = stage.crew.hire()
    with stage.feed.flowing():
        stage.rows_seen()
        broker.kill()
        begun_s = monotonic()
        until(lambda: monotonic() - begun_s >= seconds, "it has been away for so long", seconds + 1)
        broker.start()
        back_s = monotonic()
        until(lambda: stage.watcher.seen.recovered_s(back_s) is not None, "rows come again", ENDED_S)
        stage.recovered_s.append(stage.watcher.seen.recovered_s(back_s) or 0.0)
        stage.rows_seen(100)
    assert hand.alive, hand.said()
    stage.finish(hand)


def the_broker_stands_still(stage: Stage, broker: OwnBroker, seconds: float) -> None:
    """F3: the broker stops for so long, and goes on as if nothing had been."""
    hand = stage.crew.hire()
    with stage.feed.flowing():
        stage.rows_seen()
        broker.send(signal.SIGSTOP)
        begun_s = monotonic()
        until(lambda: monotonic() - begun_s >= seconds, "the pause is over", seconds + 1)
        broker.send(signal.SIGCONT)
        back_s = monotonic()
        until(lambda: stage.watcher.seen.recovered_s(back_s) is not None, "rows come again", ENDED_S)
        stage.recovered_s.append(stage.watcher.seen.recovered_s(back_s) or 0.0)
        stage.rows_seen(100)
    stage.finish(hand)


def the_answer_to_a_commit_is_lost(stage: Stage, broker: OwnBroker) -> None:
    """F8: the broker commits, and its answer never comes; the worker finds out what happened.

    One lost answer the client asks for again by itself; so all are lost until the worker gives it up.
    """
    hand = stage.crew.hire()
    with stage.feed.flowing():
        stage.rows_seen()
        broker.proxy.drop = (END_TRANSACTION, f"{stage.settings.pipeline.prefix}-0")
        dropped = broker.proxy.dropped
        until(
            lambda: (
                (broker.proxy.dropped > dropped and "transaction undone" in hand.said()) or not hand.alive
            ),
            "the worker gives it up",
            ENDED_S,
        )
        broker.proxy.drop = None
        found_s = monotonic()
        until(lambda: stage.watcher.seen.recovered_s(found_s) is not None, "rows come again", ENDED_S)
        stage.recovered_s.append(stage.watcher.seen.recovered_s(found_s) or 0.0)
        stage.rows_seen(100)
    stage.finish(hand)


def the_log_rots(stage: Stage, log: Path) -> None:
    """F25: a byte of a record batch flips on the broker's disk: it stops; flipped back, it goes on."""
    for _ in range(3):
        stage.feed.step()
    topic = stage.topic("quote")
    place = (topic, 0)
    before = dict(ends(stage.bootstrap, [place], IsolationLevel.READ_COMMITTED))[place]
    (segment,) = (log / f"{topic}-0").glob("*.log")
    begin = segment.stat().st_size
    stage.feed.step()
    at = begin + 200  # in the records of the next batch, behind its header of 61 bytes
    _flip(segment, at)
    hand = stage.crew.hire()
    stage.note = hand.gave_up(topic)
    stage.crew.hire().gave_up(topic)
    assert before > 0
    _flip(segment, at)
    again = stage.crew.hire()
    stage.recovers(again)
    stage.feed.step()
    stage.finish(again)


def _flip(file: Path, at: int) -> None:
    with file.open("r+b") as bytes_:
        bytes_.seek(at)
        value = bytes_.read(1)[0]
        bytes_.seek(at)
        bytes_.write(bytes([value ^ 0x10]))
