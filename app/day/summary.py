"""The summary of a replay: what went in, what came out, how it matched, how fast, and what the audit says."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from app.words import duration
from schemas.reasons import Nulls

DIRECT: Final = "direct"  # in the place of a bus: straight from files to files
FEATURES_SHOWN: Final = 3  # with nulls; summary.json has all
SHOWN_S: Final = 0.05  # a shorter stage is not worth its word


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a file of JSON, all or nothing."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(values, indent=2) + "\n")
    unfinished.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One replay in figures.  Quantiles are None where there was nothing to measure.

    `seconds` is the time of the work alone: from the publisher being let go, once the workers hold their
    tasks, to the end of the last of them; of a run that was `resumed` it is the last part alone, and so is
    `rows_per_second`.  `took_s` is the time of the whole command, of which `stages_s` names the parts.
    `rows_matched` counts aligned rows with a match in at least one right stream.  `seal_latency_ms` is, per
    row, from its release (the message that moved the frontier past it was read) to its frame being handed to
    the producer.  `age_ns` is per right stream.  `hash` is of all rows whatever their partition, `parity` of
    each partition's in its order.  `rows_out` counts the rows of each output of the graph, and
    `nulls_out` the nulls of its features by reason.  `topic` is the aligned topic on a Kafka, None on the
    embedded bus.  `rows_assumed` counts aligned rows, as their
    frames do, that were sealed because an idle input was left out.  `ids` says what the rows follow from:
    `settings`, `inputs` and, where there is one, `graph`; equal ids, equal rows.
    """

    date: str
    bus: str
    clock: str
    partitions: int
    workers: int
    shape: str
    rows_in: dict[str, int]
    rows_refused: dict[str, int]
    rows_late: dict[str, int]
    rows_aligned: int
    rows_matched: int
    rows_dead: int
    audit_violations: int
    audit_findings: list[str]
    seal_latency_ms: dict[str, float | None]
    age_ns: dict[str, dict[str, int | None]]
    grace_ns: int
    hash: str
    parity: list[str]
    aligned: str
    topic: str | None = None
    seconds: float = 0.0
    resumed: bool = False
    rows_assumed: int = 0
    rows_out: dict[str, int] = field(default_factory=dict)
    nulls_out: Mapping[str, Nulls] = field(default_factory=dict)
    took_s: float = 0.0
    stages_s: dict[str, float] = field(default_factory=dict)
    nodes_unjudged: list[str] = field(default_factory=list)  # of whose rows the audit judged no value
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> float:
        """Rows of all streams over `seconds`."""
        return sum(self.rows_in.values()) / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, object]:
        """What the file has: every field, and the speed."""
        return asdict(self) | {"rows_per_second": self.rows_per_second}

    def write(self, path: Path) -> None:
        """Write it as JSON, all or nothing."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> "Summary":
        """Read what `write` wrote; raises OSError, ValueError, KeyError or TypeError for another file."""
        values = json.loads(path.read_text())
        del values["rows_per_second"]
        return cls(**values)

    def show(self, console: Console) -> None:
        """Print it for a person; no figure is cut, however narrow the console."""
        console.print(Text(f"{self.date} · {self.bus}", style="italic"), soft_wrap=True)
        for label, value in self._lines():
            console.print(Text.assemble((f" {label:<14}", "dim"), value), soft_wrap=True)
        for finding in self.audit_findings:
            console.print(Text(f"  {finding}", style="red"), soft_wrap=True)

    def _lines(self) -> Iterator[tuple[str, str | Text]]:
        for stream, rows in self.rows_in.items():
            notes = [f"{self.rows_late.get(stream, 0):,} late"]
            if refused := self.rows_refused.get(stream, 0):
                notes.append(f"{refused:,} refused: no {self.clock}_ns")
            yield f"{stream} in", f"{rows:,}  ({', '.join(notes)})"
        notes = [f"{self.rows_dead:,} dead letters"]
        if self.rows_assumed:
            notes.append(f"{self.rows_assumed:,} sealed without an idle input")
        yield "aligned out", f"{self.rows_aligned:,}  ({', '.join(notes)})"
        for node, rows in self.rows_out.items():
            yield f"{node} out", f"{rows:,}{_nulls_words(self.nulls_out.get(node, {}))}"
        share = self.rows_matched / self.rows_aligned if self.rows_aligned else 0.0
        yield "matched", f"{self.rows_matched:,}  ({share:.1%})"
        for stream, age in self.age_ns.items():
            yield f"{stream} age", f"p50 {duration(age['p50'])}, p99 {duration(age['p99'])}"
        p50, p99 = (self.seal_latency_ms[q] for q in ("p50", "p99"))
        yield "seal latency", f"p50 {_ms(p50)}, p99 {_ms(p99)}"
        layout = f"{self.partitions} partitions"
        if self.bus != DIRECT:
            layout += f", {self.workers} worker{'s' * (self.workers > 1)}, {self.shape}s"
        if self.resumed:
            layout += "; since it was resumed, part of the work was done before"
        yield "speed", f"{self.rows_per_second:,.0f} rows/s: {self.seconds:.1f} s  ({layout})"
        parts = dict(self.stages_s)
        if parts:
            parts["other"] = self.took_s - sum(parts.values())
        stages = ", ".join(f"{name} {s:.1f}" for name, s in parts.items() if s >= SHOWN_S)
        yield "took", f"{self.took_s:.1f} s" + (f": {stages}" if stages else "")
        yield "hash", self.hash
        if self.ids:
            yield "follows from", ", ".join(f"{what} {of}" for what, of in self.ids.items())
        clean = not self.audit_violations
        if self.nodes_unjudged:
            yield "not judged", f"values of {', '.join(self.nodes_unjudged)}"
        yield (
            "audit",
            Text("clean", "green") if clean else Text(f"{self.audit_violations:,} rows wrong", "red"),
        )
        yield "rows", self.aligned
        if self.topic is not None:
            yield "topic", self.topic


def _nulls_words(nulls: Nulls) -> str:
    """The features with the most nulls, and why they are."""
    ranked = sorted(nulls.items(), key=lambda pair: -sum(pair[1].values()))
    words = [
        f"{feature} {', '.join(f'{count:,} {reason}' for reason, count in counts.items())}"
        for feature, counts in ranked[:FEATURES_SHOWN]
    ]
    if more := len(ranked) - FEATURES_SHOWN:
        words += [f"{more} more"] if more > 0 else []
    return f"  (nulls: {'; '.join(words)})" if words else ""


def _ms(value: float | None) -> str:
    return duration(None if value is None else round(value * 1e6))
