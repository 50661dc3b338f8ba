"""Another rule from a restart on: rows before it are of the old rule, and those after it of the new one."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from app.errors import RunError
from app.task.metadata import from_position
from app.task.reading import Reading
from app.wiring.pipeline import topic_specs
from app.worker.rule_change import CHANGED, rule_change
from app.worker.worker import Worker
from operators.asof import asof_join
from schemas.frame import decode_frame
from tests.simulation.scene import QUOTE, TRADE
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.catalogue import apply, plan
from topics.memory.consumer import MemoryConsumer

STEP_NS = 200_000_000
DEFAULTS: Mapping[str, Any] = {"tolerance_ns": None, "direction": "backward", "carry": "row"}
OFTEN = {"checkpoint_interval_ms": 1, "last_known_interval_ms": 1}
Columns = tuple[str, ...] | None


@dataclass
class Day:
    """A day of three symbols: A is quoted all the time, B and C are now and then, and one quote is late."""

    market: Market
    quotes: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)

    def steps(self, first: int, end: int) -> None:
        for step in range(first, end):
            self._quote("A", step, step * 10.0, None if step % 3 else step * 10.0 + 1)
            if step in (1, 30, 57):
                self._quote("B", step, step * 10.0, step * 10.0 + 1)
            if step in (2, 36):
                self._quote("C", step, None if step == 36 else 20.0, step * 10.0 + 1)
            if step == 44:  # B's newest, but for being late
                self._send("quote", "B", [36 * STEP_NS], bid=[1.0], ask=[2.0])
            for symbol, at_ns in [("A", 0), *((symbol, STEP_NS // 2) for symbol in "ABC")]:
                self.trades.append({"event_ns": step * STEP_NS + at_ns, "symbol": symbol})
                self._send("trade", symbol, [step * STEP_NS + at_ns])
            if step % 4 == 3:
                self.market.progress((step + 1) * STEP_NS)

    def _quote(self, symbol: str, step: int, bid: float | None, ask: float | None) -> None:
        at_ns = step * STEP_NS
        self.quotes.append({"event_ns": at_ns, "symbol": symbol, "bid": bid, "ask": ask})
        self._send("quote", symbol, [at_ns], bid=[bid], ask=[ask])

    def _send(self, stream: str, symbol: str, times_ns: list[int], **columns: object) -> None:
        self.market.keyed(stream, symbol, self.market.block(stream, times_ns, symbol, columns))

    def joined(self, rule: Mapping[str, Any], columns: Columns) -> list[dict[str, Any]]:
        """All rows of the day joined at once by one rule."""
        left = pa.Table.from_pylist(self.trades, schema=TRADE.schema)
        right = pa.Table.from_pylist(self.quotes, schema=QUOTE.schema)
        if columns is not None:
            right = right.select(["event_ns", "symbol", *columns])
        rows: list[dict[str, Any]] = asof_join(left, {"quote": right}, **rule).to_pylist()
        return rows

    def aligned(self) -> list[dict[str, Any]]:
        rows = [
            row for frame in self.market.messages("aligned") for row in decode_frame(frame.value).to_pylist()
        ]
        return [{name: row[name] for name in row if not name.startswith("left_")} for row in rows]


def change(market: Market, rule: Mapping[str, Any], columns: Columns = None) -> None:
    """Set another rule, for workers made from now on."""
    old = market.settings
    streams = {"quote": {"columns": columns}} if columns is not None else {}
    market.settings = old.model_validate(
        {
            **old.model_dump(exclude={"streams", "graph", "outputs"}),
            "pipeline": {**old.pipeline.model_dump(), **rule},
            "streams": streams,
        }
    )
    admin = market.bus.admin()
    apply(admin, plan(admin, topic_specs(market.settings)))
    market.pipeline = market.plan(market.settings)


def live(day: Day, first: int, end: int) -> None:
    with closing(day.market.worker()) as worker:
        for step in range(first, end, 5):
            day.steps(step, min(step + 5, end))
            turn_until_quiet(worker)
            day.market.pass_commit_interval()


def within(steps: int) -> dict[str, int]:
    return {"tolerance_ns": steps * STEP_NS}


CHANGES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "a longer tolerance": (within(2), within(30)),
    "a shorter tolerance": (within(30), within(2)),
    "no tolerance any more": (within(2), {}),
    "a tolerance": ({}, within(22)),
    "a short tolerance": ({}, within(3)),
    "last values": ({}, {"carry": "column"}),
    "last values within a tolerance": (within(30), {**within(30), "carry": "column"}),
    "whole rows": ({"carry": "column"}, {}),
    "whole rows within a tolerance": ({"carry": "column"}, within(30)),
    "only earlier rows": ({}, {"allow_exact": False}),
    "forward": (within(2), {**within(5), "direction": "forward"}),
    "nearest": (within(2), {**within(30), "direction": "nearest"}),
    "backward after forward": ({**within(9), "direction": "forward"}, within(20)),
    "backward after nearest": ({**within(9), "direction": "nearest"}, {}),
    "forward, and shorter": ({**within(9), "direction": "forward"}, {**within(1), "direction": "forward"}),
    "nearest, and shorter": ({**within(9), "direction": "nearest"}, {**within(1), "direction": "nearest"}),
    "forward after nearest": ({**within(9), "direction": "nearest"}, {**within(7), "direction": "forward"}),
    "nearest after forward": ({**within(9), "direction": "forward"}, {**within(40), "direction": "nearest"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_rows_go_on_by_the_new_rule_as_if_it_had_always_been_that(tmp_path: Path, name: str) -> None:
    old, new = CHANGES[name]
    require_change(tmp_path, old, new, None, None)


@pytest.mark.parametrize("carry", ["row", "column"])
@pytest.mark.parametrize("tolerance", [None, 30])
def test_an_added_column_has_its_values_from_the_restart_on(
    tmp_path: Path, carry: str, tolerance: int | None
) -> None:
    rule = {**(within(tolerance) if tolerance else {}), "carry": carry}
    require_change(tmp_path, rule, rule, ("bid",), ("bid", "ask"))


@pytest.mark.parametrize("name", ["no tolerance any more", "last values", "backward after forward"])
def test_a_worker_killed_again_and_again_while_it_reads_for_the_new_rule_changes_nothing(
    tmp_path: Path, name: str
) -> None:
    old, new = ({**DEFAULTS, **rule} for rule in CHANGES[name])
    market = Market(tmp_path, pipeline=old, worker={**OFTEN, "poll_messages_max": 10})
    day = Day(market)
    live(day, 0, 50)
    count = len(day.aligned())
    change(market, new)
    for _ in range(6):
        worker = market.worker()
        worker.turn()
        worker.turn()
        market.pass_commit_interval()
        worker.commit()
        assert isinstance(worker.consumer, MemoryConsumer)
        market.bus.evict(worker.consumer)
        for task in worker.tasks.values():
            task.close()
    live(day, 50, 60)
    market.progress(1_000 * STEP_NS, final=True)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    aligned = day.aligned()
    assert aligned[:count] == day.joined(old, None)[:count]
    assert aligned[count:] == day.joined(new, None)[count:]


@pytest.mark.parametrize("name", ["a shorter tolerance", "a short tolerance", "backward after forward"])
def test_who_goes_back_to_the_old_rule_while_rows_are_read_for_the_new_one_misses_nothing(
    tmp_path: Path, name: str
) -> None:
    old, new = ({**DEFAULTS, **rule} for rule in CHANGES[name])
    market = Market(tmp_path, pipeline=old, worker={"checkpoint_interval_ms": 1, "poll_messages_max": 1})
    day = Day(market)
    live(day, 0, 50)
    change(market, new)
    for _ in range(3):
        worker = market.worker()
        turns = 0
        while not turns or sum(reading.to_reread() - reading.reread() for reading in only(worker)) > 2:
            worker.turn()
            turns += 1
        worker.commit()
        assert not any(task.operator.settled for task in worker.tasks.values())
        worker.close()
    change(market, old)
    live(day, 50, 60)
    market.progress(1_000 * STEP_NS, final=True)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert day.aligned() == day.joined(old, None)


def only(worker: Worker) -> Iterable[Reading]:
    """The inputs of a worker's only task; none before the group has given it."""
    return [reading for task in worker.tasks.values() for reading in task.readings.values()]


