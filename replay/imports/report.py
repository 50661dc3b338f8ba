"""What an import did, or would do, in lines to print."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.imports.source_file import BadRows, SourceFile

EXAMPLES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class ImportedDay:
    """A day the folder has rows of; `written` is False where the history had it from these files before.

    `bad_ticks` counts rows that were flagged, for more than a locked quote, and `left_out` those of kinds
    that were to be left out.
    """

    stream: str
    date: str
    rows: int
    written: bool
    bad_ticks: int = 0
    left_out: int = 0


@dataclass(slots=True)
class ImportReport:
    """The result of an import.

    `refused` counts rows that were not imported by stream and reason; `examples` names the first of them by
    file and row (the file's first row is 1).  `notes` are decisions that the import made for the user.
    `marks` counts, by file and clock, values that stand for no time in rows that another clock places.  With
    `dry_run` nothing was written, and `files` says what each file holds.
    """

    folder: Path
    dry_run: bool = False
    days: list[ImportedDay] = field(default_factory=list)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    marks: Counter[tuple[str, str]] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """What to print, a line each."""
        refused = [
            f"{stream}: {count:,} rows not imported: {reason}"
            for (stream, reason), count in sorted(self.refused.items())
        ]
        days = [self._day(day) for day in self.days]
        examples = [f"  {example}" for example in self.examples]
        marks = [
            f"{file}: {clock} of {count:,} rows is 0 or an end of int64, which is no time"
            for (file, clock), count in self.marks.items()
        ]
        last = ["nothing was written"] if self.dry_run else []
        return [*self.files, *self.notes, *marks, *days, *refused, *examples, *last]

    def refuse(self, stream: str, bad: BadRows) -> None:
        """Count rows that are not imported."""
        reason = f"{bad.file}: {bad.reason}" if bad.stated else bad.reason
        self.refused[stream, reason] += int(bad.rows.size)
        room = max(EXAMPLES_MAX - len(self.examples), 0)
        numbers = bad.rows[:room].tolist()
        holds = [f" ({bad.first})" if bad.first and not place else "" for place in range(len(numbers))]
        self.examples += [
            f"{bad.file} row {row}: {bad.reason}{first}" for row, first in zip(numbers, holds, strict=True)
        ]

    def count_marks(self, file: str, counts: Mapping[str, int]) -> None:
        """Count, per clock, values that stand for no time in rows that another clock places."""
        self.marks.update({(file, clock): count for clock, count in counts.items() if count})

    def describe(self, stream: str, file: SourceFile) -> None:
        """Add what a file holds."""
        clocks = "; ".join(
            f"{clock} from {name} ({file.clock_type(name)})" for name, clock in file.clocks.items()
        )
        clock_names = set(file.clocks.values())
        others = [f"{column.name} {column.type}" for column in file.schema if column.name not in clock_names]
        what = f"{clocks}; {', '.join(others)}" if file.rows else "its columns do not matter"
        self.files.append(f"{file.name}: {file.rows:,} rows of {stream}; {what}")

    def _day(self, day: ImportedDay) -> str:
        how = " before" if not day.written else ""
        verb = "would be imported" if self.dry_run and day.written else f"imported{how}"
        flagged = f", {day.bad_ticks:,} flagged as bad ticks" if day.bad_ticks else ""
        out = f", {day.left_out:,} left out" if day.left_out else ""
        return f"{day.stream} {day.date}: {day.rows:,} rows {verb}{flagged}{out}"
