"""Real days imported, replayed through a real Kafka and captured back: the same rows, and the same replay."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from app.day.history import find_days
from app.day.reading import Reading
from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.wiring.captured import captured_topics
from replay.capture.capture import CaptureLimits
from replay.capture.session import CaptureTarget, capture
from replay.store.content_hash import combined, content_hash
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.stored_types import stored_schema, to_stored
from tests.stage.day_runs import DayRun
from tests.stage.market_data import market_data
from tests.stage.programs import process_as_before
from topics.kafka.bus import KafkaBus

pytestmark = [
    pytest.mark.broker,
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.takes_s(60),
]

STREAMS = ("trade", "quote")
FLUSH_SIZE = 8 << 20  # bytes: a day is more than one commit
# The clock that both streams have, and what the quotes of the day need to be carried over by.
LEAN = ("lean_us_equity_ticks", "2013-10-07", "event", "column")
BINANCE = ("binance_20240808", "2024-08-08", "known", "row")
TAQ = ("taq_highfrequency", "2018-01-02", "event", "row")
NEXT = ("taq_highfrequency", "2018-01-03", "event", "row")
DAYS = [pytest.param(*day, id=day[1]) for day in (TAQ, NEXT, LEAN, BINANCE)]


@pytest.mark.parametrize(("folder", "date", "clock", "carry"), DAYS)
def test_a_day_that_is_captured_back_has_its_rows_and_replays_to_its_hash(
    folder: str, date: str, clock: str, carry: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    config = tmp_path / "day.toml"
    config.write_text(f'[pipeline]\nclock = "{clock}"\ncarry = "{carry}"\n')
    store, live = tmp_path / "history", tmp_path / "live"
    _, days = find_days(
        date, STREAMS, data=market_data(folder), store=store, reading=Reading(), say=lambda _: None
    )
    captured = captured_back(days, config, KafkaBus(kafka_bootstrap), tmp_path)
    for day, other in zip(days, captured, strict=True):
        assert other.rows == day.rows > 0
        assert other.summary.key == day.summary.key
        assert other.stream.schema.names == day.stream.schema.names
        assert hash_of(other) == hash_of(day), day.summary.stream
    replays = [
        replay_day(
            ReplayRequest(
                date=date,
                config=config,
                store=root,
                out=tmp_path / f"replayed-{root.name}",
                bus="kafka",
                bootstrap=kafka_bootstrap,
            ),
            lambda _: None,
        )
        for root in (store, live)
    ]
    assert [one.audit_violations for one in replays] == [0, 0]
    first, second = replays
    assert second.hash == first.hash
    assert (second.rows_in, second.rows_matched) == (first.rows_in, first.rows_matched)


def captured_back(days: Sequence[Day], config: Path, bus: KafkaBus, folder: Path) -> list[Day]:
    """Publish days to topics of their own, capture these into tables, and return the days there."""
    run = DayRun.on(bus, days, folder / "run", f"test-{uuid4().hex[:12]}", config=config)
    settings = run.pipeline.settings
    try:
        run.publish()
        target = CaptureTarget(
            bus=bus,
            store=folder / "live",
            group=f"{settings.pipeline.prefix}-capture",
            zone=days[0].zone,
            buckets=None,
            limits=CaptureLimits(held_size_max=FLUSH_SIZE),
            accepts_gaps=False,
            to_end=True,
        )
        with process_as_before():  # a capture has handlers of signals, for as long as its process lasts
            assert capture(captured_topics(run.pipeline, STREAMS), target) == 0
    finally:
        bus.admin().delete([settings.topic(name) for name in (*STREAMS, *settings.output_names)])
    store = HistoryStore(folder / "live")
    assert store.dates() == [days[0].date]
    return [store.day(day.summary.stream, day.date) for day in days]


def hash_of(day: Day) -> int:
    """The content hash of a day's rows, as a table stores them, whatever their order."""
    stored = stored_schema(day.stream.schema)
    return combined(*(content_hash(to_stored(batch, stored)) for batch in day.batches()))
