"""What a reader of the aligned topic sees of transactions, on a real Kafka."""

import uuid
from collections.abc import Iterator

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from gpu_sink.errors import SourceError
from gpu_sink.frames import Frame
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of, numbers_in, rows_of

pytestmark = pytest.mark.broker


class AlignedTopic:
    """A topic of two partitions, and a transactional producer of frames."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name = f"gpu-sink.{uuid.uuid4().hex}"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._admin.create_topics([NewTopic(self.name, 2)])[self.name].result(30)
        self.producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": self.name})
        self.producer.init_transactions(30)

    def put(self, *numbers: int, commit: bool = True) -> None:
        """Write one frame per number to partition `number % 2`, in one transaction."""
        self.producer.begin_transaction()
        for number in numbers:
            value, headers = message_of(rows_of([number]))
            self.producer.produce(self.name, value, partition=number % 2, headers=headers)
        self.producer.flush(30)
        if commit:
            self.producer.commit_transaction(30)
        else:
            self.producer.abort_transaction(30)

    def put_rows(self, rows: pa.RecordBatch) -> None:
        """Write rows of any columns to partition 0."""
        self.producer.begin_transaction()
        value, headers = message_of(rows)
        self.producer.produce(self.name, value, partition=0, headers=headers)
        self.producer.commit_transaction(30)

    def stream(self, *, until_end: bool = True) -> AlignedStream:
        """A reader of all partitions."""
        return AlignedStream.from_kafka(self.bootstrap, self.name, until_end=until_end)

    def delete(self) -> None:
        """Leave nothing behind."""
        if self._admin.list_topics(self.name, 30).topics[self.name].error is None:
            self._admin.delete_topics([self.name])[self.name].result(30)


@pytest.fixture
def topic(kafka_bootstrap: str) -> Iterator[AlignedTopic]:
    """A topic of this test's own."""
    made = AlignedTopic(kafka_bootstrap)
    yield made
    made.delete()


def numbers(frames: list[Frame]) -> list[int]:
    """The numbers in the frames, in the order they came."""
    return numbers_in([frame.rows for frame in frames])


def test_a_bounded_stream_ends_behind_markers_and_aborted_frames(topic: AlignedTopic) -> None:
    topic.put(0, 1, 2)
    topic.put(4, 5, commit=False)
    topic.put(6)
    topic.put(8, 9, commit=False)
    assert numbers(list(topic.stream())) == [0, 2, 6, 1]


def test_frames_of_an_open_transaction_are_not_waited_for(topic: AlignedTopic) -> None:
    topic.put(0, 1)
    topic.producer.begin_transaction()
    value, headers = message_of(rows_of([2]))
    topic.producer.produce(topic.name, value, partition=0, headers=headers)
    topic.producer.flush(30)
    assert numbers(list(topic.stream())) == [0, 1]
    topic.producer.commit_transaction(30)
    assert numbers(list(topic.stream())) == [0, 2, 1]


def test_a_live_stream_gives_a_transaction_when_it_commits(topic: AlignedTopic) -> None:
    topic.put(0)
    frames = iter(topic.stream(until_end=False))
    first = next(frames)
    topic.put(2, commit=False)
    topic.put(4)
    assert numbers([first, next(frames)]) == [0, 4]


def test_a_live_service_goes_on_behind_what_its_group_committed(topic: AlignedTopic) -> None:
    topic.put(0, 2, 4, 6)
    topic.put(8, commit=False)
    stream = AlignedStream.from_kafka(topic.bootstrap, topic.name, group=topic.name)
    service = stream.batches(batch_rows=3, max_wait_ms=50)
    live = iter(service)
    assert next(live)["event_ns"].tolist() == [0, 2, 4]
    service.commit()
    assert next(live)["event_ns"].tolist() == [6]
    live.close()  # type: ignore[attr-defined]
    topic.put(10)
    live = iter(stream.batches(batch_rows=2))
    assert next(live)["event_ns"].tolist() == [6, 10]
    live.close()  # type: ignore[attr-defined]


def test_a_slow_service_is_fetched_for_again_without_a_row_missing_or_twice(
    topic: AlignedTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_sink.batches.prefetch.PAUSE_AFTER_S", 0.0)  # paused whenever no slot is free
    topic.put(*range(0, 20, 2))
    stream = AlignedStream.from_kafka(topic.bootstrap, topic.name)
    live = iter(stream.batches(batch_rows=1, prefetch=1, copy=True))
    found = [next(live)["event_ns"].item() for _ in range(6)]
    topic.put(20, 22, commit=False)
    topic.put(24, 26)
    found += [next(live)["event_ns"].item() for _ in range(6)]
    live.close()  # type: ignore[attr-defined]
    assert found == [*range(0, 20, 2), 24, 26]


def test_a_live_stream_ends_with_an_error_once_its_topic_is_gone(
    topic: AlignedTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_sink.reading.kafka_reader.SILENT_S", 0.5)
    topic.put(0)
    frames = iter(topic.stream(until_end=False))
    next(frames)
    topic.delete()
    with pytest.raises(SourceError, match=rf"{topic.name} \[[01]\] at {topic.bootstrap}: .*[Uu]nknown"):
        next(frames)


def test_an_empty_topic_ends_at_once(topic: AlignedTopic) -> None:
    assert list(topic.stream()) == []


def test_a_topic_that_is_not_there_is_named(kafka_bootstrap: str) -> None:
    with pytest.raises(SourceError, match="cannot read topic nowhere"):
        list(AlignedStream.from_kafka(kafka_bootstrap, "nowhere", until_end=True))


def test_a_topic_without_its_prefix_is_said_to_be_there_with_it(topic: AlignedTopic) -> None:
    behind = topic.name.rpartition(".")[2]
    with pytest.raises(SourceError, match=f"cannot read topic {behind} .*; there (is|are) .*{topic.name}"):
        AlignedStream.from_kafka(topic.bootstrap, behind)


def test_a_live_loop_ends_when_nothing_is_committed_any_more_and_then_goes_on(topic: AlignedTopic) -> None:
    topic.put(0, 2, 4)
    topic.put(6, commit=False)
    batches = topic.stream(until_end=False).batches(batch_rows=2, idle_ms=1_500, copy=True)
    assert [batch["event_ns"].tolist() for batch in batches] == [[0, 2], [4]]
    topic.put(8)
    assert [batch["event_ns"].tolist() for batch in batches] == [[8]]


def test_the_newest_committed_frame_tells_of_a_column_that_the_first_one_lacks(topic: AlignedTopic) -> None:
    topic.put(0)
    wide = rows_of([2]).append_column("bid_size", pa.array([7], pa.int32()))
    topic.put_rows(wide)
    for _ in range(12):
        topic.put(4, commit=False)
    stream = topic.stream()
    (batch,) = stream.batches(columns=["event_ns", "bid_size"], columns_missing="null")
    assert batch["event_ns"].tolist() == [0, 2]
    assert (batch["bid_size"].tolist(), batch["bid_size_valid"].tolist()) == ([0, 7], [False, True])
