"""The laws of reading an aligned topic, against the client library's own in-process broker.

That broker knows no transactions, so that aborted frames stay invisible is a test of the real one.
"""

import json
import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from gpu_sink.batches.batch import Batch
from gpu_sink.batches.batches import Batches
from gpu_sink.contract import FrameError
from gpu_sink.errors import OptionError, SourceError
from gpu_sink.frames import Frame
from gpu_sink.reading.kafka import KafkaFrames
from gpu_sink.reading.source import FrameReader
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of, numbers_in, rows_of

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


def test_reading_begins_at_the_end_and_a_state_or_group_goes_on_from_there(broker: Broker) -> None:
    for partition in range(PARTITIONS):
        broker.put("newest", partition, [partition])
    assert read(broker, "newest", offsets="end") == []
    stream = AlignedStream.from_kafka(broker.bootstrap, "newest", offsets="end", group="newest")
    found = stream.batches(batch_rows=2, idle_ms=2_000, copy=True, commit_every_ms=1)
    assert rows(found) == []
    broker.put("newest", 2, [10])  # while nobody reads: the end of the second start would miss it
    assert rows(found) == [10]
    broker.put("newest", 1, [11])
    assert rows(stream.batches(batch_rows=2, idle_ms=2_000, copy=True)) == [11]


def test_a_column_of_the_newest_frame_is_known_to_who_begins_at_the_end(broker: Broker) -> None:
    broker.put("newest-layout", 0, [1])
    stream = AlignedStream.from_kafka(broker.bootstrap, "newest-layout", offsets="end", partitions=[0])
    assert [schema.names for schema in stream.source.newest_schemas()] == [rows_of([1]).schema.names]


@pytest.mark.parametrize("offsets", ["newest", -1, [3]])
def test_offsets_of_another_kind_are_refused_with_both_that_there_are(broker: Broker, offsets: Any) -> None:
    with pytest.raises(OptionError, match=r'offsets is .*: say "end", or the offset of each partition'):
        AlignedStream.from_kafka(broker.bootstrap, "newest", offsets=offsets)


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


def batches(broker: Broker, topic: str, group: str | None = None, **options: Any) -> Batches:
    """Batches of two rows from the topic as it is now."""
    stream = AlignedStream.from_kafka(broker.bootstrap, topic, until_end=True, group=group)
    return stream.batches(batch_rows=2, copy=True, **options)


def rows(found: Iterable[Batch]) -> list[int]:
    """The numbers in the batches, in the order they came."""
    return [number for batch in found for number in batch["event_ns"].tolist()]


def test_a_state_goes_on_in_the_middle_of_a_frame(broker: Broker) -> None:
    for partition in (0, 2):
        for first in (0, 3):
            broker.put("state", partition, [10 * partition + first + n for n in range(3)])
    before, after = batches(broker, "state"), batches(broker, "state")
    going = iter(before)
    assert rows([next(going), next(going)]) == [0, 1, 2, 3]
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert rows(after) == [4, 5, 20, 21, 22, 23, 24, 25]


def test_a_shuffled_state_goes_on_in_the_middle_of_its_buffer(broker: Broker) -> None:
    for number in range(8):
        broker.put("shuffled", number % 2, [3 * number + n for n in range(3)])
    whole = rows(batches(broker, "shuffled", shuffle_rows=10))
    before, after = batches(broker, "shuffled", shuffle_rows=10), batches(broker, "shuffled", shuffle_rows=10)
    going = iter(before)
    found = rows([next(going) for _ in range(7)])
    after.load_state_dict(before.state_dict())
    assert found + rows(after) == whole
    assert sorted(whole) == list(range(24))


def test_a_group_goes_on_behind_what_was_committed(broker: Broker) -> None:
    for first in range(0, 9, 3):
        broker.put("grouped", 1, [first, first + 1, first + 2])
    ours = batches(broker, "grouped", group="service")
    going = iter(ours)
    assert rows([next(going), next(going)]) == [0, 1, 2, 3]
    ours.commit()
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert rows(batches(broker, "grouped", group="service")) == [4, 5, 6, 7, 8]
    assert rows(batches(broker, "grouped", group="another")) == list(range(9))


def test_what_was_handed_over_is_committed_when_the_next_batch_is_asked_for(broker: Broker) -> None:
    broker.put("asked", 0, [0, 1, 2, 3, 4])
    going = iter(batches(broker, "asked", group="service", commit_every_ms=0))
    next(going), next(going)
    going.close()  # type: ignore[attr-defined]
    assert rows(batches(broker, "asked", group="service", commit_every_ms=0)) == [2, 3, 4]
    assert rows(batches(broker, "asked", group="service")) == []


def test_what_was_handed_over_can_be_committed_when_the_stream_has_ended(broker: Broker) -> None:
    broker.put("ended", 0, [0, 1, 2])
    ours = batches(broker, "ended", group="service")
    assert rows(ours) == [0, 1, 2]
    ours.commit()
    assert rows(batches(broker, "ended", group="service")) == []


def test_a_stream_without_a_group_refuses_to_commit(broker: Broker) -> None:
    broker.put("groupless", 0, [1])
    ours = batches(broker, "groupless")
    next(iter(ours))
    going = iter(ours)
    next(going)
    with pytest.raises(SourceError, match="no group to commit to: give group="):
        ours.commit()
    going.close()  # type: ignore[attr-defined]


