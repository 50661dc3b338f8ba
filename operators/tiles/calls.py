"""One call of a function: what it gives is checked, and what it raises is put into words."""

import traceback
from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from operators.tiles.models import Run

LONG_TEXT: Final = (pa.large_string(), pa.string_view())
REASON_LENGTH_MAX: Final = 1_000  # characters; what a function raises may have a frame in it
TRACEBACK_LENGTH_MAX: Final = 20_000


class TileError(Exception):
    """A tile cannot be had, and null would not be null again: the worker stops with this line."""


class FailedTile(NamedTuple):
    """A tile whose function failed.

    `place`      where the function stands.
    `rows`       of the tile, from `begin_ns` to before `end_ns`.
    `reason`     in a line, and `traceback` in full, from the function on.
    `off`        whether the function is off from here on.
    """

    node: str
    place: str
    begin_ns: int
    end_ns: int
    rows: int
    reason: str
    traceback: str
    off: bool

    @property
    def words(self) -> str:
        """In a line."""
        off = "; it has failed too often in a row, and is off from here on" if self.off else ""
        return (
            f"{self.place}: node {self.node}, tile {self.begin_ns} to {self.end_ns} with {self.rows:,} rows: "
            f"{self.reason}{off}"
        )


def called(run: Run, rows: pa.RecordBatch, returns: Sequence[pa.Field]) -> list[pa.Array]:
    """The columns that a function gives, as many values as rows; raises ValueError where they are others."""
    made = run(rows)
    return [_column(made, field, rows.num_rows) for field in returns]


def failure_words(failure: BaseException) -> str:
    """What was raised, in a line."""
    try:
        text = str(failure)
    except Exception as wrong:  # an exception of somebody else, whose words are theirs too
        text = f"(its words cannot be had: {type(wrong).__name__})"
    words = " ".join(f"{type(failure).__name__}: {text}".split())
    return words if len(words) <= REASON_LENGTH_MAX else f"{words[:REASON_LENGTH_MAX]}..."


def traceback_words(failure: BaseException, place: str) -> str:
    """The traceback from the function on, with names of files and no folders: the same on every machine."""
    name = place.rpartition(":")[0]
    frames = traceback.extract_tb(failure.__traceback__)
    first = next((n for n, one in enumerate(frames) if _file_name(one.filename) == name), 0)
    lines = [
        f"  {_file_name(one.filename)}:{one.lineno} in {one.name}: {one.line or ''}".rstrip()
        for one in frames[first:]
    ]
    return "\n".join([*lines, failure_words(failure)])[-TRACEBACK_LENGTH_MAX:]


def _column(made: object, field: pa.Field, rows: int) -> pa.Array:
    column = made.get(field.name) if isinstance(made, dict) else None
    if column is None:
        raise ValueError(f"it gave no column {field.name}")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if len(column) != rows:
        raise ValueError(
            f"it gave {len(column):,} values of {field.name} for {rows:,} rows: one for each row that it got "
            "is wanted, context among them"
        )
    if column.type == field.type:
        return column
    if pa.types.is_null(column.type) or (column.type in LONG_TEXT and field.type == pa.string()):
        return column.cast(field.type)
    raise ValueError(
        f"it gave {field.name} as {column.type}, and returns says {field.type}: cast it, or say {column.type}"
    )


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
