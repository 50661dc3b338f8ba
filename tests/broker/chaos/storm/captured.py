"""Captures under 20,000 rows/s while they are killed and replaced and the broker restarts: each row once.

Two workers capture trades and quotes.  They are killed, one stands still while another takes its place and
then wakes, the broker is killed and started again, and all the while small parts are compacted.  What the
tables hold is held against the log, whose bytes are read by others than the program's own code.

`python -m tests.broker.chaos.storm.captured 600`, or `make captured SECONDS=600`.
"""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep
from typing import Final

import polars as pl
import pyarrow as pa
from rich.console import Console

from replay import history
from replay.errors import FencedCommitError
from replay.store.compact import compact, plan_compaction
from replay.store.content_hash import combined, content_hash
from replay.store.places import PLACES
from replay.store.table import HistoryTable, has_table
from replay.store.upkeep import verify
from tests.broker.chaos.crew import CONTEXT, Hand
from tests.broker.chaos.hand import work
from tests.broker.chaos.own_broker import own_broker
from tests.broker.chaos.storm.setting import PARTITIONS, Setting, set_up
from tests.broker.chaos.storm.verifier import Source, read_stream
from tests.stage.day_runs import until

STREAMS: Final = ("quote", "trade")
FLUSH_S: Final = 2
ACT_S: Final = 4.0  # from one act to the next
AWAY_S: Final = 2.0  # of a broker that was killed, and of one who stands still
COMPACT_S: Final = 5.0
COMPACTED_S: Final = 90.0  # within which something was worth it, on a machine that starts captures slowly
TICK_S: Final = 0.1
ACTS: Final = ("kill quote", "kill trade", "restart", "replace quote", "kill both", "replace trade")
KINDS: Final = 4  # the first so many acts have all kinds
END_S: Final = 240.0  # the last capture reads on to the end of the log


