"""Checks of rows that are asked for: ids, corrections, conditions, quotes (formulas.md D3, D7 to D10).

Each looks at earlier rows only, as those of `bad_ticks` do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError
from replay.order import as_array
from replay.quality.bad_ticks import (
    BadTick,
    BadTickRules,
    BadTicks,
    TrimmedRules,
    floats,
    in_ticks,
    priced_columns,
)
from replay.quality.conditions import Conditions, ConditionTable, require_conditions, us_conditions
from replay.quality.duplicates import DEDUP_NS, Duplicates, ids_of
from replay.quality.groups import Groups
from replay.quality.quotes_beside import QuotesBeside, off_quote
from schemas.batch import Bools, Int32s, Int64s
from schemas.stream import Stream

_ORIGINAL: Final = r"^\s*0*\s*$"  # a correction indicator of a row as it was sent: 0, 00, none


class NumberColumn(NamedTuple):
    """A column of a source's numbers or ids, and the columns whose values name the source.

    Without `by` each symbol is a source of its own.
    """

    column: str
    by: tuple[str, ...] = ()


class ConditionColumns(NamedTuple):
    """The column of a trade's conditions, and that of its tape, None where the codes mean the same on all."""

    column: str
    tape: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules:
    """What is asked for, by stream, beside the rules for prices; nothing by default.

    `ids`          the column whose value a row must not share with one of the last `dedup_ns` (D3).
    `corrections`  the column that is 0 in a row as it was sent, something else in one that cancels or
                   corrects another (D10).
    `conditions`   the columns of codes that `table` says the meaning of (D9).
    `quotes`       the stream whose quotes the prices are held against: a trade may lie `spreads_max` spreads
                   outside (D8).
    `trimmed`      how prices are held against a trimmed mean; None for not at all (D7).
    """

    prices: BadTickRules = field(default_factory=BadTickRules)
    ids: Mapping[str, NumberColumn] = field(default_factory=dict)
    corrections: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, ConditionColumns] = field(default_factory=dict)
    quotes: Mapping[str, str] = field(default_factory=dict)
    table: ConditionTable = field(default_factory=us_conditions)
    trimmed: TrimmedRules | None = None
    dedup_ns: int = DEDUP_NS
    spreads_max: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.spreads_max < np.inf:
            raise HistoryError(f"the room outside a quote, {self.spreads_max} spreads, must be 0 or more")

    @property
    def streams(self) -> set[str]:
        """The streams of which something is asked for by name."""
        return {*self.ids, *self.corrections, *self.conditions, *self.quotes, *self.quotes.values()}

    @property
    def marks_rows(self) -> bool:
        """Whether a kind of mark was asked for, of any stream."""
        return bool(self.ids or self.corrections or self.quotes or self.trimmed)

    def marks(self, stream: Stream) -> bool:
        """Whether rows of a stream can be marked at all: it holds prices, or something was asked for."""
        name = stream.name
        return bool(priced_columns(stream.schema)) or name in self.ids or name in self.corrections

    def kinds(self, stream: str) -> list[BadTick]:
        """The kinds of marks that were asked for of a stream, beside those of every price."""
        wanted = {
            BadTick.FAR: self.trimmed is not None,
            BadTick.OFF_QUOTE: stream in self.quotes,
            BadTick.DUPLICATE: stream in self.ids,
            BadTick.CORRECTION: stream in self.corrections,
        }
        return [kind for kind, is_wanted in wanted.items() if is_wanted]

    def text(self) -> str:
        """What was asked for, in words that are equal where it is; empty where nothing was."""
        words = {
            "ids": {name: self.ids[name] for name in sorted(self.ids)},
            "corrections": dict(sorted(self.corrections.items())),
            "conditions": {name: self.conditions[name] for name in sorted(self.conditions)},
            "quotes": dict(sorted(self.quotes.items())),
            "trimmed": self.trimmed,
        }
        if self.ids and self.dedup_ns != DEDUP_NS:
            words["dedup_ns"] = self.dedup_ns
        if self.quotes:
            words["spreads_max"] = self.spreads_max
        if self.conditions and self.table != us_conditions():
            words["table"] = dict(sorted(self.table.items()))
        return ", ".join(f"{name}={value}" for name, value in words.items() if value)


