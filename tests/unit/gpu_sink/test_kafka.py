"""The laws of reading an aligned topic, against the client library's own in-process broker.

That broker knows no transactions, so that aborted frames stay invisible is a test of the real one.
"""

import pytest
from confluent_kafka import Producer

from gpu_sink.contract import FrameError
from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame
from gpu_sink.source import AlignedStream
from tests.unit.gpu_sink.scene import message_of, numbers_in, rows_of

PARTITIONS = 4  # what the in-process broker gives a new topic


class Broker:
    """An in-process broker and a producer on it."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        broker = next(iter(self._producer.list_topics(timeout=10).brokers.values()))
        self.bootstrap = f"{broker.host}:{broker.port}"

    def put(self, topic: str, partition: int, numbers: list[int]) -> None:
        """Write one frame and wait until it is in the log."""
        value, headers = message_of(rows_of(numbers))
        self.put_raw(topic, partition, value, headers)

    def put_raw(
        self, topic: str, partition: int, value: bytes, headers: list[tuple[str, bytes | None]]
    ) -> None:
        """Write any message and wait until it is in the log."""
        self._producer.produce(topic, value, partition=partition, headers=headers)
        assert self._producer.flush(10) == 0


@pytest.fixture(scope="module")
def broker() -> Broker:
    """One broker for the module; every test has a topic of its own."""
    return Broker()


def read(broker: Broker, topic: str, **options: object) -> list[Frame]:
    """All frames up to the end."""
    return list(AlignedStream.from_kafka(broker.bootstrap, topic, until_end=True, **options))  # type: ignore[arg-type]


def numbers(frames: list[Frame]) -> list[int]:
    """The numbers in the frames, in the order they came."""
    return numbers_in([frame.rows for frame in frames])


def test_a_bounded_stream_yields_partition_after_partition(broker: Broker) -> None:
    for number in range(8):
        broker.put("ordered", (7 - number) % PARTITIONS, [number])
    frames = read(broker, "ordered")
    assert numbers(frames) == [3, 7, 2, 6, 1, 5, 0, 4]
    assert [frame.place.offset for frame in frames] == [0, 1] * PARTITIONS


def test_chosen_partitions_are_the_only_ones_read(broker: Broker) -> None:
    for partition in range(PARTITIONS):
        broker.put("chosen", partition, [partition])
    assert numbers(read(broker, "chosen", partitions=[3, 1])) == [1, 3]


def test_reading_goes_on_from_a_given_offset(broker: Broker) -> None:
    for number in range(5):
        broker.put("resumed", 0, [number])
    assert numbers(read(broker, "resumed", partitions=[0], offsets={0: 3})) == [3, 4]
    assert read(broker, "resumed", partitions=[0], offsets={0: 5}) == []


def test_a_bounded_stream_does_not_wait_for_what_comes_after_it_began(broker: Broker) -> None:
    broker.put("bounded", 0, [1])
    broker.put("bounded", 0, [2])
    frames = iter(AlignedStream.from_kafka(broker.bootstrap, "bounded", until_end=True))
    first = next(frames)
    broker.put("bounded", 0, [3])
    assert numbers([first, *frames]) == [1, 2]


def test_a_live_stream_yields_what_comes_after_it_began(broker: Broker) -> None:
    broker.put("live", 0, [1])
    frames = iter(AlignedStream.from_kafka(broker.bootstrap, "live"))
    first = next(frames)
    broker.put("live", 2, [2])
    assert numbers([first, next(frames)]) == [1, 2]


def test_each_iteration_starts_over(broker: Broker) -> None:
    broker.put("again", 0, [1])
    stream = AlignedStream.from_kafka(broker.bootstrap, "again", until_end=True)
    assert numbers(list(stream)) == numbers(list(stream)) == [1]


def test_an_offset_outside_the_log_is_refused_with_the_figures(broker: Broker) -> None:
    broker.put("short", 0, [1])
    with pytest.raises(SourceError, match=r"offset 9 of short \[0\] is not in the log, which holds 0 to 1"):
        read(broker, "short", partitions=[0], offsets={0: 9})


def test_a_partition_that_is_not_there_is_refused(broker: Broker) -> None:
    broker.put("four", 0, [1])
    with pytest.raises(SourceError, match="topic four has partitions 0 to 3, not 4, 7"):
        read(broker, "four", partitions=[7, 4])


def test_a_broken_frame_is_named_with_topic_partition_and_offset(broker: Broker) -> None:
    broker.put("broken", 1, [1])
    broker.put_raw("broken", 1, b"{}", message_of(rows_of([1]))[1])
    with pytest.raises(FrameError, match=r"broken \[1\] offset 1: not a frame"):
        read(broker, "broken")


def test_a_broker_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_sink.kafka.METADATA_WAIT_S", 0.2)
    stream = AlignedStream.from_kafka("127.0.0.1:1", "aligned", settings={"log_level": 0})
    with pytest.raises(SourceError, match=r"no broker answers at 127.0.0.1:1"):
        next(iter(stream))
