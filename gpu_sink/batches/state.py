"""The state of a stream at the rows that were handed over: JSON, and small unless there are windows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gpu_sink.columns.windows import Tails
from gpu_sink.errors import StateError
from gpu_sink.options import BatchOptions, Windows
from gpu_sink.reading.feed import Run
from gpu_sink.reading.source import Position

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a stream has come once a batch is handed over.

    `positions`    where reading goes on.
    `tails`        what the rows leave to later windows; None while a shuffle buffer has rows left.
    `number`       of the shuffle buffer the rows are from, counted from 0.
    `handed_over`  rows of that buffer that were handed over; 0 with the last of them.
    `runs`         the rows of that buffer, in the order in which it was filled; none with the last of them.
    `sealed_rows`  how many rows the partitions had by then, as far as frames say; the next ones follow.
    """

    positions: Mapping[int, Position]
    tails: Tails | None = None
    number: int = -1
    handed_over: int = 0
    runs: tuple[Run, ...] = ()
    sealed_rows: Mapping[int, int] = field(default_factory=dict)

    def restart(self) -> dict[int, Position]:
        """Per partition the oldest row that was not handed over, or may not have been."""
        first = dict(self.positions)
        for run in reversed(self.runs):
            first[run.partition] = Position(run.offset, run.row)
        return first


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a state belongs to: the same rows in the same order need all of this to be the same."""

    source: str
    reader: int
    readers: int
    shuffle_rows: int
    seed: int
    windows: str
    words: str

    @classmethod
    def of(cls, source: str, reader: int, readers: int, options: BatchOptions) -> "Identity":
        """The identity of one reader's stream."""
        windows = options.windows
        words = sorted(
            (name, list(words)) for name, words in options.dictionaries.items() if words is not None
        )
        return cls(
            source=source,
            reader=reader,
            readers=readers,
            shuffle_rows=options.shuffle_rows,
            seed=options.seed if options.shuffle_rows else 0,
            windows="" if windows is None else _windows_text(windows),
            words=hashlib.sha256(repr(words).encode()).hexdigest()[:16] if words else "",
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def require(self, state: Mapping[str, Any]) -> None:
        """Raise StateError for the state of another stream, showing what differs."""
        if state.get("version") != VERSION:
            raise StateError(
                f"a state of version {state.get('version')}, this library reads version {VERSION}"
            )
        own = state.get("of", {})
        for name, value in self.to_json().items():
            if own.get(name) != value:
                raise StateError(f"the state is of {name} {own.get(name)!r}, this stream is of {value!r}")


def _windows_text(windows: Windows) -> str:
    features, keys = ", ".join(windows.columns), ", ".join(windows.keys)
    return f"{windows.steps} of {features} by {keys}, {windows.dtype}"


def mark_to_json(mark: Mark) -> dict[str, Any]:
    """The mark without its tails, which become part of the history."""
    return {
        "positions": {str(partition): list(position) for partition, position in mark.positions.items()},
        "sealed_rows": {str(partition): count for partition, count in mark.sealed_rows.items()},
        "buffer": {
            "number": mark.number,
            "handed_over": mark.handed_over,
            "runs": [list(run) for run in mark.runs],
        },
    }


def mark_from_json(state: Mapping[str, Any]) -> Mark:
    """The mark in a state; raises StateError where it is not one."""
    try:
        buffer = state["buffer"]
        return Mark(
            positions={
                int(number): Position(int(o), int(r)) for number, (o, r) in state["positions"].items()
            },
            number=int(buffer["number"]),
            handed_over=int(buffer["handed_over"]),
            runs=tuple(Run(*map(int, run)) for run in buffer["runs"]),
            sealed_rows={int(p): int(count) for p, count in state.get("sealed_rows", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as malformed:
        raise StateError(f"not the state of a stream: {malformed!r}") from None