@dataclass(slots=True)
class Found:
    """What came of it: rows of the log, what tables lack, have twice or otherwise, and the story."""

    rows: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    faults: list[str] = field(default_factory=list)
    story: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether each row is there once, as it was sent."""
        return not (self.lost or self.doubled or self.changed or self.faults)

    def __str__(self) -> str:
        """What to print."""
        story = ", ".join(f"{count:,} {what}" for what, count in sorted(self.story.items()))
        told = "; ".join(self.faults) or "content hashes equal"
        return (
            f"{self.rows:,} rows of the log: {self.lost:,} lost, {self.doubled:,} doubled, "
            f"{self.changed:,} changed; {told}\n{story}"
        )


class Capturers:
    """The workers that capture, one for each stream, and their successors."""

    def __init__(self, setting: Setting, store: Path, story: Counter[str]) -> None:
        self._setting, self._store, self.story = setting, store, story
        self._hands: list[Hand] = []
        self.at_work = {stream: self.hire(stream) for stream in STREAMS}

    def hire(self, stream: str, *more: str) -> Hand:
        """Start a capture of a stream."""
        config = self._setting.folder / "tidemark.toml"
        words = ["capture", "--config", str(config), "--store", str(self._store), "--streams", stream]
        words += ["--timezone", "UTC", "--flush-seconds", str(FLUSH_S), *more]
        log = config.with_name(f"capture-{len(self._hands)}-{stream}.log")
        process = CONTEXT.Process(target=work, args=(words, {}, log, None), daemon=True)
        process.start()
        hand = Hand(stream, process, log, monotonic())
        self._hands.append(hand)
        return hand

    def tend(self) -> None:
        """Who has ended by itself is replaced, as a service manager would."""
        for stream, hand in self.at_work.items():
            if not hand.alive:
                self.story["ended by themselves"] += 1
                self.at_work[stream] = self.hire(stream)

    def kill(self, stream: str) -> None:
        """Kill a capture, and start the next."""
        hand = self.at_work[stream]
        if hand.alive:
            hand.send(signal.SIGKILL)
            hand.wait()
            self.story["killed"] += 1
        self.at_work[stream] = self.hire(stream)

    def replace(self, stream: str) -> Callable[[], None]:
        """Let a capture stand still, and start another in its place; what is returned wakes it."""
        zombie = self.at_work[stream]
        if not zombie.alive:
            return lambda: None
        zombie.send(signal.SIGSTOP)
        self.at_work[stream] = self.hire(stream)
        self.story["stood still and woke"] += 1

        def wake() -> None:
            zombie.send(signal.SIGCONT)

        return wake

    def finish(self) -> None:
        """Let all go, and capture what is left of the log."""
        for hand in self._hands:
            if hand.alive:
                hand.send(signal.SIGCONT)
                hand.send(signal.SIGTERM)
        for hand in self._hands:
            hand.process.join(END_S)
        for stream in STREAMS:
            self.hire(stream, "--to-end").ended_well(END_S)

    def close(self) -> None:
        """Leave nobody behind."""
        for hand in self._hands:
            hand.end()


def capture_under_load(
    folder: Path, seconds: float, *, act_s: float = ACT_S, say: Callable[[str], None] = lambda _: None
) -> Found:
    """Let captures run for so long on a broker of one's own, and hold their tables against the log.

    An act of the storm comes every `act_s` seconds.
    """
    store, found = folder / "history", Found()
    with (
        own_broker(folder / "kafka") as broker,
        set_up(broker, folder / "pipeline", 1) as setting,
    ):
        capturers = Capturers(setting, store, found.story)
        setting.feed.start()
        try:
            with _compacting(store, found.story):
                _play(setting, capturers, (seconds, act_s), say)
            setting.feed.finish()
            capturers.finish()
        finally:
            capturers.close()
        until(lambda: not setting.open_transactions(), "no transaction is open", 30)
        for stream in STREAMS:
            judge(store, setting.source, stream, found)
    return found


def _play(
    setting: Setting, capturers: Capturers, times: tuple[float, float], say: Callable[[str], None]
) -> None:
    """One act after the other, until the time is over; what was broken is mended before the next.

    `times` are how long that takes, and from one act to the next, in seconds.  Each kind of act comes once,
    however long a broker takes to start again, and so does a compaction, which needs two parts of a day.
    """
    seconds, act_s = times
    begun_s = monotonic()
    for number, act in enumerate(cycle(ACTS)):
        if number >= KINDS and monotonic() - begun_s + act_s >= seconds:
            break
        _pass(capturers, act_s)
        say(f"{monotonic() - begun_s:6.1f} s  {act}; {setting.feed.rows:,} rows sent")
        if act == "restart":
            setting.broker.kill()
            sleep(AWAY_S)
            setting.broker.start()
            capturers.story["broker restarts"] += 1
        elif act.startswith("replace"):
            wake = capturers.replace(act.split()[1])
            _pass(capturers, 2 * FLUSH_S)
            wake()
        else:
            for stream in STREAMS if act == "kill both" else [act.split()[1]]:
                capturers.kill(stream)
    _pass(capturers, max(0.0, seconds - (monotonic() - begun_s)))
    last_s = monotonic() + COMPACTED_S
    while not capturers.story["compactions"] and monotonic() < last_s:
        _pass(capturers, TICK_S)


def _pass(capturers: Capturers, seconds: float) -> None:
    until_s = monotonic() + seconds
    while monotonic() < until_s:
        capturers.tend()
        sleep(TICK_S)


@contextmanager
def _compacting(store: Path, story: Counter[str]) -> Iterator[None]:
    """Compact beside the captures until the block ends."""
    stop = Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            while not stop.wait(COMPACT_S):
                for stream in STREAMS:
                    if has_table(store, stream):
                        _compact(HistoryTable(store, stream), story, stop)
        except BaseException as raised:  # raised again where the block ends
            failed.append(raised)

    thread = Thread(target=run, name="compaction")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def _compact(table: HistoryTable, story: Counter[str], stop: Event) -> None:
    for group in plan_compaction(table.snapshot()):
        if stop.is_set():
            return
        try:
            compact(table, group, by="a storm")
            story["compactions"] += 1
        except FencedCommitError:
            story["compactions refused"] += 1
            table.refresh()


def judge(store: Path, source: Source, stream: str, found: Found) -> None:
    """Hold a table against the log, a partition at a time: places, values, and the hash of all rows."""
    snapshot = history.snapshot(stream, store=store)
    found.faults += [f"{stream}: {fault}" for fault in verify(snapshot)]
    for partition in range(PARTITIONS):
        sent = as_captured(read_stream(source, stream, partition), partition)
        rows = history.scan(stream, sent.columns, at=snapshot).filter(pl.col("_partition") == partition)
        compare(sent, rows.collect().select(sent.columns), found)


def as_captured(rows: pl.DataFrame, partition: int) -> pl.DataFrame:
    """The rows of the log with the names and the types that a table of captured rows has."""
    symbol = pl.format("S{}", pl.col("symbol").cast(pl.String).str.zfill(4)).alias("symbol")
    named = rows.with_columns(symbol, pl.lit(partition, pl.Int64).alias("_partition"))
    return named.rename({"left_offset": "_offset", "left_index": "_index"})


def compare(sent: pl.DataFrame, kept: pl.DataFrame, found: Found) -> None:
    """Count what is lost, doubled and changed of one partition."""
    once = kept.unique(list(PLACES), keep="first")
    found.rows += sent.height
    found.doubled += kept.height - once.height
    found.lost += sent.join(once, on=list(PLACES), how="anti").height
    found.changed += once.join(sent, on=list(PLACES), how="anti").height  # rows that the log does not have
    both = once.join(sent, on=list(PLACES), how="inner", suffix="_sent")
    values = [name for name in sent.columns if name not in PLACES]
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_sent")) for name in values)
    found.changed += both.filter(differs).height
    if hash_of(kept) != hash_of(sent):
        found.faults.append(f"content hashes differ: {hash_of(kept):016x}, of the log {hash_of(sent):016x}")


def hash_of(rows: pl.DataFrame) -> int:
    """The content hash of rows, places among them."""
    table = rows.to_arrow()
    place = table.schema.get_field_index("symbol")
    table = table.set_column(place, "symbol", table.column(place).cast(pa.string()))
    return combined(*(content_hash(batch) for batch in table.to_batches()))


def main(seconds: float) -> int:
    """Play for so many seconds; 1 where a row is not there once."""
    console = Console(width=150)
    with TemporaryDirectory(prefix="tidemark-captured-") as folder:
        found = capture_under_load(Path(folder), seconds, say=lambda line: console.print(line, markup=False))
    console.print(str(found), markup=False)
    return 0 if found.clean else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
