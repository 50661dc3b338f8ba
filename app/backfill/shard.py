"""A shard at work: its days through its tasks to files, each put in its place whole, and a manifest at last.

Whoever runs a shard again writes the same bytes to the same places, so it may be run at any time, by any
process, and by two at once.
"""

import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from app.backfill.end_state import EndState
from app.backfill.plan import Plan, Shard
from app.backfill.tables import DayParts, part_fields
from app.batch.batch_task import BatchTask
from app.batch.judge import Judge
from app.batch.outputs import OutputFile, group_rows_of
from app.batch.run import give, steps_of
from app.day.without_bus import open_pipeline_in
from app.reading.row_files import Metadata, file_schema, source_metadata
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity
from operators.inputs.progress import TaskProgress
from replay.store.day import Day
from replay.store.objects import parse_store
from replay.store.table import HistoryTable

if TYPE_CHECKING:
    from operators.operator import Operator

SHARDS: Final = "_shards"  # of the stage: manifests, and ends of days
UNFINISHED: Final = ".unfinished"


@dataclass
class Manifest:
    """What a shard has written, and what went in.

    `files`     by path below the stage, the rows and the SHA-256 of each.
    `parities`  by date, output and partition, at the end of that day; where days follow one another, of all
                rows since the first.
    `parts`     by output, of rows that tables take: the parts that were written of them.
    """

    shard: str
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    parities: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    rows_in: Counter[str] = field(default_factory=Counter)
    rows_late: Counter[str] = field(default_factory=Counter)
    rows_dead: int = 0
    parts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, stage: Path, shard: str, *, checked: bool = True) -> "Manifest | None":
        """That of a shard that is done; None for one that is not.

        Where it is `checked`, one whose files are gone, or have other bytes, is not done.
        """
        try:
            fields: dict[str, Any] = json.loads(_manifest_file(stage, shard).read_text())
            manifest = cls(**fields)
            manifest.files = {path: (int(rows), str(of)) for path, (rows, of) in manifest.files.items()}
            manifest.rows_in, manifest.rows_late = Counter(manifest.rows_in), Counter(manifest.rows_late)
            if not checked or all(_hash_of(stage / path) == of for path, (_, of) in manifest.files.items()):
                return manifest
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # cut off by a machine that died: the shard is run again
        return None

    def write(self, stage: Path) -> None:
        """Write it down, all or nothing: from then on the shard is done."""
        with _whole(_manifest_file(stage, self.shard)) as path:
            path.write_text(json.dumps(vars(self), indent=2, sort_keys=True))


def run_shard(stage: str, name: str) -> str:
    """Run a shard of the plan in a stage, unless it is done; returns its name.

    Its arguments are text, so that any machine that sees the folders can be told.  Raises UsageError,
    RunError or HistoryError where it cannot go on, whoever tries.
    """
    folder = Path(stage)
    plan = Plan.read(folder)
    shard = next(one for one in plan.shards if one.name == name)
    if Manifest.read(folder, name) is None:
        _Work(folder, plan, shard).run().write(folder)
    return name


