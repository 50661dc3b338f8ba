"""Measures the quality of one stream's day batch by batch: its symbols bound the memory, not its rows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.dates import parse_date
from replay.errors import HistoryError
from replay.order import as_array, as_int64s, clock_times, order_times
from replay.quality.bad_ticks import PRICE_KINDS, BadTick
from replay.quality.checks import CheckRules, Checks, NumberColumn, kind_names
from replay.quality.clocks import Distances, Silences
from replay.quality.day_quality import ClockQuality, DayQuality, SilenceQuality
from replay.quality.groups import Groups
from replay.quality.numbering import NumberCounts, Numbering
from replay.quality.offsets import OffsetFaults
from replay.quality.quotes_beside import SIDES, QuotesBeside, require_quotes
from replay.quality.repeats import Repeats
from replay.quality.values import ColumnValues
from replay.store.day import Day
from replay.store.places import PLACES
from schemas.batch import Bools, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, NS_PER_S
from schemas.stream import Stream

GAPS_MAX: Final = 100_000  # gaps of a day that are kept one by one; all are counted


class GapRecord(NamedTuple):
    """Numbers that a source passed over, first to last, and the clocks of the row that showed it."""

    stream: str
    source: str
    first: int
    last: int
    event_ns: int | None
    known_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFacts:
    """What the rows of a day do not say: its table's version and offsets, files, layouts, dead letters."""

    version: int | None = None
    size: int = 0
    layouts: int = 1
    offsets: OffsetFaults = field(default_factory=OffsetFaults)
    dead: int = 0
    newest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A day's quality, and the gaps in its numbers."""

    quality: DayQuality
    gaps: list[GapRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOptions:
    """How days are measured.

    `numbers` names the column that counts rows, by stream.  `hours` are those of the session, from the first
    to before the second, minutes after midnight in the day's zone; silences outside do not count.
    """

    checks: CheckRules = field(default_factory=CheckRules)
    numbers: Mapping[str, NumberColumn] = field(default_factory=dict)
    hours: tuple[int, int] | None = None


def measure_day(day: Day, facts: DayFacts, options: QualityOptions, quotes: Day | None = None) -> Measured:
    """Read a day once, in the order of the store, and return what is wrong with it.

    `quotes` is the day of the stream that its trades are held against, None where there is none.  Raises
    HistoryError where a stream lacks a column that something was asked of, or where that holds no such
    values.
    """
    work = _Measure(day, facts, options, None if quotes is None else quotes_of(quotes, day))
    columns = [*day.stream.schema.names, *(PLACES if facts.version is not None else ())]
    for rows in day.batches(columns):
        work.add(rows)
    return work.result()


class _Measure:
    """Everything that is counted while the rows of a day pass."""

    def __init__(
        self, day: Day, facts: DayFacts, options: QualityOptions, quotes: QuotesBeside | None
    ) -> None:
        number = options.numbers.get(day.summary.stream)
        self._day, self._facts = day, facts
        self._groups = Groups(day.stream.key)
        self._values = ColumnValues()
        self._checks = _Checked(day.stream, options.checks, quotes)
        self._distances = Distances()
        self._silences = _Silences(None if options.hours is None else session_ns(day, options.hours))
        self._repeats, self._places = Repeats(3), Repeats(4)
        self._numbers = None if number is None else _Numbers(day.stream, number)

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next rows."""
        own = rows.select(self._day.stream.schema.names)
        groups = self._groups.numbers(own)
        times_ns = order_times(own, self._day.summary.order)
        self._values.add(own)
        self._silences.add(groups, times_ns)
        self._add_clocks(own)
        self._checks.add(own, groups, self._groups.names(), times_ns)
        if self._day.stream.sequence is not None:
            sequence, there = whole_numbers(own.column(self._day.stream.sequence))
            self._repeats.add(times_ns[there], groups[there], sequence[there])
        if self._facts.offsets.captured:
            self._places.add(times_ns, *(as_int64s(rows.column(name)) for name in PLACES))
        if self._numbers is not None:
            self._numbers.add(own)

    def result(self) -> Measured:
        """What was counted."""
        summary, facts = self._day.summary, self._facts
        clock = summary.clocks.get(f"{summary.order}_ns")
        quality = DayQuality(
            stream=summary.stream,
            date=summary.date,
            version=facts.version,
            rows=summary.rows,
            symbols=len(self._groups),
            first_ns=None if clock is None else clock.first_ns,
            last_ns=None if clock is None else clock.last_ns,
            size=facts.size,
            layouts=facts.layouts,
            offsets=facts.offsets,
            repeated=None if self._day.stream.sequence is None else self._repeats.count,
            repeated_places=self._places.count if facts.offsets.captured else None,
            numbers=None if self._numbers is None else self._numbers.counts,
            silences=self._silences.result(),
            clocks=self._clocks(),
            nulls=self._values.nulls,
            constant=tuple(self._values.constant),
            one_sided=self._checks.one_sided,
            bad_ticks=self._checks.bad,
            checks=self._checks.counts(),
            dead=facts.dead,
            newest=facts.newest,
        )
        return Measured(quality=quality, gaps=[] if self._numbers is None else self._numbers.gaps)

    def _clocks(self) -> ClockQuality:
        both = self._distances
        return ClockQuality(
            disorder_ns={name: clock.disorder_ns for name, clock in self._day.summary.clocks.items()},
            differences_ns=(both.quantile_ns(0.5), both.quantile_ns(0.99), both.quantile_ns(1.0))
            if both.count
            else None,
            known_first=self._distances.negative,
        )

    def _add_clocks(self, rows: pa.RecordBatch) -> None:
        event_ns, happened = clock_times(rows, EVENT_NS)
        known_ns, known = clock_times(rows, KNOWN_NS)
        both = happened & known
        self._distances.add(known_ns[both] - event_ns[both])


class _Silences:
    """Silences of single symbols and of the whole stream, within the session where its hours are known."""

    def __init__(self, session_ns: tuple[int, int] | None) -> None:
        self._session_ns = session_ns
        self._of_symbols, self._of_stream = Silences(), Silences()

    def add(self, groups: Int64s, times_ns: Int64s) -> None:
        """Take the next rows."""
        if self._session_ns is not None:
            first_ns, end_ns = self._session_ns
            inside = (times_ns >= first_ns) & (times_ns < end_ns)
            groups, times_ns = groups[inside], times_ns[inside]
        self._of_symbols.add(groups, times_ns)
        self._of_stream.add(np.zeros(groups.size, np.int64), times_ns)

    def result(self) -> SilenceQuality:
        """What was counted."""
        return SilenceQuality(
            in_hours=self._session_ns is not None,
            symbols=self._of_symbols.count,
            symbols_longest_ns=self._of_symbols.longest_ns,
            stream=self._of_stream.count,
            stream_longest_ns=self._of_stream.longest_ns,
        )


class _Checked:
    """Rows by what is wrong with them; `bad` is None where no column holds prices."""

    def __init__(self, stream: Stream, rules: CheckRules, quotes: QuotesBeside | None) -> None:
        self._checks = Checks(stream, rules, quotes)
        self.bad = (
            {name: 0 for kind in PRICE_KINDS for name in kind_names(kind)} if self._checks.prices else None
        )
        self._wanted = {name: 0 for kind in rules.kinds(stream.name) for name in kind_names(kind)}
        self._conditions: Counter[str] = Counter()
        self.one_sided = 0

    def add(self, rows: pa.RecordBatch, groups: Int64s, names: list[str], times_ns: Int64s) -> None:
        """Take the next rows; `groups` numbers their symbols."""
        marks = self._checks.marks(rows, groups, names, times_ns)
        for counts in (self._wanted, *(() if self.bad is None else (self.bad,))):
            for name in counts:
                counts[name] += int(np.count_nonzero(marks & BadTick[name.upper()]))
        allowed = self._checks.conditions(rows, groups)
        if allowed is not None:
            counted = {name: int(np.count_nonzero(word)) for name, word in allowed.items()}
            self._conditions.update(dict.fromkeys(counted, 0) | counted)
        sides = [as_array(rows.column(name).is_null()).astype(np.bool_) for name in self._checks.prices]
        if len(sides) > 1:
            self.one_sided += int(np.count_nonzero(sides[0] ^ sides[1]))

    def counts(self) -> dict[str, int]:
        """The rows of each kind that was asked for."""
        conditions = (
            {**self._conditions, "unknown_condition": self._checks.unknown} if self._conditions else {}
        )
        return self._wanted | conditions


def quotes_of(quotes: Day, day: Day) -> QuotesBeside:
    """The quotes that the trades of a day are held against; raises HistoryError where they cannot be."""
    require_quotes(quotes.stream.schema, quotes.stream.name)
    orders = quotes.summary.order, day.summary.order
    if orders[0] != orders[1] or quotes.stream.key != day.stream.key:
        raise HistoryError(
            f"{day.stream.name} of {day.date} is in the order of {orders[1]}_ns by "
            f"{', '.join(day.stream.key)}, and {quotes.stream.name} in that of {orders[0]}_ns by "
            f"{', '.join(quotes.stream.key)}: quotes are looked up by one clock and key"
        )
    clocks = [name for name in (EVENT_NS, KNOWN_NS) if name in quotes.stream.schema.names]
    columns = list(dict.fromkeys([*quotes.stream.key, *clocks, *SIDES]))
    return QuotesBeside(quotes.batches(columns), quotes.stream.key, orders[0])


class _Numbers:
    """The numbers that a column counts rows by, and the gaps in them."""

    def __init__(self, stream: Stream, number: NumberColumn) -> None:
        require_numbers(stream, number)
        self._stream, self._column = stream.name, number.column
        self._sources = Groups(number.by or stream.key)
        self._numbering = Numbering()
        self.gaps: list[GapRecord] = []

    @property
    def counts(self) -> NumberCounts:
        """What was counted."""
        return self._numbering.counts

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next rows."""
        numbers, there = whole_numbers(rows.column(self._column))
        sources = self._sources.numbers(rows)
        gaps = self._numbering.take(sources[there], numbers[there])[: max(GAPS_MAX - len(self.gaps), 0)]
        if not gaps:
            return
        names, places = self._sources.names(), np.flatnonzero(there)
        for gap, clocks in zip(gaps, _clocks_of(rows, places[[gap.row for gap in gaps]]), strict=True):
            self.gaps.append(GapRecord(self._stream, names[gap.group], gap.first, gap.last, *clocks))


def session_ns(day: Day, hours: tuple[int, int]) -> tuple[int, int]:
    """The first moment of a day's session and the first after it, UTC nanoseconds."""
    zone = ZoneInfo(day.zone)
    midnight = datetime.combine(parse_date(day.date), time(), zone)
    first, end = (
        (midnight + timedelta(minutes=minutes)).replace(tzinfo=zone).timestamp() for minutes in hours
    )
    return int(first) * NS_PER_S, int(end) * NS_PER_S


def require_numbers(stream: Stream, number: NumberColumn) -> None:
    """Raise HistoryError unless the columns that count rows, and name their source, are there."""
    for name in (number.column, *number.by):
        if name not in stream.schema.names:
            raise HistoryError(
                f"{stream.name} has no column {name}, which --number names; it has "
                f"{', '.join(stream.schema.names)}"
            )
    kind = stream.schema.field(number.column).type
    if not pa.types.is_integer(kind):
        raise HistoryError(
            f"{stream.name}: column {number.column} is {kind}, and --number needs whole numbers, "
            "up by one from row to row"
        )


def whole_numbers(column: pa.Array) -> tuple[Int64s, Bools]:
    """Whole numbers, 0 at a null, and which rows have one; raises HistoryError beyond 64 bits with a sign."""
    there = as_array(column.is_valid()).astype(np.bool_)
    try:
        return as_int64s(pc.fill_null(column, 0).cast(pa.int64())), there
    except pa.ArrowInvalid as beyond:
        raise HistoryError(f"--number counts in 64 bits with a sign: {beyond}") from None


def _clocks_of(rows: pa.RecordBatch, places: Int64s) -> Iterator[tuple[int | None, int | None]]:
    """The two clocks of some rows."""
    some = rows.take(pa.array(places))
    none = pa.nulls(some.num_rows, pa.int64())
    columns = [some.column(name) if name in some.schema.names else none for name in (EVENT_NS, KNOWN_NS)]
    return zip(*(column.to_pylist() for column in columns), strict=True)
