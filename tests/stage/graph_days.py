"""Real days through the reference graph in every way that a run can go, and what each way gives.

`python -m tests.stage.graph_days` runs them all, on a real Kafka as well, and prints a line for each;
`python -m tests.stage.graph_days lean` those of one day.
"""

import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final, Literal, NamedTuple
from uuid import uuid4

import pyarrow.parquet as pq
import tomli_w

from app.day.content_hash import content_hash
from app.day.history import find_days
from app.day.reading import Reading
from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.process import failpoints
from app.reading.aligned import read_output, write_output
from app.reading.row_files import as_in_frames, read_rows
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from operators.hashing.parity import Parity, sealed_hashes
from replay.store.day import Day
from tests.broker.chaos.crew import Crew, Hand
from tests.stage.day_runs import DayRun, until
from tests.stage.deaths import Death, die_at
from tests.stage.kafka_process import find_broker, release_broker
from tests.stage.market_data import market_data
from tests.stage.reference_graph import NODES, reference_graph
from topics.bus import Bus
from topics.kafka.bus import KafkaBus
from topics.memory.bus import MemoryBus
from topics.memory.consumer import MemoryConsumer

SCALES: Final = {
    "trade": {"scales": {"price": 10_000}},
    "quote": {"scales": {"bid_price": 10_000, "ask_price": 10_000}},
}
NEW_YORK: Final = {"session": "09:30-16:00", "timezone": "America/New_York"}
POLLS: Final = 40  # a run's messages are read in about so many turns, so that there is a middle to die in
DEATHS: Final = (failpoints.COMMIT_BEGIN, failpoints.COMMIT_END, failpoints.COMMIT_STATE)
RUN_S_MAX: Final = 300.0


class RealDay(NamedTuple):
    """A day beside the repository; quotes of one side are carried column by column."""

    folder: str
    date: str
    clock: Literal["event", "known"]
    carry: Literal["row", "column"]
    anchor: Any  # None: days of UTC
    nodes: Mapping[str, Any] | None = None  # of another graph than the reference set; all of them go out

    def settings(self) -> dict[str, Any]:
        """The tables of a file for it, with the reference graph or its own."""
        pipeline = {"clock": self.clock, "carry": self.carry}
        if self.nodes is None:
            return {"pipeline": pipeline, "graph": reference_graph(anchor=self.anchor)}
        anchor = {} if self.anchor is None else {"anchor": self.anchor}
        return {"pipeline": pipeline, "streams": SCALES, "graph": {**anchor, **self.nodes}}

    @property
    def outputs(self) -> tuple[str, ...]:
        """What its runs give."""
        return ("aligned", *(NODES if self.nodes is None else self.nodes))


DAYS: Final = {
    "lean": RealDay("lean_us_equity_ticks", "2013-10-07", "event", "column", NEW_YORK),
    "taq": RealDay("taq_highfrequency", "2018-01-02", "event", "row", NEW_YORK),
    "binance": RealDay("binance_20240808", "2024-08-08", "known", "row", None),
}


class Way(NamedTuple):
    """How a run goes: through what, shared out how, as which messages, and what dies in it.

    `deaths`  of a worker: none; or one before, in and after a commit, that keep their disks or lose them.
    """

    bus: Literal["direct", "replay", "embedded", "kafka"]
    partitions: int
    workers: int = 1
    shape: Literal["block", "record"] = "block"
    deaths: Literal["none", "kept", "lost"] = "none"

    def __str__(self) -> str:
        return (
            f"{self.bus:<8} {self.partitions} partitions, {self.workers} workers, {self.shape:<6}, "
            f"deaths {self.deaths}"
        )


# Any two values of two things meet in some way; what runs straight from files has blocks and no worker.
WAYS: Final = (
    *(Way("direct", partitions) for partitions in (1, 3, 8)),
    Way("replay", 3, 2),
    Way("embedded", 1, 1, "block", "none"),
    Way("kafka", 1, 2, "record", "kept"),
    Way("embedded", 1, 2, "record", "lost"),
    Way("kafka", 3, 2, "record", "none"),
    Way("embedded", 3, 1, "block", "kept"),
    Way("kafka", 3, 1, "block", "lost"),
    Way("embedded", 8, 2, "block", "none"),
    Way("kafka", 8, 1, "record", "kept"),
    Way("kafka", 8, 2, "block", "lost"),
)


