"""What is known of the quality of one stream's day, and its condition in one word."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from replay.quality.numbering import NumberCounts
from replay.quality.offsets import OffsetFaults
from schemas.clocks import NS_PER_MS, NS_PER_S

Condition: TypeAlias = Literal["available", "degraded", "pending", "missing"]

BAD_SHARE_MAX: Final = 0.01  # of rows that are crossed or not positive, beyond which a day is degraded


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockQuality:
    """The clocks of a day, ns: how far each is out of order, and how far `known_ns` lies after `event_ns`.

    `differences_ns` has the median, the 99th percentile and the greatest, under 1 % nearer to 0 than they
    are; `known_first` counts rows that were known before they happened (D13).
    """

    disorder_ns: Mapping[str, int]
    differences_ns: tuple[int, int, int] | None
    known_first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceQuality:
    """Stretches without rows far longer than is usual: of single symbols, and of the whole stream.

    Only with `in_hours`, so within the hours of a session, do those of the stream make a day degraded: any
    market is quiet before and after.
    """

    in_hours: bool
    symbols: int
    symbols_longest_ns: int
    stream: int
    stream_longest_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayQuality:
    """One stream's day: what was counted.

    `size` is in bytes on disk, `version` that of its table, None for a day in a folder.  `repeated` counts
    rows of a symbol, time and sequence that was there, None without a sequence; `repeated_places` those of
    one place in the log, None where they were not captured.  `numbers` is None where nobody named a column
    that counts rows.  `bad_ticks` has the rows of each kind; None where no column holds prices.  `checks` has
    those of each kind that was asked for beside prices, and of each thing that conditions let rows count for.
    """

    stream: str
    date: str
    version: int | None
    rows: int
    symbols: int
    first_ns: int | None
    last_ns: int | None
    size: int
    layouts: int
    offsets: OffsetFaults
    repeated: int | None
    repeated_places: int | None
    numbers: NumberCounts | None
    silences: SilenceQuality
    clocks: ClockQuality
    nulls: Mapping[str, int]
    constant: tuple[str, ...]
    one_sided: int
    bad_ticks: Mapping[str, int] | None
    checks: Mapping[str, int]
    dead: int
    newest: bool
    reasons: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reasons", tuple(_reasons(self)))

    @property
    def condition(self) -> Condition:
        """Missing without rows, pending while a capture may still add some, degraded for a reason."""
        if self.rows == 0:
            return "missing"
        if self.offsets.captured and self.newest:
            return "pending"
        return "degraded" if self.reasons else "available"

    def lines(self) -> list[str]:
        """What to print: a line with the condition, and lines below it."""
        head = f"{self.stream} {self.date}: {self.condition}"
        if self.reasons:
            head += f": {'; '.join(self.reasons)}"
        if self.rows == 0:
            return [head]
        return [head, *(f"  {line}" for line in _details(self))]


def _reasons(day: DayQuality) -> list[str]:
    """Why a day is degraded."""
    bad = day.bad_ticks or {}
    wrong = bad.get("not_positive", 0) + bad.get("crossed", 0)
    counts = {
        "offsets missing": day.offsets.missing,
        "offsets there twice": day.offsets.twice,
        "rows from a place that was there": day.repeated_places or 0,
        "rows of a symbol, time and sequence that was there": day.repeated or 0,
        "numbers missing": 0 if day.numbers is None else day.numbers.missing,
        "rows with a number that was there": 0 if day.numbers is None else day.numbers.duplicates,
        "silences of the whole stream": day.silences.stream if day.silences.in_hours else 0,
        "rows with an id that was there": day.checks.get("duplicate", 0),
        "rows with a condition that the table lacks": day.checks.get("unknown_condition", 0),
        "dead letters": day.dead,
        "rows crossed or not positive": wrong if wrong > BAD_SHARE_MAX * day.rows else 0,
    }
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def _details(day: DayQuality) -> list[str]:
    silences = day.silences
    layouts = f"{day.layouts:,} layout{'' if day.layouts == 1 else 's'} of columns"
    lines = [
        f"{day.rows:,} rows of {day.symbols:,} symbols, {day.size / day.rows:.2f} bytes a row, {layouts}"
    ]
    lines.append(_clock_line(day.clocks))
    lines.append(
        f"silences: {silences.symbols:,} of symbols, longest {_span(silences.symbols_longest_ns)}; "
        f"{silences.stream:,} of the stream, longest {_span(silences.stream_longest_ns)}"
    )
    if day.offsets.captured:
        lines.append(
            f"offsets: {day.offsets.missing:,} missing, {day.offsets.accepted:,} of them accepted, "
            f"{day.offsets.twice:,} twice"
        )
    if day.numbers is not None:
        numbers = day.numbers
        lines.append(
            f"numbers: {numbers.gaps:,} gaps, {numbers.missing:,} missing, {numbers.filled:,} came later, "
            f"{numbers.duplicates:,} twice, {numbers.forgotten:,} ranges given up"
        )
    if day.bad_ticks is not None:
        kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in day.bad_ticks.items())
        lines.append(f"prices: {kinds}; {day.one_sided:,} one-sided")
    if day.checks:
        kinds = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in day.checks.items())
        lines.append(f"checks: {kinds}")
    if day.nulls:
        lines.append(f"nulls: {', '.join(f'{name} {count:,}' for name, count in day.nulls.items())}")
    if day.constant:
        lines.append(f"one value all day: {', '.join(day.constant)}")
    return lines


def _clock_line(clocks: ClockQuality) -> str:
    parts = [f"{name} out of order by {_span(ns)}" for name, ns in clocks.disorder_ns.items()]
    if clocks.differences_ns is not None:
        median, high, greatest = map(_span, clocks.differences_ns)
        parts.append(f"known after event by {median} in the median, {high} (99 %), {greatest} at most")
        parts.append(f"{clocks.known_first:,} rows known first")
    return f"clocks: {'; '.join(parts)}"


def _span(ns: int) -> str:
    return f"{ns / NS_PER_S:,.1f} s" if abs(ns) >= NS_PER_S else f"{ns / NS_PER_MS:,.3g} ms"
