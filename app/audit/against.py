"""Two runs held against each other: by the parity of each partition, and to the first row that differs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.files import ParquetFiles
from app.audit.join import ROW
from app.audit.runs import Runs, Tile, tiles
from app.audit.walk import frame_of
from app.errors import UsageError
from app.reading.aligned import fitted, read_aligned
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity, sealed_hashes
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

Batches = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True, slots=True)
class AlignedRun:
    """The aligned rows of one run, by partition, to be read any number of times."""

    name: str
    partitions: Mapping[int, Batches]

    @classmethod
    def of_files(cls, files: ParquetFiles) -> "AlignedRun":
        """A folder of Parquet, a file per partition."""

        def reader(file: Path) -> Batches:
            return lambda: files.batches(file)

        return cls(str(files.path), {n: reader(file) for n, file in enumerate(files.files)})

    @classmethod
    def of_topics(cls, pipeline: Pipeline) -> "AlignedRun":
        """The aligned topic of a pipeline that has come to rest."""

        def reader(partition: int) -> Batches:
            return lambda: (fitted(rows, schema)[0] for rows in read_aligned(pipeline, partition))

        schema = pipeline.asof.aligned_schema()
        count = pipeline.settings.bus.partitions
        return cls(pipeline.settings.topic("aligned"), {n: reader(n) for n in range(count)})


def differences(
    one: AlignedRun, other: AlignedRun, *, on: str, keys: Sequence[str], memory_size_max: int
) -> list[str]:
    """Return the differences, in lines for a person; no lines where the runs are alike.

    Partitions are compared by parity and, where that differs, row by row to the first one.  With different
    counts of partitions that cannot be, and all rows are compared in the order of time, key and arrival.
    """
    if len(one.partitions) != len(other.partitions):
        told = f"{one.name} has {len(one.partitions)} partitions, {other.name} {len(other.partitions)}"
        ordered = [on, *keys]
        found = _compare_all(one, other, ordered, memory_size_max)
        return [] if found is None else [f"{told}, so their rows were compared by time and key", found]
    lines = []
    for number in one.partitions:
        mine, theirs = (_parity(run.partitions[number]()) for run in (one, other))
        if mine == theirs:
            continue
        lines.append(f"partition {number}: parity {mine} in {one.name}, {theirs} in {other.name}")
        found = first_difference(one.partitions[number](), other.partitions[number](), (one.name, other.name))
        lines.append(f"  {found}")
    return lines


def first_difference(
    one: Iterator[pa.RecordBatch], other: Iterator[pa.RecordBatch], names: tuple[str, str]
) -> str | None:
    """The first row in which two runs differ, with both sides, or None.  Places of left rows do not count."""
    mine, theirs = _Cursor(one), _Cursor(other)
    row = 0
    while True:
        a, b = mine.head(), theirs.head()
        if a is None or b is None:
            ended, other_name, rest = (names[0], names[1], b) if a is None else (names[1], names[0], a)
            if rest is None:
                return None
            return f"row {row}: {ended} ends, {other_name} goes on with {_row(rest, 0)}"
        if _columns(a) != _columns(b):
            return f"columns {', '.join(_columns(a))} in {names[0]}, {', '.join(_columns(b))} in {names[1]}"
        count = min(a.num_rows, b.num_rows)
        a, b = a.slice(0, count), b.slice(0, count)
        differ = np.flatnonzero(sealed_hashes(a) != sealed_hashes(b))
        if differ.size:
            at = int(differ[0])
            sides = (_row(a, at), _row(b, at))
            wrong = [c for c in _columns(a) if repr(sides[0][c]) != repr(sides[1][c])]
            told = "; ".join(f"{c} is {sides[0][c]!r} and {sides[1][c]!r}" for c in wrong)
            return f"row {row + at}: {told}; {names[0]}: {sides[0]}; {names[1]}: {sides[1]}"
        mine.skip(count)
        theirs.skip(count)
        row += count


class _Cursor:
    """What is left of a run of batches."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = None

    def head(self) -> pa.RecordBatch | None:
        """The next rows, at least one, or None at the end."""
        while self._held is None or self._held.num_rows == 0:
            self._held = next(self._batches, None)
            if self._held is None:
                return None
        return self._held

    def skip(self, rows: int) -> None:
        """Go past so many of them."""
        assert self._held is not None
        self._held = self._held.slice(rows)


def _row(rows: pa.RecordBatch, at: int) -> dict[str, object]:
    row: dict[str, object] = rows.slice(at, 1).to_pylist()[0]
    return row


def _parity(batches: Iterator[pa.RecordBatch]) -> Parity:
    parity = Parity()
    for batch in batches:
        parity = parity.roll(sealed_hashes(batch))
    return parity


def _columns(rows: pa.RecordBatch) -> list[str]:
    return [name for name in rows.schema.names if name not in (LEFT_OFFSET, LEFT_INDEX)]


def _compare_all(
    one: AlignedRun, other: AlignedRun, ordered: Sequence[str], memory_size_max: int
) -> str | None:
    with TemporaryDirectory(prefix="tidemark-audit-") as folder:
        mine, theirs = (
            _sorted(run, ordered, Runs(Path(folder), name, [*ordered, ROW], memory_size_max))
            for name, run in (("one", one), ("other", other))
        )
        cuts = list(tiles([mine, theirs], memory_size_max))
        return first_difference(_walked(mine, cuts), _walked(theirs, cuts), (one.name, other.name))


def _sorted(run: AlignedRun, ordered: Sequence[str], runs: Runs) -> Runs:
    """All partitions in one; rows of a key keep their order, since they lie in one partition.

    Raises UsageError where rows lack a column that they are put in order by.
    """
    first = 0
    for batches in run.partitions.values():
        for batch in batches():
            lacks = [name for name in ordered if name not in batch.schema.names]
            if lacks:
                raise UsageError(
                    f"{run.name} has no column {lacks[0]}, and rows in unequal partitions are compared by "
                    f"{', '.join(ordered)}: name the settings that made them with --config"
                )
            rows = frame_of(pa.Table.from_batches([batch]))
            numbers = pl.int_range(first, first + rows.height, dtype=pl.Int64).alias(ROW)
            runs.add(rows.with_columns(numbers))
            first += rows.height
    runs.end()
    return runs


def _walked(runs: Runs, cuts: Sequence[Tile]) -> Iterator[pa.RecordBatch]:
    for cut in cuts:
        yield from runs.read(cut.first_ns, cut.last_ns).drop(ROW, strict=False).to_arrow().to_batches()