@dataclass(frozen=True, slots=True)
class Given:
    """What a way gave: by output a hash of all rows whatever their partition, parities, and how many rows."""

    way: Way
    hashes: dict[str, str]
    parities: dict[str, list[str]]
    counts: dict[str, int]
    seconds: float

    @property
    def rows(self) -> int:
        """How many joined rows there were."""
        return self.counts["aligned"]


class Days:
    """A real day, imported, and its settings, for runs in folders of their own."""

    def __init__(self, day: RealDay, folder: Path) -> None:
        """Skips the test where the day is absent."""
        self.day, self.folder = day, folder
        self.data = market_data(day.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "reference.toml"
        self.config.write_text(tomli_w.dumps(day.settings()))
        self.days = self._days()

    def go(self, way: Way, bus: Bus | None = None) -> Given:
        """Run a way; one on Kafka on this bus."""
        out = self.folder / uuid4().hex[:8]
        begun_s = monotonic()
        if way.bus in ("direct", "replay"):
            self._replay(way, out)
        else:
            self._work(way, out, MemoryBus() if way.bus == "embedded" else bus)
        given = self._given(way, out, monotonic() - begun_s)
        shutil.rmtree(out)
        return given

    def _days(self) -> Sequence[Day]:
        _, days = find_days(
            self.day.date,
            ("trade", "quote"),
            data=self.data,
            store=self.folder / "history",
            reading=Reading(),
            say=lambda _: None,
        )
        return days

    def _replay(self, way: Way, out: Path) -> None:
        """The command `backtest`, `--through-wire` but for a direct run, with its audit."""
        request = ReplayRequest(
            date=self.day.date,
            store=self.folder / "history",
            out=out,
            bus="embedded",
            wire=way.bus != "direct",
            config=self.config,
            partitions=way.partitions,
            workers=way.workers,
            shape=way.shape,
        )
        summary = replay_day(request, lambda _: None)
        assert summary.audit_violations == 0, summary.audit_findings
        assert set(summary.rows_late.values()) == {0}

    def _work(self, way: Way, out: Path, bus: Bus | None) -> None:
        """Publish the day, and let workers read it that die."""
        assert bus is not None, "a way on Kafka needs one"
        rows = sum(day.rows for day in self.days)
        polled = rows // POLLS if way.shape == "record" else 20
        run = DayRun.on(
            bus,
            self.days,
            out,
            f"days-{uuid4().hex[:8]}",
            config=self.config,
            partitions=way.partitions,
            poll_messages_max=polled,
            commit_interval_ms=5,
            session_timeout_ms=3_000,
            checkpoint_interval_ms=20,
            state_interval_ms=20,
        )
        run.publish(way.shape)
        (_in_process if isinstance(bus, MemoryBus) else _as_processes)(run, way)
        for name in self.day.outputs:
            write_output(run.pipeline, name, out / name)
            assert said_parities(run, name) == [parity_of(file) for file in files_of(out / name)]
        if not isinstance(bus, MemoryBus):
            settings = run.pipeline.settings
            bus.admin().delete(
                [settings.topic(name) for name in (*settings.stream_names, *settings.output_names)]
            )

    def _given(self, way: Way, out: Path, seconds: float) -> Given:
        on = "known_ns" if self.day.clock == "known" else "event_ns"
        key = self.days[0].stream.key
        hashes, parities, counts = {}, {}, {}
        for name in self.day.outputs:
            table = read_rows(out / name)
            counts[name] = table.num_rows
            hashes[name] = content_hash(table, order_by=[on, *key])
            parities[name] = [parity_of(file) for file in files_of(out / name)]
            assert len(parities[name]) == way.partitions
        return Given(way, hashes, parities, counts, seconds)


def require_equal(given: Iterable[Given]) -> None:
    """Raise AssertionError where a way gave other rows, or other parities for as many partitions.

    Rows of one time and of several symbols have the order of their messages, so parities are of one shape.
    """
    by_layout: dict[tuple[int, str], Given] = {}
    first: Given | None = None
    for one in given:
        first = first or one
        assert one.hashes == first.hashes, f"{one.way}: {one.hashes}, {first.way}: {first.hashes}"
        alike = by_layout.setdefault((one.way.partitions, one.way.shape), one)
        assert one.parities == alike.parities, f"{one.way} and {alike.way}"


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def parity_of(file: Path) -> str:
    parity = Parity()
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches():
            parity = parity.roll(sealed_hashes(as_in_frames(batch)))
    return str(parity)


class _Last:
    """The parity that the last frame says."""

    parity = str(Parity())

    def add_seal(self, rows: int, parity: str, rule: str) -> None:
        """Remember that of a frame."""
        self.parity = parity


def said_parities(run: DayRun, name: str) -> list[str]:
    """What the frames of an output say of each partition."""
    said = []
    for partition in range(run.pipeline.settings.bus.partitions):
        last = _Last()
        list(read_output(run.pipeline, name, partition, seals=last))
        said.append(last.parity)
    return said


def _in_process(run: DayRun, way: Way) -> None:
    """Workers that turn one after the other; the first of them dies at each failpoint and starts again."""
    workers = [_start(run, str(slot)) for slot in range(way.workers)]
    deaths = [] if way.deaths == "none" else [*DEATHS]
    turns = 0
    until_s = monotonic() + RUN_S_MAX
    while not all(worker.finished() for worker in workers):
        assert monotonic() < until_s, "the run does not come to its end"
        turns += 1
        doomed = deaths.pop(0) if deaths and turns % (POLLS // 8) == 0 else None
        for slot, worker in enumerate(workers):
            if slot or doomed is None:
                worker.turn()
                continue
            _die(worker, doomed)
            _bury(run, worker, lose=way.deaths == "lost")
            workers[0] = _start(run, "0")
    assert not deaths, f"nobody died at {deaths}"
    for worker in workers:
        worker.close()


def _die(worker: Worker, doomed: str) -> None:
    """Turn until the worker reaches this failpoint, and let it die there."""
    failpoints.arm(partial(die_at, doomed))
    try:
        while not worker.finished():
            worker.turn()
    except Death:
        return
    finally:
        failpoints.arm(None)
    raise AssertionError(f"the run came to its end before {doomed}")


def _start(run: DayRun, slot: str) -> Worker:
    return open_worker(run.pipeline.with_slot(slot), until_final=True)


def _bury(run: DayRun, worker: Worker, *, lose: bool) -> None:
    """A dead process: no callback runs, the group finds out, the locks of its stores fall with it."""
    bus = run.pipeline.bus
    assert isinstance(bus, MemoryBus)
    assert isinstance(worker.consumer, MemoryConsumer)
    bus.evict(worker.consumer)
    for task in worker.tasks.values():
        task.close()
        if lose:
            shutil.rmtree(run.pipeline.state_path(task.partition), ignore_errors=True)


def _as_processes(run: DayRun, way: Way) -> None:
    """Worker processes; each kills itself at each failpoint, and starts again."""
    crew = Crew(run.config)
    slots = [str(slot) for slot in range(way.workers)]
    try:
        for doomed in () if way.deaths == "none" else DEATHS:
            hands = [crew.hire(slot, failpoint=f"{doomed}:2") for slot in slots]
            until(partial(_one_is_dead, hands), f"a worker dies at {doomed}", RUN_S_MAX)
            for hand in hands:
                hand.send(signal.SIGKILL) if hand.alive else None
                hand.died()
            if way.deaths == "lost":
                shutil.rmtree(run.pipeline.settings.worker.state, ignore_errors=True)
        for hand in [crew.hire(slot) for slot in slots]:
            hand.ended_well(RUN_S_MAX)  # it has the whole day before it
    finally:
        crew.close()


def _one_is_dead(hands: Sequence[Hand]) -> bool:
    return not all(hand.alive for hand in hands)


def main(names: Sequence[str], say: Callable[[str], None] = print) -> int:
    """Run every way of these days; 1 where one gives something else."""
    broker = find_broker()
    if broker.absent:
        say(f"no broker: {broker.absent}")
        return 2
    try:
        for name in names or list(DAYS):
            with TemporaryDirectory(prefix=f"tidemark-{name}-") as folder:
                days = Days(DAYS[name], Path(folder))
                given = []
                for way in WAYS:
                    given.append(days.go(way, KafkaBus(broker.bootstrap)))
                    words = ", ".join(f"{out} {digits[:8]}" for out, digits in given[-1].hashes.items())
                    say(f"{name:<8} {way}: {given[-1].rows:,} rows, {words} ({given[-1].seconds:.1f} s)")
                require_equal(given)
                say(f"{name}: {len(WAYS)} ways, all equal")
    finally:
        release_broker(broker)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