class Checks:
    """Marks the rows of one stream's day in their order, batch by batch."""

    def __init__(self, stream: Stream, rules: CheckRules, quotes: QuotesBeside | None = None) -> None:
        """`quotes` are those of the day, None where it has none.

        Raises HistoryError where a column that something was asked of is missing.
        """
        self._rules, self._quotes = rules, quotes
        self._ticks = BadTicks(stream.schema, rules.prices, rules.trimmed)
        self._id = rules.ids.get(stream.name)
        self._correction = rules.corrections.get(stream.name)
        self._condition = rules.conditions.get(stream.name)
        self._conditions = Conditions(rules.table)
        if self._id is not None:
            _require(stream, (self._id.column, *self._id.by), "--ids")
            self._sources = Groups(self._id.by or stream.key)
            self._duplicates = Duplicates(stream.schema.field(self._id.column).type, rules.dedup_ns)
        if self._correction is not None:
            _require(stream, (self._correction,), "--corrections")
        if self._condition is not None:
            require_conditions(stream.schema, stream.name, *self._condition)
        if stream.name in rules.quotes and self._ticks.prices != ("price",):
            raise HistoryError(
                f"{stream.name} has no numbers in price: only trades can be held against quotes"
            )

    @property
    def prices(self) -> tuple[str, ...]:
        """The columns that hold prices."""
        return self._ticks.prices

    @property
    def columns(self) -> list[str]:
        """The columns that are looked at, beside key and clocks."""
        names = list(self._ticks.columns)
        names += [] if self._id is None else [self._id.column, *self._id.by]
        names += [] if self._correction is None else [self._correction]
        names += [] if self._condition is None else [name for name in self._condition if name is not None]
        return list(dict.fromkeys(names))

    @property
    def unknown(self) -> int:
        """How many rows so far had a condition that the table lacks."""
        return self._conditions.unknown

    def marks(self, rows: pa.RecordBatch, groups: Int64s, names: list[str], times_ns: Int64s) -> Int32s:
        """Return what is wrong with each of the next rows, int32, bits of `BadTick`.

        `groups` numbers their symbols, and `names` has the symbols by number; `times_ns` do not fall.
        """
        marks = self._ticks.flags(rows, groups, names)
        if self._quotes is not None and rows.num_rows:
            tick = self._ticks.ticks_of(groups)
            price = in_ticks(floats(rows.column("price")), tick)
            sides = self._quotes.at(rows, times_ns)
            marks[off_quote(price, sides, tick, self._rules.spreads_max)] |= BadTick.OFF_QUOTE
        if self._id is not None:
            sources = self._sources.numbers(rows)
            ids = ids_of(rows.column(self._id.column))
            marks[self._duplicates.take(sources, ids, times_ns)] |= BadTick.DUPLICATE
        if self._correction is not None:
            marks[_corrects(rows.column(self._correction))] |= BadTick.CORRECTION
        return marks

    def conditions(self, rows: pa.RecordBatch, groups: Int64s) -> dict[str, Bools] | None:
        """Return what the next rows may count for, by name; None where no conditions were asked for."""
        if self._condition is None:
            return None
        return self._conditions.take(rows, groups, *self._condition)


def kind_names(marks: int) -> list[str]:
    """The names of the kinds in some bits."""
    return [str(kind.name).lower() for kind in BadTick if marks & kind]


def kinds_of(text: str) -> BadTick:
    """Read names of kinds with a comma between them; raises HistoryError for a name that is none."""
    kinds = BadTick(0)
    for name in (word.strip() for word in text.split(",")):
        try:
            kinds |= BadTick[name.upper()]
        except KeyError:
            known = ", ".join(kind_names(sum(BadTick)))
            raise HistoryError(f"{name!r} is no kind of bad tick: there are {known}") from None
    return kinds


def _corrects(column: pa.Array) -> Bools:
    """D10: rows whose indicator is neither 0, in any number of digits, nor missing."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    original = pc.match_substring_regex(column.cast(pa.string()), _ORIGINAL)
    return ~as_array(pc.fill_null(original, True)).astype(np.bool_)


def _require(stream: Stream, names: tuple[str, ...], flag: str) -> None:
    for name in names:
        if name not in stream.schema.names:
            raise HistoryError(
                f"{stream.name} has no column {name}, which {flag} names; it has "
                f"{', '.join(stream.schema.names)}"
            )
