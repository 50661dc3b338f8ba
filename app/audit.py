"""The audit: read inputs and aligned rows from the log again and check every row against its own join."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from app.aligned import read_aligned
from app.audit_rules import INDEX, OFFSET, Rules, Violation, find_violations, without_repeats
from app.config import Settings
from app.errors import UsageError
from app.late_topic import late_places
from app.reader import read_partition
from app.wiring import Pipeline
from schemas.clocks import clock_column
from topics.block import TopicPartition
from topics.decode import Decoder


@dataclass(slots=True)
class AuditReport:
    """What was read and what was found wrong.

    `rows_repeated` counts aligned rows beyond the first of each place; at least once they are no violation
    where they are equal, and `rows_aligned` leaves them out.
    """

    rows_in: Counter[str] = field(default_factory=Counter)
    rows_late: Counter[str] = field(default_factory=Counter)
    rows_aligned: int = 0
    rows_repeated: int = 0
    rows_dead: int = 0
    violations: list[tuple[int, Violation]] = field(default_factory=list)

    @property
    def violation_rows(self) -> int:
        """How many rows break a promise; 0 is a clean audit."""
        return sum(violation.rows for _, violation in self.violations)


def require_auditable(settings: Settings) -> None:
    """Raise UsageError where the settings leave no record of what an audit must know."""
    if settings.worker.late == "drop":
        raise UsageError(
            'worker.late = "drop" keeps no record of late rows, so an audit could not tell them from lost '
            'ones: say worker.late = "side"'
        )


def audit(pipeline: Pipeline) -> AuditReport:
    """Check every partition of a pipeline that has come to rest.

    Holds one partition's inputs and aligned rows in memory at a time.  Raises UsageError where the settings
    leave no record of late rows.
    """
    require_auditable(pipeline.settings)
    report = AuditReport()
    rules = _rules(pipeline)
    for partition in range(pipeline.settings.bus.partitions):
        late = _late_rows(pipeline, partition)
        accepted = {}
        for name in pipeline.settings.stream_names:
            rows = _input_rows(pipeline, name, partition)
            report.rows_in[name] += rows.height
            report.rows_late[name] += late[name].height
            accepted[name] = rows.join(late[name], on=[OFFSET, INDEX], how="anti", maintain_order="left")
        batches = list(read_aligned(pipeline, partition))
        aligned = _frame_of(pa.Table.from_batches(batches, pipeline.asof.aligned_schema()))
        if pipeline.settings.worker.guarantee == "at_least_once":
            written = aligned.height
            aligned = without_repeats(aligned)
            report.rows_repeated += written - aligned.height
        report.rows_aligned += aligned.height
        report.rows_dead += _count(pipeline, TopicPartition(pipeline.settings.topic("dead"), partition))
        left = accepted.pop(pipeline.settings.pipeline.left)
        report.violations += [(partition, v) for v in find_violations(rules, left, accepted, aligned)]
    return report


def _rules(pipeline: Pipeline) -> Rules:
    settings = pipeline.settings
    on = clock_column(settings.pipeline.clock)
    columns = {}
    for name in settings.pipeline.right:
        own = settings.stream(name)
        chosen = own.columns or tuple(pipeline.streams[name].schema.names)
        columns[name] = [c for c in chosen if c not in own.key and c != on]
    return Rules(
        pipeline=settings.pipeline,
        keys={name: settings.stream(name).key for name in settings.stream_names},
        sequences={name: settings.stream(name).sequence for name in settings.stream_names},
        columns=columns,
    )


def _input_rows(pipeline: Pipeline, name: str, partition: int) -> pl.DataFrame:
    source = TopicPartition(pipeline.settings.topic(name), partition)
    stream = pipeline.streams[name]
    decoder = Decoder(stream, pipeline.settings.pipeline.clock, pipeline.registry)
    tables = []
    for block in read_partition(pipeline.bus, source, group=f"{pipeline.settings.pipeline.prefix}-audit"):
        batch = decoder.decode(block, np.arange(block.messages, dtype=np.int64)).batch
        if batch is not None:
            table = pa.Table.from_batches([batch.columns])
            tables.append(
                table.append_column(OFFSET, pa.array(batch.offset)).append_column(
                    INDEX, pa.array(batch.index)
                )
            )
    schema = stream.schema.append(pa.field(OFFSET, pa.int64())).append(pa.field(INDEX, pa.int32()))
    return _frame_of(pa.concat_tables(tables) if tables else schema.empty_table())


def _late_rows(pipeline: Pipeline, partition: int) -> dict[str, pl.DataFrame]:
    found = late_places(pipeline, partition, group=f"{pipeline.settings.pipeline.prefix}-audit")
    schema = {OFFSET: pl.Int64, INDEX: pl.Int32}
    return {
        name: pl.DataFrame(rows, schema=schema, orient="row").unique(maintain_order=True)
        for name, rows in found.items()
    }


def _count(pipeline: Pipeline, source: TopicPartition) -> int:
    group = f"{pipeline.settings.pipeline.prefix}-audit"
    return sum(block.messages for block in read_partition(pipeline.bus, source, group=group))


def _frame_of(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
