"""A stretch of a day for graphs that call functions: a call costs as much as many rows of formulas."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.config import Settings
from app.watch.words import clock_words
from app.words import duration
from operators.graph.plan import Plan
from replay.store.day import Day
from replay.store.days import HistoryStore
from schemas.clocks import clock_column

TILES_MAX: Final = 200  # of the shortest tiles in the graph


class Sample(NamedTuple):
    """The days that a check runs over, and in words which part of the day that is; empty for all of it."""

    days: Sequence[Day]
    words: str = ""


def sample_of(
    settings: Settings, days: Sequence[Day], plan: Plan | None, folder: Path, draws: np.random.Generator
) -> Sample:
    """The days; where functions are called those rows alone that lie in a stretch of so many tiles.

    It begins with the tile of a row of the left stream that is drawn.  `folder` is new, and gets the rows.
    """
    nodes = () if plan is None else plan.nodes
    tiles = [node.tiles.settings.tile_ns for node in nodes if node.tiles is not None]
    left = next(day for day in days if day.stream.name == settings.pipeline.left)
    on = clock_column(settings.pipeline.clock)
    clock = left.summary.clocks.get(on)
    if not tiles or clock is None or clock.last_ns - clock.first_ns < TILES_MAX * min(tiles):
        return Sample(days)
    tile_ns = min(tiles)
    begin_ns = _drawn(left, on, draws) // tile_ns * tile_ns
    end_ns = begin_ns + TILES_MAX * tile_ns
    store = HistoryStore(folder)
    kept = [
        store.write(
            day.stream,
            day.summary.date,
            _between(day, on, begin_ns, end_ns),
            order=day.summary.order,
            made={"sample": f"{begin_ns}-{end_ns}"},
        )
        for day in days
    ]
    words = (
        f"functions are called, so of the day {TILES_MAX} tiles of {duration(tile_ns)} are checked, "
        f"{clock_words(begin_ns, 0)} to {clock_words(end_ns, 0)} UTC; --whole-day checks all"
    )
    return Sample(kept, words)


def _drawn(day: Day, on: str, draws: np.random.Generator) -> int:
    """The time of a row that is drawn."""
    times = pa.concat_arrays([batch.column(on).drop_null() for batch in day.batches()])
    return int(times[int(draws.integers(0, len(times)))].as_py())


def _between(day: Day, on: str, begin_ns: int, end_ns: int) -> Iterator[pa.RecordBatch]:
    for batch in day.batches():
        time_ns = batch.column(on)
        inside = pc.and_(pc.greater_equal(time_ns, begin_ns), pc.less(time_ns, end_ns))
        yield batch.filter(inside)
