"""The values of a user's function, called again by the audit: the same function, over tiles it cuts itself.

It is the function that was declared, so a mistake in it shows in neither; what is judged is that the worker
called it with the rows and the context that the settings say, and gave out what came back.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.findings import PLACE
from app.audit.made import MAYBE, THERE, MadeRules
from app.audit.past import NONE, group_codes
from operators.tiles.calls import TileError, called
from operators.tiles.settings import RETURNS, TileSettings
from schemas.batch import Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS

OF_BARS: Final = ("start_ns", "bar_no")


def tile_frames(rules: MadeRules, frames: Iterator[pl.DataFrame], complete_ns: int) -> Iterator[pl.DataFrame]:
    """All rows with what the function gives; those of a tile that has not ended are marked by `MAYBE`.

    All rows of a partition are held.
    """
    settings = rules.node.tiles
    assert settings is not None, f"{rules.node.name} calls no function"
    frame = pl.concat([pl.DataFrame(), *frames], how="diagonal_relaxed")
    if not frame.height:
        return
    time_ns = frame[rules.on].cast(pl.Int64).to_numpy()
    certain = frame.height
    if MAYBE in frame.columns and frame[MAYBE].any():
        certain = int(frame[MAYBE].arg_max() or 0)
        complete_ns = min(complete_ns, int(time_ns[certain]))
    complete_ns = max(complete_ns, int(time_ns[certain - 1]) if certain else complete_ns)
    tile = time_ns // settings.tile_ns
    ended = int(np.searchsorted((tile + 1) * settings.tile_ns, complete_ns, "right"))
    made = _Calls(rules, settings, frame, time_ns)
    edges = [*np.flatnonzero(np.diff(tile[:ended], prepend=-1)).tolist(), ended] if ended else []
    parts: dict[str, list[Any]] = {name: [] for name in settings.returns}
    for lower, upper in pairwise(edges):
        for name, values in made.of_tile(lower, upper).items():
            parts[name] += values
    kinds = {name: _kind(text) for name, text in settings.returns.items()}
    waiting = np.arange(frame.height) >= ended
    columns = [
        pl.Series(name, [*values, *[None] * (frame.height - ended)], kinds[name])
        for name, values in parts.items()
    ]
    yield frame.drop(MAYBE, strict=False).with_columns(
        *columns,
        pl.Series(MAYBE, waiting),
        *(pl.Series(THERE + name, ~waiting) for name in parts if waiting.any()),
    )


class _Calls:
    """Calls a function tile by tile, and counts how often it fails in a row."""

    def __init__(
        self, rules: MadeRules, settings: TileSettings, frame: pl.DataFrame, time_ns: Int64s
    ) -> None:
        assert settings.function is not None, f"{rules.node.name} has no function that was loaded"
        self._settings, self._function = settings, settings.function
        self._time_ns = time_ns
        self._group = group_codes(frame, rules.key)
        self._by_group = {int(code): np.flatnonzero(self._group == code) for code in np.unique(self._group)}
        read = [name for name in frame.columns if name in self._read(rules, frame)]
        self._rows = _plain(frame.select(read).to_arrow())
        self._fields = [pa.field(name, RETURNS[_name_of(text)]) for name, text in settings.returns.items()]
        self._failures, self._off = 0, False

    def of_tile(self, lower: int, upper: int) -> dict[str, list[Any]]:
        """What the function gives for the rows of a tile; null where it fails, or is off."""
        known = np.arange(lower, upper)[self._group[lower:upper] != NONE]
        nulls: dict[str, list[Any]] = {field.name: [None] * (upper - lower) for field in self._fields}
        if self._off or not known.size:
            return nulls
        context = self._context(known, lower)
        batch = self._rows.take(pa.array(np.concatenate([context, known]))).combine_chunks().to_batches()[0]
        try:
            columns = called(self._function, batch, self._fields)
        except (MemoryError, OSError, TileError):
            raise
        except Exception:
            self._fail(lower)
            return nulls
        self._failures = 0
        for field, column in zip(self._fields, columns, strict=True):
            values = [_finite(value) for value in column.to_pylist()[context.size :]]
            for place, value in zip((known - lower).tolist(), values, strict=True):
                nulls[field.name][place] = value
        return nulls

    def _context(self, known: Int64s, lower: int) -> Int64s:
        """The rows of the tile's symbols before it: so many of each, and those of so long."""
        begin_ns = int(self._time_ns[lower]) // self._settings.tile_ns * self._settings.tile_ns
        parts = [np.empty(0, np.int64)]
        for group in np.unique(self._group[known]).tolist():
            own = self._by_group[group]
            before = own[: int(np.searchsorted(own, lower))]
            first = max(before.size - self._settings.rows, 0)
            if self._settings.ns:
                after = np.searchsorted(self._time_ns[before], begin_ns - self._settings.ns, "right")
                first = min(first, int(after))
            parts.append(before[first:])
        return np.sort(np.concatenate(parts))

    def _fail(self, lower: int) -> None:
        settings = self._settings
        begin_ns = int(self._time_ns[lower]) // settings.tile_ns * settings.tile_ns
        self._failures += not settings.ns or begin_ns - settings.ns >= int(self._time_ns[0])
        self._off = self._failures >= settings.failures_max

    def _read(self, rules: MadeRules, frame: pl.DataFrame) -> set[str]:
        reads, labels = self._settings.reads, rules.upstream.labels
        known = {name for name in frame.columns if not name.startswith("audit_") and name not in labels}
        if reads is None:
            return known
        return known & {*reads, *rules.key, EVENT_NS, KNOWN_NS, *PLACE, *OF_BARS}


def _name_of(text: str) -> str:
    return text.partition("@")[0].strip()


def _kind(text: str) -> pl.DataType:
    kinds = {"float64": pl.Float64(), "int64": pl.Int64(), "bool": pl.Boolean(), "string": pl.String()}
    return kinds[_name_of(text)]


def _plain(rows: pa.Table) -> pa.Table:
    """Rows with the types of text that nodes have."""
    long = (pa.large_string(), pa.string_view())
    fields = [field.with_type(pa.string()) if field.type in long else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
