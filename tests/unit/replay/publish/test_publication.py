"""The laws of publishing a day."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from replay.errors import PublishError
from replay.publish.messages import Shape
from replay.publish.publication import Publication
from replay.store.day import Day
from replay.store.days import HistoryStore
from schemas.clocks import NS_PER_MS
from schemas.stream import StreamError
from tests.stage.days import DATE, NOON_NS, keep_day
from tests.stage.topic_reader import ReadMessage, read_topic, rows_in
from topics.bus import FencedError, TopicSpec
from topics.memory.bus import CommitFault, MemoryBus
from topics.partitioner import partition_of
from topics.registry.folder import FileRegistry

PARTITIONS = 3
MIDNIGHT_NS = 1_705_381_200_000_000_000  # the end of DATE in New York
SYMBOLS = ("A", "B", "C", "D", "E")


class Scene:
    """A day of trades and quotes, an embedded bus with a topic for each, and a way to publish."""

    def __init__(self, tmp_path: Path, rows: int = 60) -> None:
        self.store = HistoryStore(tmp_path / "history")
        self.bus = MemoryBus()
        self.registry = FileRegistry(tmp_path / "schemas")
        names = ("trade", "quote")
        self.topics = {name: f"t.{name}" for name in names}
        specs = [TopicSpec(name=topic, partitions=PARTITIONS, configs={}) for topic in self.topics.values()]
        self.bus.admin().create(specs)
        self.days = [self._day(name, rows * (1 + number)) for number, name in enumerate(names)]

    def _day(self, stream: str, rows: int) -> Day:
        known_ns = [NOON_NS + i * NS_PER_MS for i in range(rows)]
        columns: dict[str, Any] = {
            "event_ns": [known - (i * 7 % 5) * NS_PER_MS for i, known in enumerate(known_ns)],
            "known_ns": known_ns,
            "symbol": [SYMBOLS[i * 3 % 7 % 5] for i in range(rows)],
            "number": list(range(rows)),
        }
        return keep_day(self.store, stream, columns)

    def publication(self, **changes: Any) -> Publication:
        given: dict[str, Any] = {
            "bus": self.bus,
            "registry": self.registry,
            "days": self.days,
            "topics": self.topics,
            "partitions": PARTITIONS,
            "shape": "block",
            "grace_ns": 20 * NS_PER_MS,
            "clock": "event",
            "run": "test",
            "step_rows_max": 25,
            "block_rows_max": 4,
        }
        return Publication(**{**given, **changes})

    def messages(self, stream: str) -> list[ReadMessage]:
        return read_topic(self.bus, self.registry, self.topics[stream], PARTITIONS)

    def numbers(self, stream: str) -> list[int]:
        return sorted(row["number"] for row in rows_in(self.messages(stream)))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("shape", ["record", "block"])
def test_every_row_is_published_once_under_its_key(scene: Scene, shape: Shape) -> None:
    report = scene.publication(shape=shape).run()
    assert report.rows == {"trade": 60, "quote": 120}
    for stream in ("trade", "quote"):
        messages = [message for message in scene.messages(stream) if not message.progress]
        assert scene.numbers(stream) == list(range(report.rows[stream]))
        for message in messages:
            assert {row["symbol"].encode() for row in message.rows} == {message.key}
            assert message.key is not None
            assert message.partition == partition_of(message.key, PARTITIONS)
            assert message.timestamp_ms == message.rows[-1]["event_ns"] // NS_PER_MS
            assert len(message.rows) <= (1 if shape == "record" else 4)


@pytest.mark.parametrize("shape", ["record", "block"])
def test_rows_of_a_key_keep_their_order(scene: Scene, shape: Shape) -> None:
    scene.publication(shape=shape).run()
    by_key = defaultdict(list)
    for row in rows_in(scene.messages("quote")):
        by_key[row["symbol"]].append(row["number"])
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def test_progress_bounds_every_row_still_to_come_and_never_falls(scene: Scene) -> None:
    scene.publication().run()
    for stream in ("trade", "quote"):
        for partition in range(PARTITIONS):
            upper_ns = 0
            for message in (m for m in scene.messages(stream) if m.partition == partition):
                if message.progress:
                    assert message.rows[0]["upper_ns"] >= upper_ns
                    upper_ns = message.rows[0]["upper_ns"]
                else:
                    assert all(row["event_ns"] >= upper_ns for row in message.rows)
            assert upper_ns == MIDNIGHT_NS


def test_each_partition_ends_in_one_final_record(scene: Scene) -> None:
    scene.publication().run()
    for stream in ("trade", "quote"):
        final = [
            message for message in scene.messages(stream) if message.progress and message.rows[0]["final"]
        ]
        assert [message.partition for message in final] == list(range(PARTITIONS))
        assert {message.rows[0]["run"] for message in final} == {"test"}


def test_a_session_that_crosses_midnight_ends_after_its_last_row(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    last_ns = MIDNIGHT_NS + 5
    day = keep_day(
        scene.store, "trade", {"event_ns": [NOON_NS, last_ns], "symbol": ["A", "A"], "number": [0, 1]}
    )
    scene.publication(days=[day]).run()
    assert scene.messages("trade")[-1].rows[0]["upper_ns"] == last_ns + 1


@pytest.mark.parametrize(
    ("zone", "end_ns"),
    [
        ("Asia/Tokyo", MIDNIGHT_NS - 14 * 3_600 * 10**9),
        ("UTC", MIDNIGHT_NS - 5 * 3_600 * 10**9),
        ("Australia/Sydney", MIDNIGHT_NS - 16 * 3_600 * 10**9),  # summer time
    ],
)
def test_a_period_ends_with_the_day_where_its_exchange_stands(tmp_path: Path, zone: str, end_ns: int) -> None:
    scene = Scene(tmp_path)
    columns = {"event_ns": [end_ns - 10], "symbol": ["A"], "number": [0]}
    day = keep_day(scene.store, "trade", columns, zone=zone)
    scene.publication(days=[day]).run()
    assert scene.messages("trade")[-1].rows[0]["upper_ns"] == end_ns


def test_streams_whose_days_are_of_two_zones_are_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    columns = {"event_ns": [NOON_NS], "symbol": ["A"], "number": [0]}
    day = keep_day(scene.store, "trade", columns, zone="Asia/Tokyo")
    with pytest.raises(PublishError, match="trade of Asia/Tokyo and quote of America/New_York"):
        scene.publication(days=[day, scene.days[1]])


def test_a_stream_without_rows_is_ended_like_the_others(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    empty = {"event_ns": pa.array([], pa.int64()), "symbol": pa.array([], pa.string())}
    report = scene.publication(days=[scene.days[0], keep_day(scene.store, "quote", empty)]).run()
    assert report.rows == {"trade": 60}
    final = [m for m in scene.messages("quote") if m.rows[0]["final"]]
    assert len(final) == PARTITIONS


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_publication_started_again_goes_on_where_it_was(scene: Scene, steps: int) -> None:
    first = scene.publication()
    for _ in range(steps):
        first.step()
    second = scene.publication()
    done = sum(second.report.before.values())
    report = second.run()
    assert done == min(25 * steps, 180)
    assert sum(report.rows.values()) == 180 - done
    assert (scene.numbers("trade"), scene.numbers("quote")) == (list(range(60)), list(range(120)))


def test_a_complete_publication_publishes_nothing_more(scene: Scene) -> None:
    scene.publication().run()
    messages = scene.messages("trade")
    again = scene.publication()
    assert not again.step()
    assert again.run().messages == 0
    assert scene.messages("trade") == messages


def test_of_two_publications_of_one_run_the_older_stops_and_no_row_doubles(scene: Scene) -> None:
    older = scene.publication()
    older.step()
    scene.publication().run()
    with pytest.raises(FencedError):
        older.run()
    assert (scene.numbers("trade"), scene.numbers("quote")) == (list(range(60)), list(range(120)))


@pytest.mark.parametrize("fault", list(CommitFault))
def test_a_commit_that_fails_or_goes_unanswered_doubles_nothing(scene: Scene, fault: CommitFault) -> None:
    publication = scene.publication()
    publication.step()
    scene.bus.fail_commits([fault])
    report = publication.run()
    assert (scene.numbers("trade"), scene.numbers("quote")) == (list(range(60)), list(range(120)))
    assert report.rows == {"trade": 60, "quote": 120}


def test_a_later_day_follows_and_an_earlier_one_is_refused(scene: Scene) -> None:
    columns = {"event_ns": [NOON_NS + 86_400 * 10**9], "symbol": ["A"], "number": [60]}
    later = keep_day(scene.store, "trade", columns, date="2024-01-16")
    scene.publication(days=scene.days[:1]).run()
    scene.publication(days=[later]).run()
    assert scene.numbers("trade") == list(range(61))
    with pytest.raises(PublishError, match=f"up to 2024-01-16: {DATE} would be late"):
        scene.publication(days=scene.days[:1])


def test_a_day_left_half_way_is_finished_before_the_next(scene: Scene) -> None:
    columns = {"event_ns": [NOON_NS + 86_400 * 10**9], "symbol": ["A"], "number": [60]}
    later = keep_day(scene.store, "trade", columns, date="2024-01-16")
    scene.publication(days=scene.days[:1]).step()
    with pytest.raises(PublishError, match=r"stopped half-way in trade 2024-01-15 \(25 rows\)"):
        scene.publication(days=[later])


def test_a_history_that_changed_half_way_is_refused(scene: Scene) -> None:
    scene.publication().step()
    changed = keep_day(scene.store, "trade", {"event_ns": [NOON_NS], "symbol": ["A"], "number": [0]})
    with pytest.raises(PublishError, match="history has changed"):
        scene.publication(days=[changed, scene.days[1]])


def test_grace_that_cannot_cover_the_disorder_is_refused_with_the_figures(scene: Scene) -> None:
    assert max(day.disorder_ns("event") for day in scene.days) == 2 * NS_PER_MS
    scene.publication(grace_ns=2 * NS_PER_MS)
    with pytest.raises(PublishError, match=r"1,999,999 .*2,000,000"):
        scene.publication(grace_ns=2 * NS_PER_MS - 1)
    scene.publication(grace_ns=0, clock="known")


def test_rows_without_a_time_on_the_clock_are_refused_and_counted(scene: Scene) -> None:
    columns = {
        "event_ns": pa.array([NOON_NS, None, NOON_NS + 2, None], pa.int64()),
        "known_ns": [NOON_NS, NOON_NS + 1, NOON_NS + 2, NOON_NS + 3],
        "symbol": ["A", "A", "B", "B"],
        "number": [0, 1, 2, 3],
    }
    day = keep_day(scene.store, "quote", columns)
    report = scene.publication(days=[day], step_rows_max=1).run()
    assert (report.rows, report.refused) == ({"quote": 2}, {("quote", "no event_ns"): 2})
    assert scene.numbers("quote") == [0, 2]


def test_a_stream_without_the_clock_is_refused(scene: Scene) -> None:
    day = keep_day(scene.store, "trade", {"event_ns": [NOON_NS], "symbol": ["A"], "number": [0]})
    with pytest.raises(StreamError, match="known_ns"):
        scene.publication(days=[day], clock="known")


def test_a_paced_publication_takes_no_more_than_is_due(scene: Scene) -> None:
    paced = scene.publication(speed=0.1)
    assert paced.wait_ns(now_ns=1_000) == 0
    paced.step()  # 50 ms of this process's clock are 5 ms of the market: five rows of each stream
    assert paced.rows_done == 10
    assert paced.wait_ns(now_ns=1_000) == 50 * NS_PER_MS
    assert paced.wait_ns(now_ns=1_000 + 50 * NS_PER_MS) == 0


def test_stopping_leaves_whole_transactions(scene: Scene) -> None:
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > 2

    scene.publication().run(stopped=stopped)
    assert len(scene.numbers("trade")) + len(scene.numbers("quote")) == 50


def test_each_step_is_shown(scene: Scene) -> None:
    seen: list[int] = []
    scene.publication().run(show=lambda now: seen.append(now.rows_done))
    assert seen == [25, 50, 75, 100, 125, 150, 175, 180]


def day_of_notes(scene: Scene, sizes: list[int]) -> Day:
    """A day of one symbol whose rows have text of these sizes."""
    columns: dict[str, Any] = {
        "event_ns": [NOON_NS + i for i in range(len(sizes))],
        "known_ns": [NOON_NS + i for i in range(len(sizes))],
        "symbol": ["A"] * len(sizes),
        "number": list(range(len(sizes))),
        "note": ["x" * size for size in sizes],
    }
    return keep_day(scene.store, "trade", columns)


def publish_notes(scene: Scene, sizes: list[int], shape: Shape) -> list[ReadMessage]:
    scene.bus.configure(scene.topics["trade"], {"max.message.bytes": "10000"})
    scene.publication(
        days=[day_of_notes(scene, sizes)], shape=shape, block_rows_max=100, step_rows_max=1_000
    ).run()
    return [message for message in scene.messages("trade") if not message.progress]


def test_a_block_is_cut_by_bytes_as_well_as_by_rows(scene: Scene) -> None:
    sizes = [9_500, *[10] * 60, *[2_000] * 9, 9_800, 0]
    messages = publish_notes(scene, sizes, "block")
    assert [row["number"] for row in rows_in(messages)] == list(range(len(sizes)))
    assert 5 <= len(messages) <= 12
    assert max(len(message.rows) for message in messages) > 10


@pytest.mark.parametrize("shape", ["record", "block"])
def test_a_row_that_its_topic_does_not_take_is_named(scene: Scene, shape: Shape) -> None:
    with pytest.raises(
        PublishError,
        match=rf"^t\.trade: the row of symbol A, time {NOON_NS + 3}, makes a message of 12,0\d\d bytes, and "
        r"10,000 are taken \(max\.message\.bytes of the topic\); its largest columns are note \(12,00\d\), ",
    ):
        publish_notes(scene, [10, 10, 10, 12_000, 10], shape)
    assert scene.messages("trade") == []
