"""The report of a storm: rows, what went wrong with them, recovery by kind of event, memory, each event."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.table import Table

from tests.broker.chaos.storm.driver import Story, Struck
from tests.broker.chaos.storm.events import ELDER
from tests.broker.chaos.verifier import Figures

MIB: Final = 1 << 20
FLAT_FACTOR: Final = (
    1.25  # the elder's largest size in the last quarter, of that in the quarter after warm-up
)
FLAT_EXTRA: Final = 48 * MIB
WARM_S: Final = 120.0  # the context fills for as long as the tolerance reaches
QUIET_PART: Final = 0.25
FIGURES: Final = ("lost", "duplicated", "changed", "out_of_order", "aborted_seen", "open_transactions")


@dataclass(slots=True)
class Report:
    """What came of a storm."""

    seed: int
    story: Story
    figures: Figures = field(default_factory=Figures)
    rows_in: int = 0
    steps_failed: int = 0
    feed_cores: float = 0.0
    verified_s: float = 0.0
    verifier_size_max: int = 0
    failed: str = ""
    older: list[bool] = field(default_factory=list)  # for each worker that was started

    @property
    def memory(self) -> tuple[int, int] | None:
        """The elder's largest size in the quarter after warm-up and in the last; None in a short storm."""
        upper = self.story.seconds
        if upper <= WARM_S / (1 - 2 * QUIET_PART):
            return None
        cuts = (WARM_S, WARM_S + QUIET_PART * (upper - WARM_S), upper - QUIET_PART * (upper - WARM_S))
        mine = [sample for sample in self.story.samples if sample.slot == ELDER]
        first = [sample.size for sample in mine if cuts[0] <= sample.at_s < cuts[1]]
        last = [sample.size for sample in mine if sample.at_s >= cuts[2]]
        return (max(first), max(last)) if first and last else None

    @property
    def flat(self) -> bool:
        """Whether memory stayed within its bound, as far as it could be told."""
        return self.memory is None or self.memory[1] <= self.memory[0] * FLAT_FACTOR + FLAT_EXTRA

    @property
    def clean(self) -> bool:
        """Whether everything that was promised was kept."""
        return self.figures.clean and self.flat and not self.failed

    def record(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {**asdict(self), "memory": self.memory, "clean": self.clean}

    def lines(self) -> list[str]:
        """The report in lines, but for the tables."""
        story = self.story
        size_max = max((sample.size for sample in story.samples), default=0)
        elder = [sample for sample in story.samples if sample.slot == ELDER]
        anonymous = _halves([sample.size_anonymous // MIB for sample in elder])
        threads = _halves([sample.threads for sample in elder])
        rate = self.rows_in / story.seconds if story.seconds else 0.0
        told = [
            f"seed {self.seed}, {story.seconds:.0f} s, {len(story.struck)} events",
            f"rows in       {self.rows_in:,} ({rate:,.0f} rows/s)",
            f"feed          {self.steps_failed} steps failed; {self.feed_cores:.2f} of a core",
            f"rows aligned  {self.figures.rows:,}",
            "wrong         "
            + ", ".join(f"{getattr(self.figures, name):,} {name.replace('_', ' ')}" for name in FIGURES),
            f"recovery      {_took(story.struck)}, from the event until every partition shows newer rows",
            f"  alone       {_took([struck for struck in story.struck if struck.alone])}",
            f"memory        {self._memory_words()}; largest worker {size_max / MIB:.0f} MiB",
            f"  anonymous   at most {anonymous[0]} MiB in the first half, {anonymous[1]} in the second",
            f"threads       at most {threads[0]} and {threads[1]}, in the worker that is never killed",
            f"verified in   {self.verified_s:.0f} s, {self.verifier_size_max / MIB:.0f} MiB at most",
        ]
        if any(self.older):
            older, newer = self.older.count(True), self.older.count(False)
            told.append(f"versions      {older} workers of the older, {newer} of this")
        told += [f"ended by itself: {line}" for line in story.ended]
        return told + ([f"FAILED: {self.failed}"] if self.failed else [])

    def _memory_words(self) -> str:
        if self.memory is None:
            return "too short a storm to tell whether it is flat"
        first, last = (size / MIB for size in self.memory)
        bound = f"{FLAT_FACTOR} times and {FLAT_EXTRA // MIB} MiB"
        word = "flat" if self.flat else "NOT FLAT"
        return f"{word}: {first:.0f} MiB after warming up, {last:.0f} MiB at the end (bound: {bound})"


def kinds(struck: Sequence[Struck]) -> Table:
    """A row per kind of event: how many, and how long recovery took."""
    shown = Table("event", "count", "recovery p50", "max", "of which it lasted")
    for kind in sorted({one.event.kind for one in struck}):
        mine = [one for one in struck if one.event.kind == kind]
        took = sorted(one.recovered_s for one in mine if one.recovered_s is not None)
        lasted = [one.undone_s - one.begun_s for one in mine if one.undone_s is not None]
        shown.add_row(
            kind,
            str(len(mine)),
            f"{statistics.median(took):.2f} s" if took else "",
            f"{took[-1]:.2f} s" if took else "",
            f"up to {max(lasted):.1f} s" if lasted else "",
        )
    return shown


def events(struck: Sequence[Struck]) -> list[str]:
    """A line per event, in the order in which they took place."""
    return [
        f"{one.at_s:7.1f} s  {one.event.words}: "
        + ("no recovery" if one.recovered_s is None else f"{one.recovered_s:.2f} s")
        + ("" if one.alone else ", not alone")
        + (f" ({one.note})" if one.note else "")
        for one in struck
    ]


def _halves(figures: Sequence[int]) -> tuple[int, int]:
    """The largest figure of the first half and of the second; 0 where there is none."""
    middle = len(figures) // 2
    return max(figures[:middle], default=0), max(figures[middle:], default=0)


def _took(struck: Sequence[Struck]) -> str:
    took = sorted(one.recovered_s for one in struck if one.recovered_s is not None)
    return f"p50 {statistics.median(took):.2f} s, max {took[-1]:.2f} s" if took else "none was measured"