class _Work:
    """One pass over the days of a shard."""

    def __init__(self, stage: Path, plan: Plan, shard: Shard) -> None:
        self._stage, self._plan, self._shard = stage, plan, shard
        self._pipeline = self._open(shard.dates[0])
        self._manifest = Manifest(shard.name)
        self._ends: dict[int, EndState] = {}
        self._operators: dict[int, Operator] = {}

    def run(self) -> Manifest:
        """Run all days; the manifest, not yet written."""
        if self._shard.after:
            before = self._stage / SHARDS / self._shard.after
            self._ends = {number: EndState.read(before / _end_name(number)) for number in self._partitions}
        for date in self._shard.dates:
            self._day(date)  # of several days only where they follow one another, with one grace
        if self._plan.overnight and self._is_followed:
            self._keep_ends()
        return self._manifest

    def _open(self, date: str) -> Pipeline:
        return open_pipeline_in(self._stage, self._plan.grace_ns[date])

    @property
    def _partitions(self) -> tuple[int, ...]:
        return self._shard.partitions

    @property
    def _is_followed(self) -> bool:
        return any(one.after == self._shard.name for one in self._plan.shards)

    def _day(self, date: str) -> None:
        days = self._plan.open_days(date)
        pipeline, names = self._pipeline, self._pipeline.settings.stream_names
        for number in self._partitions:
            self._begin(number)
        steps = steps_of(pipeline, days, only=self._partitions, offsets=self._offsets())
        judges = {name: Judge(pipeline.settings, pipeline.streams[name]) for name in names}
        before = {number: self._ends[number].parities for number in self._partitions}
        with _Files(self._stage, pipeline, date, before, _sources(pipeline, days)) as files:
            tasks = {
                number: BatchTask(pipeline, number, files.of[number], judges, self._operators[number])
                for number in self._partitions
            }
            for step in steps:
                for number, task in tasks.items():
                    give(step, task, number, names)
            if not self._plan.overnight or date == self._plan.dates[-1]:
                for task in tasks.values():
                    task.finish()
            kept = files.keep()
        self._manifest.files |= kept
        if self._plan.into:
            self._write_parts(date, kept)
        for number in self._partitions:
            self._ends[number].parities = files.parities(number)
            self._ends[number].offsets = {name: of[number] for name, of in steps.offsets.items()}
        self._note(date, tasks.values(), judges.values())

    def _write_parts(self, date: str, kept: Iterable[str]) -> None:
        """Write the rows of a day's files as parts of tables, which nobody sees until they are committed."""
        into = parse_store(self._plan.into)
        for path in kept:
            output, partition = Path(path).parts[0], int(Path(path).stem.rpartition("-")[2])
            place = DayParts(HistoryTable(into, output), self._plan, date, partition)
            parts = [part_fields(part) for part in place.write(self._stage / path)]
            self._manifest.parts.setdefault(output, []).extend(parts)

    def _begin(self, number: int) -> None:
        """Get a task ready for a day: as it stood the evening before, or new."""
        if self._plan.overnight and number in self._operators:
            return
        operator = self._operators[number] = self._pipeline.operator()
        if self._plan.overnight and number in self._ends:
            self._ends[number].hand_over(operator)
        else:
            parities = dict.fromkeys(self._pipeline.sinks(number), Parity())
            self._ends[number] = EndState(TaskProgress(inputs={}), parities=parities)

    def _offsets(self) -> dict[str, list[int]]:
        """Where the topics of a day begin: where those of the day before ended."""
        partitions = self._pipeline.settings.bus.partitions
        offsets = {name: [0] * partitions for name in self._pipeline.settings.stream_names}
        for number, end in self._ends.items():
            for name, offset in end.offsets.items():
                offsets[name][number] = offset
        return offsets

    def _keep_ends(self) -> None:
        """Write down what the tasks know, for the shard that goes on from here."""
        folder = self._stage / SHARDS / self._shard.name
        folder.mkdir(parents=True, exist_ok=True)
        for number, end in self._ends.items():
            end.take_over(self._operators[number])
            with _whole(folder / _end_name(number)) as path:
                end.write(path)
            file = folder / _end_name(number)
            self._manifest.files[str(file.relative_to(self._stage))] = (0, _hash_of(file))

    def _note(self, date: str, tasks: Iterable[BatchTask], judges: Iterable[Judge]) -> None:
        manifest = self._manifest
        for task in tasks:
            manifest.rows_in.update(task.rows_in)
            manifest.rows_late.update(task.rows_late)
            manifest.rows_dead += task.failed_tiles
        manifest.rows_dead += sum(judge.letters for judge in judges)
        manifest.parities[date] = {
            output: {str(number): str(self._ends[number].parities[output]) for number in self._partitions}
            for output in self._pipeline.sinks(0)
        }


class _Files:
    """The files of a day that a shard writes, by partition and output in `of`, under names of its own."""

    def __init__(
        self,
        stage: Path,
        pipeline: Pipeline,
        date: str,
        parities: Mapping[int, Mapping[str, Parity]],
        sources: Mapping[str, Metadata],
    ) -> None:
        """`parities` are by partition and output those of the rows before."""
        self._stage = stage
        # As if all partitions were written at once, so that the bytes are those of any way to share them.
        group_rows = group_rows_of(pipeline.settings.bus.partitions * len(pipeline.sinks(0)))
        self._places: dict[Path, tuple[Path, OutputFile]] = {}  # by where it goes, where it is written
        self.of: dict[int, dict[str, OutputFile]] = {}
        for number, before in parities.items():
            self.of[number] = {}
            for name, sink in pipeline.sinks(number).items():
                place = stage / name / f"day={date}" / f"partition-{number:05d}.parquet"
                place.parent.mkdir(parents=True, exist_ok=True)
                unfinished = _unfinished(place)
                schema = file_schema(sink.schema, pipeline.settings.pipeline.right, sources)
                file = OutputFile(unfinished, sink, schema, group_rows, before[name])
                self._places[place] = (unfinished, file)
                self.of[number][name] = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for unfinished, file in self._places.values():
            file.abandon()
            unfinished.unlink(missing_ok=True)

    def parities(self, number: int) -> dict[str, Parity]:
        """By output the parity of a partition's rows so far."""
        return {name: file.parity for name, file in self.of[number].items() if file.parity is not None}

    def keep(self) -> dict[str, tuple[int, str]]:
        """End all files and put them in their places; by path their rows and hashes."""
        kept = {}
        for place, (unfinished, file) in self._places.items():
            file.close()
            kept[str(place.relative_to(self._stage))] = (file.rows, _hash_of(unfinished))
            unfinished.replace(place)
        self._places = {}
        return kept


def _sources(pipeline: Pipeline, days: Sequence[Day]) -> dict[str, Metadata]:
    """What the files say of aligned columns beside their types."""
    sources: dict[str, Metadata] = {}
    for day in days:
        prefix = "" if day.stream.name == pipeline.settings.pipeline.left else f"{day.stream.name}_"
        sources |= {prefix + name: of for name, of in source_metadata(day.stream.schema).items()}
    return sources


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `place` once it is written."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished(place)
    yield unfinished
    unfinished.replace(place)


def _unfinished(place: Path) -> Path:
    """A name that no reader takes for rows; it names the process, and no attempt has another's."""
    return place.with_name(f"_{place.name}.{os.getpid()}-{secrets.token_hex(4)}{UNFINISHED}")


def _end_name(number: int) -> str:
    return f"end-{number:05d}.arrow"


def _manifest_file(stage: Path, shard: str) -> Path:
    return stage / SHARDS / f"{shard}.json"


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