def sealed(folder: Path, **rule: Any) -> Market:
    """A market of twenty steps, committed and closed."""
    market = Market(folder, pipeline={**DEFAULTS, **rule}, worker=OFTEN)
    live(Day(market), 0, 20)
    return market


def test_another_clock_is_refused_with_what_to_do(tmp_path: Path) -> None:
    market = sealed(tmp_path)
    consumer = market.bus.consumer(group="tidemark")
    source = TopicPartition("tidemark.trade", 0)
    position = consumer.committed([source])[source]
    assert position is not None
    committed = from_position(position, "trade[0]")
    other = committed.rule.replace("event", "known")
    with pytest.raises(RunError, match=r'clock known -> event.* set it to "known" again, or choose another'):
        rule_change(0, other, committed.frontier_ns, market.pipeline)
    with pytest.raises(RunError, match=r"not a rule of a join that this version knows.*update this one"):
        rule_change(0, f"{other} more", committed.frontier_ns, market.pipeline)


def test_what_changed_is_said_with_the_frontier_from_which_on_it_holds(tmp_path: Path) -> None:
    market = sealed(tmp_path, tolerance_ns=5_000_000_000)
    change(market, {"tolerance_ns": 500_000_000})
    with capture_logs() as logs, closing(market.worker()) as worker:
        turn_until_quiet(worker)
    (line,) = [line for line in logs if line["event"] == CHANGED]
    assert line["changes"] == "tolerance 5 s -> 500 ms"
    assert line["frontier"] == "1970-01-01T00:00:04.000000000Z"
    assert (line["partition"], line["frontier_ns"]) == (0, 20 * STEP_NS)


