"""The rows of a run's folder as one file: partition after partition, or all in the order of time."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from app.errors import UsageError
from operators.sealed import ALIGNED
from schemas.batch import Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, clock_column

BATCH_ROWS: Final = 65_536  # of each partition, held at once


@dataclass(frozen=True, slots=True)
class RunRows:
    """The Parquet of one output of a run in its `folder`, day after day, each day's partitions by number.

    `clock` is the column whose order the rows of each file have.
    """

    folder: Path
    days: Sequence[Sequence[Path]]
    schema: pa.Schema
    clock: str

    @classmethod
    def of(cls, run: Path, output: str = ALIGNED) -> "RunRows":
        """Those of a run's folder, of one day, of several or of one of several; raises UsageError without."""
        folder = run / output
        one_of_several = run.parent / output / f"day={run.name}"
        by_day = [folder, *sorted(folder.glob("day=*")), one_of_several]
        days = {of_day: files for of_day in by_day if (files := sorted(of_day.glob("*.parquet")))}
        if not days and run.name == output and list(run.glob("**/*.parquet")):
            raise UsageError(f"{run} are the rows of a run: name the run, {run.parent}")
        if not days:
            outputs = sorted({file.parent.relative_to(run).parts[0] for file in run.glob("*/**/*.parquet")})
            there = f"it has rows of {', '.join(outputs)}" if outputs else "name the folder of a run"
            raise UsageError(f"{folder} holds no *.parquet; {there}")
        first, *others = [file for files in days.values() for file in files]
        schema = _schema(first)
        other = next((file for file in others if _schema(file) != schema), None)
        if other is not None:
            alone = f": export each day alone, such as --output {other.parent.relative_to(run)}"
            raise UsageError(
                f"{other} has other columns than {first}{alone if other.parent != folder else ''}"
            )
        folder = one_of_several if one_of_several in days else folder
        return cls(folder, list(days.values()), schema, _clock(run, next(iter(days)), schema))

    def batches(self, *, in_order: bool) -> Iterator[pa.Table]:
        """All rows; `in_order` of time, where rows of one time and partition keep their order.

        Raises UsageError for files that cannot be read.
        """
        try:
            for files in self.days:
                yield from merged(files, self.clock) if in_order else _one_by_one(files)
        except (pa.ArrowException, OSError) as broken:
            reason = " ".join(str(broken).split())
            raise UsageError(f"the rows in {self.folder} cannot be read: {reason}; run it again") from None


def _one_by_one(files: Sequence[Path]) -> Iterator[pa.Table]:
    for file in files:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(BATCH_ROWS):
                yield pa.Table.from_batches([batch])


def merged(files: Sequence[Path], clock: str) -> Iterator[pa.Table]:
    """Yield the rows of files that are each in the order of `clock`, in that order; a batch of each is held.

    What lies up to the earliest end of a batch can be yielded: no row of a later batch comes before it.
    Raises UsageError where a file does not have that order.
    """
    with ExitStack() as opened:
        parts = [_in_order(opened.enter_context(pq.ParquetFile(file)), file, clock) for file in files]
        heads = dict(enumerate(next(part, None) for part in parts))
        while heads := {number: head for number, head in heads.items() if head is not None}:
            times = {number: _times(head.column(clock)) for number, head in heads.items()}
            bound = min(int(of_head[-1]) for of_head in times.values())
            counts = {number: int(np.searchsorted(of, bound, side="right")) for number, of in times.items()}
            rows = pa.Table.from_batches(
                [head.slice(0, counts[number]) for number, head in heads.items()],
                next(iter(heads.values())).schema,
            )
            moments = np.concatenate([times[number][: counts[number]] for number in heads])
            yield rows.take(pa.array(np.argsort(moments, kind="stable")))
            for number, head in heads.items():
                left = head.slice(counts[number])
                heads[number] = left if left.num_rows else next(parts[number], None)


def _in_order(opened: pq.ParquetFile, file: Path, clock: str) -> Iterator[pa.RecordBatch]:
    """The batches of a file that have rows; raises UsageError at the first that comes too early."""
    newest = np.iinfo(np.int64).min
    for batch in filter(len, opened.iter_batches(BATCH_ROWS)):
        column = batch.column(clock)
        times = _times(column) if not column.null_count else np.empty(0, np.int64)
        if not times.size or times[0] < newest or np.any(times[:-1] > times[1:]):
            raise UsageError(
                f"the rows of {file} are not in the order of {clock}: export them without --sorted"
            )
        newest = times[-1]
        yield batch


def export(rows: RunRows, file: Path, *, in_order: bool) -> int:
    """Write the rows as `file`, CSV or Parquet by its name, all or nothing, and return how many.

    Raises UsageError where CSV cannot hold a column, and for a file that would lie among the rows.
    """
    if file.resolve().is_relative_to(rows.folder.resolve()):
        raise UsageError(
            f"{file} would lie in {rows.folder}, and its rows be read twice there: name another folder"
        )
    unfinished = file.with_name(f"{file.name}.unfinished")
    count = 0
    try:
        with _writer(unfinished, file.suffix, rows.schema) as writer:
            for batch in rows.batches(in_order=in_order):
                writer.write_table(batch)
                count += batch.num_rows
        unfinished.replace(file)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as refused:
        advice = "; CSV holds no such column, Parquet does: --parquet" if file.suffix != ".parquet" else ""
        raise UsageError(f"{file}: {refused}{advice}") from None
    except OSError as refused:
        raise UsageError(f"{file} cannot be written: {refused.strerror or refused}") from None
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return count


def _writer(file: Path, suffix: str, schema: pa.Schema) -> pq.ParquetWriter | pacsv.CSVWriter:
    if suffix == ".parquet":
        return pq.ParquetWriter(file, schema)
    return pacsv.CSVWriter(file, schema)


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as broken:
        raise UsageError(f"{file} cannot be read as Parquet: {broken}") from None


def _clock(run: Path, first: Path, schema: pa.Schema) -> str:
    """The column of the clock that the run joined on, as its summary says; of another folder the event's.

    Of several days the `first` one that has rows says it: the summary of all may not be there yet.
    """
    for folder in (run / first.name.removeprefix("day="), run):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return clock_column(json.loads((folder / "summary.json").read_text())["clock"])
    clocks = [name for name in (EVENT_NS, KNOWN_NS) if name in schema.names]
    if not clocks:
        raise UsageError(f"{run}: rows have neither {EVENT_NS} nor {KNOWN_NS}, so no order of time")
    return clocks[0]


def _times(column: pa.Array) -> Int64s:
    return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)
