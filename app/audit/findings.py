"""Faults of one partition, collected under their names with the first rows of each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from schemas.frame import LEFT_INDEX, LEFT_OFFSET

PLACE = [LEFT_OFFSET, LEFT_INDEX]
EXAMPLES_MAX = 3
STRAYS_MAX = 10_000  # rows found where none is wanted, or the other way round, kept to be told apart


@dataclass(frozen=True, slots=True)
class Violation:
    """One kind of fault in one partition: how many rows, and the first of them with both sides."""

    kind: str
    rows: int
    examples: tuple[str, ...]


class Findings:
    """Collects the faults of one partition, tile after tile; counts the rows that came again, equal.

    `without_past` counts by node the rows of which a feature hangs on rows that are gone.
    """

    def __init__(self) -> None:
        self.rows_repeated = 0
        self.passed_over: Counter[str] = Counter()
        self.without_past: Counter[str] = Counter()
        self._rows: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}
        self._strays: dict[str, list[pl.DataFrame]] = {"missing": [], "unexpected": []}

    def add(self, kind: str, rows: pl.DataFrame, describe: Callable[[dict[str, object]], str] = str) -> None:
        """Count `rows` as faults of a kind; the first of all are described."""
        if rows.height == 0:
            return
        self._rows[kind] = self._rows.get(kind, 0) + rows.height
        examples = self._examples.setdefault(kind, [])
        examples += [describe(row) for row in rows.head(EXAMPLES_MAX - len(examples)).to_dicts()]

    def add_stray(self, kind: str, rows: pl.DataFrame, *, by_place: bool) -> None:
        """Count rows as `missing` or `unexpected`; of one place, they are one row moved."""
        self.add(kind, rows)
        held = self._strays[kind]
        if by_place and rows.height and sum(part.height for part in held) < STRAYS_MAX:
            held.append(rows.select(PLACE))

    def violations(self) -> Iterator[Violation]:
        """All violations."""
        self._pair_strays()
        for kind, rows in self._rows.items():
            if rows:
                yield Violation(kind, rows, tuple(self._examples[kind]))

    def _pair_strays(self) -> None:
        """A place both missing and unexpected is one row whose time was changed."""
        if not all(self._strays.values()):
            return
        missing, unexpected = (pl.concat(parts) for parts in self._strays.values())
        moved = missing.join(unexpected, on=PLACE)
        for kind in self._strays:
            self._rows[kind] -= moved.height
        self.add("changed left row", moved, lambda row: f"another time at left row {place_words(row)}")
        self._strays = {"missing": [], "unexpected": []}


def place_words(row: Mapping[str, object]) -> str:
    """The left row of an aligned row, as offset and index."""
    return f"{row[LEFT_OFFSET]}/{row[LEFT_INDEX]}"
