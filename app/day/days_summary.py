"""The summary of several days: a line for each, and what they come to together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from app.day.summary import Summary, write_json
from replay.imports.files import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysSummary:
    """The summaries of the days of `span`, oldest first; `skipped` are the days that the history lacks."""

    span: str
    days: Sequence[Summary]
    skipped: Sequence[str]
    aligned: str
    took_s: float

    @property
    def audit_violations(self) -> int:
        """Rows of all days that break a promise; 0 is a clean audit."""
        return sum(day.audit_violations for day in self.days)

    @property
    def bus(self) -> str:
        """The log that the days went through."""
        return self.days[-1].bus

    def to_json(self) -> dict[str, object]:
        """Totals under the names that a day's summary has, and under `days` each day's own."""
        seconds = sum(day.seconds for day in self.days)
        rows_in = _total(day.rows_in for day in self.days)
        return {
            "date": self.span,
            "bus": self.bus,
            "dates": [day.date for day in self.days],
            "skipped": list(self.skipped),
            "rows_in": rows_in,
            "rows_refused": _total(day.rows_refused for day in self.days),
            "rows_late": _total(day.rows_late for day in self.days),
            "rows_out": _total(day.rows_out for day in self.days),
            "rows_aligned": sum(day.rows_aligned for day in self.days),
            "rows_matched": sum(day.rows_matched for day in self.days),
            "rows_dead": sum(day.rows_dead for day in self.days),
            "audit_violations": self.audit_violations,
            "seconds": seconds,
            "rows_per_second": sum(rows_in.values()) / seconds if seconds else 0.0,
            "took_s": self.took_s,
            "aligned": self.aligned,
            "days": {day.date: day.to_json() for day in self.days},
        }

    def write(self, path: Path) -> None:
        """Write it as JSON, all or nothing."""
        write_json(path, self.to_json())

    def show(self, console: Console) -> None:
        """Print it for a person; no figure is cut, however narrow the console."""
        lines = [*self._cells(), self._totals()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        console.print(Text(f"{self.span} · {self.bus}", style="italic"), soft_wrap=True)
        for number, cells in enumerate(lines):
            first, *figures = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
            line = Text(f" {first}  {'  '.join(figures)}", style="dim" if number == 0 else "")
            console.print(line, soft_wrap=True)
        for day in self.days:
            for finding in day.audit_findings:
                console.print(Text(f"  {day.date}: {finding}", style="red"), soft_wrap=True)
        if self.skipped:
            console.print(f" skipped: not in the history: {listed(list(self.skipped))}", soft_wrap=True)
        console.print(f" rows  {self.aligned}", soft_wrap=True)

    def _cells(self) -> Iterator[list[str]]:
        streams = list(self.days[0].rows_in)
        yield ["date", *streams, "late", "aligned", "matched", "audit", "took", "hash"]
        for day in self.days:
            counts = [*(day.rows_in[name] for name in streams), sum(day.rows_late.values()), day.rows_aligned]
            yield [
                day.date,
                *(f"{count:,}" for count in counts),
                _share(day.rows_matched, day.rows_aligned),
                _verdict(day.audit_violations),
                f"{day.took_s:.1f} s",
                day.hash,
            ]

    def _totals(self) -> list[str]:
        rows_in = _total(day.rows_in for day in self.days)
        aligned = sum(day.rows_aligned for day in self.days)
        late = sum(sum(day.rows_late.values()) for day in self.days)
        return [
            f"{len(self.days)} day{'s' * (len(self.days) != 1)}",
            *(f"{count:,}" for count in (*rows_in.values(), late, aligned)),
            _share(sum(day.rows_matched for day in self.days), aligned),
            _verdict(self.audit_violations),
            f"{self.took_s:.1f} s",
            "",
        ]


def _total(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for of_day in counts:
        total.update(of_day)  # which keeps a count of 0
    return dict(total)


def _share(matched: int, rows: int) -> str:
    return f"{matched / rows:.1%}" if rows else "-"


def _verdict(violations: int) -> str:
    return f"{violations:,} rows wrong" if violations else "clean"
