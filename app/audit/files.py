"""The audit of Parquet: aligned rows in a folder against the files their streams came from, without a log.

Files do not say where a left row stood in its topic, so rows of one key and time count in their order; nor do
they say which rows were late, so each late row shows as missing, or as a better match.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from app.audit.findings import PLACE, Findings
from app.audit.join import INDEX, OFFSET, Rules
from app.audit.report import AuditReport
from app.audit.rules import PARTITION, Layout, check_order
from app.audit.runs import Runs
from app.audit.topics import MEMORY_SIZE_MAX, rules_of
from app.audit.walk import frame_of, walk
from app.config import Settings
from app.errors import UsageError
from app.reading.row_files import as_in_frames, schema_in_frames
from app.task.row_rules import RowRules
from operators.hashing.parity import Parity, sealed_hashes
from replay.imports.time_columns import convert_clocks, find_clocks
from schemas.clocks import END_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import Stream

BATCH_ROWS: Final = 16_384
NUMBERED: Final = re.compile(r"partition-(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """The Parquet files of a path, in the order of their names."""

    path: Path
    files: tuple[Path, ...]

    @classmethod
    def at(cls, path: Path) -> "ParquetFiles":
        """A file, or the files of a folder but those below _* or .*; raises UsageError without any."""
        files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
        files = [
            file
            for file in files
            if not any(part.startswith(("_", ".")) for part in file.relative_to(path).parts)
        ]
        if not files:
            raise UsageError(f"{path}: no such Parquet file, nor a folder with any")
        return cls(path, tuple(files))

    @property
    def schema(self) -> pa.Schema:
        """The columns of the first file, clocks as int64 ns."""
        try:
            return schema_in_frames(pq.read_schema(self.files[0]))
        except (OSError, pa.ArrowException) as broken:
            raise UsageError(f"{self.files[0]} cannot be read as Parquet: {broken}") from None

    @property
    def numbers(self) -> tuple[int, ...] | None:
        """The partition of each file, where every name has a number and no number is missing."""
        named = [NUMBERED.fullmatch(file.name) for file in self.files]
        numbers = tuple(int(match[1]) for match in named if match is not None)
        return numbers if numbers == tuple(range(len(self.files))) else None

    def batches(self, file: Path) -> Iterator[pa.RecordBatch]:
        """The rows of one of the files; raises UsageError where it cannot be read or has other columns."""
        try:
            with pq.ParquetFile(file, pre_buffer=False) as opened:
                if opened.schema_arrow.names != self.schema.names:
                    raise UsageError(f"{file} has other columns than {self.files[0]}")
                for batch in opened.iter_batches(BATCH_ROWS, use_threads=False):
                    yield as_in_frames(batch)
        except (OSError, pa.ArrowException) as broken:
            raise UsageError(f"{file} cannot be read as Parquet: {broken}") from None


def audit_files(
    settings: Settings,
    aligned: ParquetFiles,
    inputs: Mapping[str, ParquetFiles],
    *,
    streams: dict[str, Stream] | None = None,
    memory_size_max: int = MEMORY_SIZE_MAX,
) -> AuditReport:
    """Check the aligned rows against the rows of each stream, which count in the order of their files.

    The clock column of an input is chosen as an import chooses it.  Rows without a key, or without a time of
    the join's clock that a worker takes, are left out.  With `streams` only their columns count, and rows
    that break a rule of the settings are left out, too.  Raises UsageError naming the file and the column
    that is missing.
    """
    row_rules: dict[str, RowRules] = {}
    if streams is None:
        streams = {name: _stream(settings, name, inputs[name]) for name in settings.stream_names}
    else:
        row_rules = {name: RowRules(one, settings.stream(name).rules) for name, one in streams.items()}
    rules = rules_of(settings, streams)
    _require_columns(rules, streams, aligned)
    report, findings = AuditReport(), Findings()
    with TemporaryDirectory(prefix="tidemark-audit-") as folder:
        accepted = {}
        for name, stream in streams.items():
            runs = Runs(Path(folder), name, rules.order(name), memory_size_max)
            for held, refused in accepted_rows(rules.on, inputs[name], stream, row_rules.get(name)):
                report.rows_refused[name] += refused
                runs.add(held)
            accepted[name] = runs
            report.rows_in[name] = runs.rows
        left = settings.pipeline.left
        order = rules.order(left, *PLACE)
        found = _aligned(
            rules, aligned, Runs(Path(folder), "aligned", order, memory_size_max), findings, report
        )
        layout = Layout(by_place=False, partitions=None if aligned.numbers is None else len(aligned.files))
        rights = {name: runs for name, runs in accepted.items() if name != left}
        walk([rules], layout, accepted[left], rights, found, findings, memory_size_max)
    report.violations = [(None, violation) for violation in findings.violations()]
    return report


def _stream(settings: Settings, name: str, files: ParquetFiles) -> Stream:
    clocks = find_clocks(files.schema, str(files.path))
    schema = pa.schema(
        [pa.field(clocks[f.name], pa.int64()) if f.name in clocks else f for f in files.schema]
    )
    own = settings.stream(name)
    stream = Stream(name=name, schema=schema, key=own.key, sequence=own.sequence)
    stream.require_clock(settings.pipeline.clock)
    return stream


def _require_columns(rules: Rules, streams: Mapping[str, Stream], aligned: ParquetFiles) -> None:
    wanted = list(streams[rules.pipeline.left].schema.names)
    for name in rules.pipeline.right:
        wanted += [f"{name}_{c}" for c in [*rules.columns[name], rules.on, "age_ns"]]
    missing = [column for column in wanted if column not in aligned.schema.names]
    if missing:
        raise UsageError(
            f"{aligned.files[0]} has no {', '.join(missing)}, which rows aligned by these settings have; "
            f"it has {', '.join(aligned.schema.names)}"
        )


def accepted_rows(
    on: str, files: ParquetFiles, stream: Stream, rules: RowRules | None
) -> Iterator[tuple[pl.DataFrame, int]]:
    """The rows of a stream that a join on this clock takes, numbered as they lie, and how many it refuses."""
    for rows in _input_rows(files, stream, rules):
        held = rows.drop_nulls([on, *stream.key])
        held = held.filter(pl.col(on).is_between(-END_NS, END_NS, closed="none"))
        yield held, rows.height - held.height


def _input_rows(files: ParquetFiles, stream: Stream, rules: RowRules | None) -> Iterator[pl.DataFrame]:
    """The stream's columns of the rows that keep the rules, numbered as they lie."""
    clocks, names = find_clocks(files.schema, str(files.path)), stream.schema.names
    first = 0
    empty = convert_clocks(files.schema.empty_table(), clocks, str(files.path)).select(names)
    yield _numbered(empty, first, OFFSET, INDEX)
    for file in files.files:
        for batch in files.batches(file):
            if rules:
                batch = batch.filter(pa.array(rules.kept(batch)))
            rows = convert_clocks(pa.Table.from_batches([batch]), clocks, str(file)).select(names)
            yield _numbered(rows, first, OFFSET, INDEX)
            first += rows.num_rows


