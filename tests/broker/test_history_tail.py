"""Queries over history and tail on a real Kafka, while a capture commits and the log grows."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from replay import history
from replay.capture.tail import Follower
from tests.contract.bus.conftest import HASTY
from tests.stage.captured import QuoteTopic
from tests.stage.history_tables import draw_rows
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ROUNDS, ROWS = 12, 20
EVERY = "select count(*) as rows, count(distinct (_partition, _offset, _index)) as places from quote"


@pytest.fixture
def topic(kafka_bootstrap: str, tmp_path: Path) -> Iterator[QuoteTopic]:
    bus = KafkaBus(kafka_bootstrap, HASTY)
    topic = QuoteTopic(tmp_path, bus=bus, name=f"tail-{uuid.uuid4().hex[:12]}")
    topic.make_tables()
    yield topic
    bus.admin().delete([topic.name])


def test_each_row_is_once_in_each_answer_and_none_that_was_seen_goes(topic: QuoteTopic) -> None:
    follower = Follower(topic.tail())
    published, stop = Event(), Event()

    def publish_and_capture() -> None:
        work = topic.capture()
        for number in range(ROUNDS):
            topic.publish(draw_rows(ROWS, seed=number), kept=number % 4 != 3)
            work.turn(number, wait_ms=50)
            work.commit(number)
        published.set()
        while not stop.is_set():
            work.turn(ROUNDS, wait_ms=50)
            work.commit(ROUNDS)
        work.close()

    thread = Thread(target=publish_and_capture)
    thread.start()
    kept = ROWS * sum(number % 4 != 3 for number in range(ROUNDS))
    seen = [0]
    while not published.is_set() or seen[-1] < kept:
        (answer,) = history.sql(EVERY, at={"quote": follower.snapshot()}, store=topic.store).to_pylist()
        assert answer["rows"] == answer["places"]
        seen.append(answer["rows"])
    stop.set()
    thread.join()
    follower.close()
    assert seen == sorted(seen)
    assert seen[-1] == kept
