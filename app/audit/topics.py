"""The audit: read inputs and aligned rows from the log again and check every row against its own join."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from app.audit.auditable import require_auditable
from app.audit.join import INDEX, OFFSET, Rules
from app.audit.late import LateJudge, NotAccepted, read_not_accepted
from app.audit.nodes import NodeRules, check_node
from app.audit.rules import EARLIER, PARTITION, PLACE, Findings, Layout, Violation, check_order
from app.audit.runs import MEMORY_SIZE_MIN, Runs
from app.audit.walk import frame_of, walk
from app.config import Settings
from app.process.threads import each
from app.reading.aligned import fitted, read_aligned, read_output
from app.reading.partition import at_once, read_partition
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity, sealed_hashes
from schemas.batch import Batch, Bools
from schemas.clocks import clock_column
from schemas.frame import FrameHeaders
from schemas.stream import Stream, message_keys, plain_keys
from topics.avro.schema import column_name
from topics.block import TopicPartition
from topics.partitioner import partition_of

MEMORY_SIZE_MAX: Final = 1 << 30  # bytes of rows at once, beyond what the program itself takes


@dataclass(slots=True)
class AuditReport:
    """The rows that the audit read, and its violations.

    `violations` are by partition, None where files do not say of which; `parity` is that of the aligned
    rows read; `rows_out` counts the rows of each node with an output.
    `rows_refused` counts rows of files without a key or without a time that can be joined on.
    `rows_repeated` counts aligned rows beyond the first of each place; at least once they are no violation
    where they are equal, and `rows_aligned` leaves them out.
    """

    rows_in: Counter[str] = field(default_factory=Counter)
    rows_late: Counter[str] = field(default_factory=Counter)
    rows_refused: Counter[str] = field(default_factory=Counter)
    rows_out: Counter[str] = field(default_factory=Counter)
    rows_aligned: int = 0
    rows_repeated: int = 0
    rows_dead: int = 0
    violations: list[tuple[int | None, Violation]] = field(default_factory=list)
    parity: dict[int, Parity] = field(default_factory=dict)

    def add(self, other: "AuditReport") -> None:
        """Count what another report counts, of other partitions."""
        for mine, theirs in (
            (self.rows_in, other.rows_in),
            (self.rows_late, other.rows_late),
            (self.rows_refused, other.rows_refused),
            (self.rows_out, other.rows_out),
        ):
            mine.update(theirs)  # which keeps a count of 0
        self.rows_aligned += other.rows_aligned
        self.rows_repeated += other.rows_repeated
        self.rows_dead += other.rows_dead
        self.violations += other.violations
        self.parity |= other.parity

    @property
    def violation_rows(self) -> int:
        """How many rows break a promise; 0 is a clean audit."""
        return sum(violation.rows for _, violation in self.violations)


def audit(pipeline: Pipeline, *, memory_size_max: int = MEMORY_SIZE_MAX) -> AuditReport:
    """Check every partition of a pipeline that has come to rest.

    Several are checked at once.  Their rows go to sorted files in temporary folders and are read a tile of
    time at a time, so what is held of all together stays within about `memory_size_max` however long the day;
    the places of late rows, 12 bytes each, come on top.
    Raises UsageError where the settings leave no record of late rows.
    """
    require_auditable(pipeline.settings)
    threads = min(at_once(pipeline.bus), pipeline.settings.bus.partitions)
    share_size = max(MEMORY_SIZE_MIN, memory_size_max // threads)

    def check(partition: int) -> AuditReport:
        report = AuditReport()
        with TemporaryDirectory(prefix="tidemark-audit-") as folder:
            part = _Partition(pipeline, partition, Path(folder), share_size)
            report.violations += [(partition, violation) for violation in part.check(report)]
        return report

    report = AuditReport()
    for part in each(check, range(pipeline.settings.bus.partitions), threads=threads):
        report.add(part)
    return report


def rules_of(settings: Settings, streams: dict[str, Stream]) -> Rules:
    """What the aligned rows of these settings over these streams promise."""
    on, left = clock_column(settings.pipeline.clock), settings.pipeline.left
    columns = {}
    for name in settings.pipeline.right:
        own = settings.stream(name)
        names = streams[name].schema.names
        chosen = names if own.columns is None else [*map(column_name, own.columns)]
        columns[name] = [column for column in names if column in chosen and column not in {*own.key, on}]
    return Rules(
        pipeline=settings.pipeline,
        keys={name: settings.stream(name).key for name in settings.stream_names},
        sequences={name: settings.stream(name).sequence for name in settings.stream_names},
        columns=columns,
        left_key=pa.schema([streams[left].schema.field(name) for name in settings.stream(left).key]),
    )


class _Partition:
    """One partition on its way from the log to disk and through the walk."""

    def __init__(self, pipeline: Pipeline, partition: int, folder: Path, memory_size_max: int) -> None:
        self._pipeline = pipeline
        self._partition = partition
        self._folder = folder
        self._memory_size_max = memory_size_max
        self._group = f"{pipeline.settings.pipeline.prefix}-audit"
        self._rules = rules_of(pipeline.settings, pipeline.streams)
        self._findings = Findings()
        self._lacks: list[tuple[str, ...]] = [()]  # the columns that aligned rows may lack, by EARLIER
        self._repeats = pipeline.settings.worker.guarantee == "at_least_once"

    def check(self, report: AuditReport) -> Iterator[Violation]:
        """Read all, check all, and add to the report what was read."""
        settings = self._pipeline.settings
        left = settings.pipeline.left
        found = read_not_accepted(self._pipeline, self._partition, group=self._group)
        judges = {name: LateJudge(found, name, settings) for name in settings.stream_names}
        accepted = {name: self._inputs(name, found, judge, report) for name, judge in judges.items()}
        for name, judge in judges.items():
            judge.end({other: told for other, told in judges.items() if other != name})
            report.rows_late[name] += found.late[name].height
        report.rows_dead += found.dead_letters
        aligned = self._aligned(report)
        layout = Layout(
            partitions=settings.bus.partitions,
            late=found.late[left],
            repeats=self._repeats,
            lacks=self._lacks,
        )
        rights = {name: runs for name, runs in accepted.items() if name != left}
        walk(self._rules, layout, accepted[left], rights, aligned, self._findings, self._memory_size_max)
        report.rows_repeated += self._findings.rows_repeated
        report.rows_aligned -= self._findings.rows_repeated
        for name in settings.node_outputs:
            report.rows_out[name] += self._node(name)
        yield from found.violations()
        yield from self._findings.violations()

    def _inputs(self, name: str, found: NotAccepted, judge: LateJudge, report: AuditReport) -> Runs:
        stream = self._pipeline.streams[name]
        settings = self._pipeline.settings
        source = TopicPartition(settings.topic(name), self._partition)
        decoder = self._pipeline.decoder(name)  # a row that breaks a rule is no accepted row
        runs = self._runs(name, self._rules.order(name))
        runs.add(_placed(stream.schema.empty_table(), [], []))
        for block in read_partition(self._pipeline.bus, source, group=self._group):
            decoded = decoder.decode(block, np.arange(block.messages, dtype=np.int64))
            judge.see(block, decoded.batch, decoded.progress)
            if decoded.batch is not None:
                self._check_places(name, decoded.batch)
                rows = _batch_frame(decoded.batch)
                report.rows_in[name] += rows.height
                runs.add(found.without(name, rows))
            del block, decoded
        report.rows_in[name] += 0
        return runs

    def _check_places(self, name: str, batch: Batch) -> None:
        """Rows whose key belongs to another partition never meet those of the other inputs."""
        key = self._pipeline.streams[name].key
        stray_rows = self._strays(batch.keys, keyed=bool(key))[batch.key_code]
        if len(key) > 1:  # where a message key can be read in two ways, rows are grouped by their columns
            rows = np.flatnonzero(~plain_keys(batch.keys, len(key))[batch.key_code])
            own = message_keys(batch.columns.take(pa.array(rows)), key).fill_null(b"")
            stray_rows[rows] |= self._strays(own, keyed=False)
        if not stray_rows.any():
            return
        strays = batch.where(stray_rows)
        self._findings.add(
            "input row in a wrong partition",
            pl.DataFrame({"stream": [name] * strays.rows, "offset": strays.offset, "index": strays.index}),
        )

    def _strays(self, keys: pa.BinaryArray, *, keyed: bool) -> Bools:
        """Which keys belong to another partition; without key columns an empty one stands for none."""
        partitions = self._pipeline.settings.bus.partitions
        strays = [
            (keyed or key != b"") and partition_of(key, partitions) != self._partition
            for key in keys.to_pylist()
        ]
        return np.array(strays, np.bool_)

    def _aligned(self, report: AuditReport) -> Runs:
        """The aligned rows; their order and the parity of frames are checked as they go by."""
        runs = self._runs("aligned", self._rules.order(self._pipeline.settings.pipeline.left, *PLACE))
        number = pl.lit(self._partition, pl.Int32).alias(PARTITION)
        schema = self._pipeline.asof.aligned_schema()
        runs.add(frame_of(schema.empty_table()).with_columns(number, self._earlier(())))
        before: pl.DataFrame | None = None
        told = ParityCheck(repeats=self._repeats)
        order = self._rules.order(self._pipeline.settings.pipeline.left, *PLACE)
        for batch in read_aligned(self._pipeline, self._partition, told):
            whole, lacks = fitted(batch, schema)
            rows = frame_of(pa.Table.from_batches([whole])).with_columns(number, self._earlier(lacks))
            report.rows_aligned += rows.height
            runs.add(rows)
            if self._repeats:
                fresh = beyond(rows, before, order)
                batch, rows = batch.filter(pa.array(fresh.to_numpy())), rows.filter(fresh)
            told.roll(batch)
            check_order(self._rules, rows, before, self._findings)
            before = rows.tail(1) if rows.height else before
        # A row that comes again after columns were added has another hash than the one that counts.
        if not self._repeats or len(self._lacks) == 1:
            told.report(self._findings)
        report.parity[self._partition] = told.rolled
        return runs

    def _node(self, name: str) -> int:
        """Check the rows of a node with an output; returns how many there are."""
        graph = self._pipeline.settings.graph.declared()
        parity = ParityCheck()

        def rows() -> Iterator[pa.RecordBatch]:
            for batch in read_output(self._pipeline, name, self._partition, parity):
                parity.roll(batch)
                yield batch

        aligned = read_aligned(self._pipeline, self._partition)
        count = check_node(NodeRules.of(graph, name), aligned, rows(), self._findings, repeats=self._repeats)
        if not self._repeats:
            parity.report(self._findings)
        return count

    def _earlier(self, lacks: tuple[str, ...]) -> pl.Expr:
        if lacks not in self._lacks:
            self._lacks.append(lacks)
        return pl.lit(self._lacks.index(lacks), pl.Int16).alias(EARLIER)

    def _runs(self, name: str, order: list[str]) -> Runs:
        return Runs(self._folder, name, order, self._memory_size_max)


class ParityCheck:
    """Rolls the rows of a partition and holds each frame's header against them.

    With `repeats` some frames came again.  `roll` then gets only rows that were not there before, and a frame
    whose header counts other rows than these is not compared.
    """

    def __init__(self, *, repeats: bool = False) -> None:
        self.rolled = Parity()
        self._repeats = repeats
        self._told = ""
        self._whole = True  # whether the first frame kept is the first there was
        self._first: pl.DataFrame | None = None

    def add(self, partition: int, headers: FrameHeaders) -> None:
        """Take the headers of the frame whose rows come next."""
        del partition
        self._told = headers.parity

    def roll(self, rows: pa.RecordBatch) -> None:
        """Take the rows of a frame."""
        self.rolled = self.rolled.roll(sealed_hashes(rows))
        told, self._told = self._told, ""
        if self._repeats and told.partition("-")[0] != str(self.rolled.rows):
            return
        if self.rolled.rows == rows.num_rows and told:
            # A frame that counts more rows than its own follows others that the topic keeps no more.
            count = told.partition("-")[0]
            self._whole = not (count.isdecimal() and int(count) > rows.num_rows)
        if told and self._whole and told != str(self.rolled) and self._first is None:
            self._first = pl.DataFrame({"frame": [told], "rows": [str(self.rolled)]})

    def report(self, findings: Findings) -> None:
        """Report the first frame whose parity is not that of the rows up to it; all later ones differ too."""
        if self._first is not None:
            findings.add("wrong parity", self._first)


def beyond(rows: pl.DataFrame, last: pl.DataFrame | None, order: list[str]) -> pl.Series:
    """Which rows come behind `last`, one row, and those before them, in order of these integer columns."""
    everything = rows.select(order) if last is None else pl.concat([last.select(order), rows.select(order)])
    columns = [everything[name].to_numpy() for name in order]
    by_order = np.lexsort(columns[::-1])
    steps = np.zeros(everything.height, np.bool_)
    for column in columns:
        steps[1:] |= np.diff(column[by_order]) != 0
    rank = np.empty(everything.height, np.int64)
    rank[by_order] = np.cumsum(steps)
    before = np.concatenate([[-1], np.maximum.accumulate(rank)[:-1]])
    return pl.Series("beyond", (rank > before)[-rows.height :])


def _batch_frame(batch: Batch) -> pl.DataFrame:
    return _placed(pa.Table.from_batches([batch.columns]), batch.offset, batch.index)


def _placed(rows: pa.Table, offset: object, index: object) -> pl.DataFrame:
    rows = rows.append_column(OFFSET, pa.array(offset, pa.int64()))
    return frame_of(rows.append_column(INDEX, pa.array(index, pa.int32())))