def _aligned(
    rules: Rules, aligned: ParquetFiles, runs: Runs, findings: Findings, report: AuditReport
) -> Runs:
    empty = _numbered(aligned.schema.empty_table(), 0, LEFT_OFFSET, LEFT_INDEX)
    runs.add(empty.with_columns(pl.lit(0, pl.Int32).alias(PARTITION)))
    for number, file in enumerate(aligned.files):
        before: pl.DataFrame | None = None
        parity = Parity()
        first = 0
        for batch in aligned.batches(file):
            parity = parity.roll(sealed_hashes(batch))
            rows = _numbered(pa.Table.from_batches([batch]), first, LEFT_OFFSET, LEFT_INDEX)
            first += rows.height
            rows = rows.with_columns(pl.lit(number, pl.Int32).alias(PARTITION))
            check_order(rules, rows, before, findings)
            before = rows.tail(1) if rows.height else before
            runs.add(rows)
        report.parity[number] = parity
    report.rows_aligned = runs.rows
    return runs


def _numbered(rows: pa.Table, first: int, offset: str, index: str) -> pl.DataFrame:
    """The rows with their place in the file, where they do not say one."""
    frame = frame_of(rows)
    if offset in frame.columns and index in frame.columns:
        return frame
    return frame.with_columns(
        pl.int_range(first, first + frame.height, dtype=pl.Int64).alias(offset),
        pl.lit(0, pl.Int32).alias(index),
    )
