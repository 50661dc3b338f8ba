"""Small days for backfills, a live run over them that says what their rows are, and a hand that kills."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import pyarrow as pa

from app.backfill.run import Result, run_backfill
from app.backfill.runners import HereRunner, Runner
from app.backfill.shard import UNFINISHED
from app.day.request import ReplayRequest
from app.process.clock import pause
from app.reading.row_files import as_in_frames
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.stage.day_runs import DayRun
from topics.bus import Bus
from topics.memory.bus import MemoryBus

DATES = ("2024-01-15", "2024-01-16", "2024-01-18")  # a day between has none
SPAN = f"{DATES[0]}..{DATES[-1]}"
PARTITIONS = 3
# What hangs on the row, a window, all rows ever, bars that are open overnight, and what is still to come.
GRAPH = """\
[graph]
name = "filled"
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
vol = "rolling_std(mid, rows=20)"
ever = "ewma(mid, span=20, memory='genesis')"
[graph.tick.out]
status = "column"
[graph.bars]
kind = "bars"
from = "tick"
every = { trades = 37 }
[graph.bars.features]
mean_vol = "mean(vol)"
[graph.bars.out]
[graph.flow]
from = "quote"
[graph.flow.features]
thin = "rolling_sum(bid_size, rows=3)"
[graph.seen]
kind = "asof"
from = "tick"
right = ["flow"]
columns = { flow = ["thin"] }
[graph.seen.out]
[graph.outcome]
from = "tick"
kind = "label"
fixed_horizon = { horizon_rows = 5, max = "2d", price = "mid" }
[graph.outcome.out]
"""
# Of a live run one grace for all days: it says how many rows a message has.
ONE_GRACE = "[pipeline]\ngrace_ns = 30000000000\n"
OUTPUTS = ("aligned", "tick", "bars", "seen", "outcome")
WRITER: Final = re.compile(rf"\.(\d+)-[0-9a-f]+{re.escape(UNFINISHED)}$")  # in names of files of shards


class Market:
    """A history of a few small days, and settings with a graph."""

    def __init__(
        self, folder: Path, *, trades: int = 400, quotes: int = 1_600, settings: str = ONE_GRACE
    ) -> None:
        self.folder = folder
        self.store = folder / "history"
        folder.mkdir(parents=True, exist_ok=True)
        for number, date in enumerate(DATES):
            generate_day(
                HistoryStore(self.store), date, symbols=9, trades=trades + 50 * number, quotes=quotes
            )
        self.config = folder / "graph.toml"
        self.config.write_text(settings + GRAPH)

    def request(self, out: str, date: str = DATES[0]) -> ReplayRequest:
        """A run straight from files."""
        return ReplayRequest(
            date=date,
            store=self.store,
            out=self.folder / out,
            config=self.config,
            partitions=PARTITIONS,
            bus="embedded",
            wire=False,
        )

    def backfill(
        self,
        out: str,
        runner: Callable[[Path], Runner] = HereRunner,
        *,
        overnight: bool = True,
        groups: int = PARTITIONS,
        into: Path | None = None,
    ) -> Result:
        """Run all days as shards, into tables where a store is named."""
        return run_backfill(
            SPAN,
            self.request(out),
            runner,
            overnight=overnight,
            groups=groups,
            say=lambda _: None,
            into=into,
        )

    def live(self, bus: Bus | None = None) -> DayRun:
        """Publish all days to the same topics, one after the other, and let a worker join them."""
        bus = bus or MemoryBus()
        store = HistoryStore(self.store)
        folder = self.folder / "live"
        for date in DATES:
            days = [store.day(stream, date) for stream in ("trade", "quote")]
            run = DayRun.on(bus, days, folder, "live", partitions=PARTITIONS, config=self.config)
            run.publish()
        run.join()
        return run


def rows_of(folder: Path, output: str, number: int) -> pa.Table:
    """The rows of a partition over all days of a backfill, as frames have them."""
    parts = [
        as_in_frames(batch)
        for file in sorted((folder / output).glob(f"day=*/partition-{number:05d}.parquet"))
        for batch in pa.parquet.read_table(file).to_batches()
    ]
    return pa.Table.from_batches(parts)


def files(folder: Path) -> dict[str, bytes]:
    """All files of a backfill by their paths, but the settings, which name their folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "tidemark.toml"
    }


def last_parities(record: Any, output: str) -> list[str]:
    """The parities of an output's partitions at the end of the last day."""
    return list(record["outputs"][output]["days"][-1]["parity"].values())


@contextmanager
def killer(folder: Path, out: str) -> Iterator[list[int]]:
    """Kill the first process, other than this one, that is seen to write into the stage of a backfill."""
    killed: list[int] = []
    stop = Event()

    def watch() -> None:
        stage = folder / f".{out}.backfill"
        while not stop.is_set() and not killed:
            with suppress(
                FileNotFoundError, ProcessLookupError
            ):  # what is looked at may be put in its place, or cleared away
                names = [WRITER.search(file.name) for file in stage.rglob(f"*{UNFINISHED}")]
                pids = {int(name[1]) for name in names if name}
                for pid in sorted(pids - {os.getpid()})[:1]:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            pause(0.002)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()