def test_a_paused_reader_goes_on_with_the_next_frame(broker: Broker) -> None:
    for number in range(4):
        broker.put("paused", number % 2, [number])
    source = AlignedStream.from_kafka(broker.bootstrap, "paused").source
    reader = source.open({0: None, 1: None})
    found = [until(reader) for _ in range(4)]
    reader.pause()
    broker.put("paused", 0, [4])
    assert reader.read(0.3) is None
    reader.resume()
    found.append(until(reader))
    broker.put("paused", 1, [5])
    found.append(until(reader))
    reader.close()
    assert sorted(numbers(found)) == [0, 1, 2, 3, 4, 5]


class Clients:
    """The clients that a stream made, and each error that the next ones are told before anything else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[Consumer] = []
        self.told: list[KafkaError] = []
        connect = KafkaFrames.connect
        monkeypatch.setattr(KafkaFrames, "connect", lambda frames: self._note(connect(frames)))

    def _note(self, client: Consumer) -> Any:
        self.made.append(client)
        return TellingClient(client, self.told)


class TellingClient:
    """A client whose `poll` gives what it was told first."""

    def __init__(self, client: Consumer, told: list[KafkaError]) -> None:
        self._client = client
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def poll(self, wait_s: float) -> Any:
        if self._told:
            error = self._told.pop()
            return SimpleNamespace(error=lambda: error, partition=lambda: 0)
        return self._client.poll(wait_s)


@pytest.mark.parametrize("bounded", [False, True])
def test_a_client_that_hears_nothing_any_more_is_replaced(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    monkeypatch.setattr("gpu_sink.reading.kafka_reader.SILENT_S", 0.2)
    topic, clients = f"deaf-{bounded}", Clients(monkeypatch)
    for number in range(3):
        broker.put(topic, 0, [number])
    source = AlignedStream.from_kafka(broker.bootstrap, topic, until_end=bounded).source
    reader = source.open({0: None})
    first = until(reader)
    clients.made[-1].pause([TopicPartition(topic, 0)])
    assert numbers([first, until(reader), until(reader)]) == [0, 1, 2]
    assert len(clients.made) == 2
    reader.close()


def test_a_quiet_topic_keeps_its_client(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu_sink.reading.kafka_reader.SILENT_S", 0.05)
    clients = Clients(monkeypatch)
    broker.put("quiet", 0, [1])
    reader = AlignedStream.from_kafka(broker.bootstrap, "quiet").source.open({0: None, 1: None})
    assert numbers([until(reader)]) == [1]
    for _ in range(10):
        assert reader.read(0.05) is None
    assert len(clients.made) == 1
    reader.close()


def test_errors_that_pass_are_waited_out_and_others_are_not(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = Clients(monkeypatch)
    broker.put("passing", 0, [1])
    reader = AlignedStream.from_kafka(broker.bootstrap, "passing").source.open({0: None})
    clients.told += [
        KafkaError(KafkaError.LEADER_NOT_AVAILABLE),
        KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART),
    ]
    assert numbers([until(reader)]) == [1]
    clients.told.append(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(SourceError, match=r"passing \[0\] at .*: Broker: Topic authorization failed"):
        until(reader)
    reader.close()


def until(reader: FrameReader) -> Frame:
    """The next frame; the ends of partitions are told in between."""
    while True:
        frame = reader.read(1)
        if frame is not None:
            return frame


def test_a_broker_that_is_not_there_is_named_at_once_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gpu_sink.reading.kafka.METADATA_WAIT_S", 0.3)
    with pytest.raises(
        SourceError, match=r"no broker answers at 127.0.0.1:1 \(waited 0.3 s\): .* refused"
    ) as no:
        AlignedStream.from_kafka("127.0.0.1:1", "aligned")
    assert no.value.__suppress_context__
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_with_a_topic_is_said_before_the_first_batch(broker: Broker) -> None:
    broker.put("said", 0, [1])
    with pytest.raises(SourceError, match="topic said has partitions 0 to 3, not 9"):
        AlignedStream.from_kafka(broker.bootstrap, "said", partitions=[9])
    with pytest.raises(SourceError, match='settings= of the client: No such configuration property: "speed"'):
        AlignedStream.from_kafka(broker.bootstrap, "said", settings={"speed": 3})


def test_a_client_that_is_not_installed_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(SourceError, match=r"install tidemark-gpu-sink\[kafka\]") as missing:
        AlignedStream.from_kafka("127.0.0.1:1", "aligned")
    assert missing.value.__suppress_context__


def test_a_column_that_only_the_newest_frames_have_is_null_before_them(broker: Broker) -> None:
    wide = rows_of([7]).append_column("bid_size", pa.array([3], pa.int32()))
    for number in range(20):
        broker.put("grown", 0, [number])
    broker.put_raw("grown", 0, *message_of(wide))
    ours = AlignedStream.from_kafka(broker.bootstrap, "grown", partitions=[0], until_end=True)
    (batch,) = ours.batches(columns=["event_ns", "bid_size"], columns_missing="null")
    assert batch["bid_size"].tolist() == [0] * 20 + [3]
    assert batch["bid_size_valid"].tolist() == [False] * 20 + [True]