def test_rows_that_the_log_has_no_longer_are_said_to_be_gone(tmp_path: Path) -> None:
    market = sealed(tmp_path, **within(1))
    market.bus.delete_before(TopicPartition("tidemark.quote", 0), 5)
    change(market, {"tolerance_ns": None})
    with capture_logs() as logs, closing(market.worker()) as worker:
        turn_until_quiet(worker)
    (begins,) = [line["log_begins"] for line in logs if "log_begins" in line]
    assert begins == {"tidemark.quote[0]": 5}


@pytest.mark.parametrize("rule", [{"carry": "column"}, within(30)])
def test_rows_that_were_kept_for_the_old_rule_alone_are_not_given_up(
    tmp_path: Path, rule: Mapping[str, Any]
) -> None:
    market = sealed(tmp_path)
    market.bus.delete_before(TopicPartition("tidemark.quote", 0), 5)
    change(market, rule)
    with (
        closing(market.worker()) as worker,
        pytest.raises(RunError, match=r"begins at offset 5.* set the rule"),
    ):
        turn_until_quiet(worker)


def test_before_anything_is_sealed_another_rule_needs_nothing_that_is_gone(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline=DEFAULTS, worker=OFTEN)
    for _ in range(3):
        market.quote(1)
    market.bus.delete_before(TopicPartition("tidemark.quote", 0), 2)
    for rule in (DEFAULTS, {"carry": "column"}, within(30)):
        change(market, {**DEFAULTS, **rule})
        with closing(market.worker()) as worker:
            turn_until_quiet(worker)
    market.trade(2)
    market.progress(3)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(2, 1)]


def require_change(
    folder: Path, old: Mapping[str, Any], new: Mapping[str, Any], before: Columns, after: Columns
) -> None:
    """A day in four lives, the last two by the new rule, equals the two joins of the whole day."""
    old, new = {**DEFAULTS, **old}, {**DEFAULTS, **new}
    market = Market(folder, pipeline=old, worker=OFTEN, streams={"quote": {"columns": before}})
    day = Day(market)
    live(day, 0, 25)
    live(day, 25, 50)
    count = len(day.aligned())
    change(market, new, after)
    with capture_logs() as logs:
        live(day, 50, 52)
    assert [line["event"] for line in logs if line["event"] == CHANGED] == [CHANGED]
    live(day, 52, 60)
    market.progress(1_000 * STEP_NS, final=True)
    with capture_logs() as logs, closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert CHANGED not in [line["event"] for line in logs]
    aligned = day.aligned()
    assert aligned[:count] == day.joined(old, before)[:count]
    assert aligned[count:] == day.joined(new, after)[count:]
    assert 0 < count < len(aligned) == len(day.trades)
    assert aligned[count:] != day.joined(old, before)[count:]
