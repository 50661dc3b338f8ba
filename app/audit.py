"""The audit: read inputs and aligned rows from the log again and check every row against its own join."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from app.aligned import read_aligned
from app.audit_rules import INDEX, OFFSET, Rules, Violation, find_violations
from app.config import Settings
from app.dead_topic import ahead_places
from app.errors import UsageError
from app.late_topic import late_places
from app.reader import read_partition
from app.wiring import Pipeline
from schemas.clocks import clock_column
from topics.block import TopicPartition
from topics.decode import Decoder


@dataclass(slots=True)
class AuditReport:
    """What was read and what was found wrong."""

    rows_in: Counter[str] = field(default_factory=Counter)
    rows_late: Counter[str] = field(default_factory=Counter)
    rows_aligned: int = 0
    rows_dead: int = 0
    violations: list[tuple[int, Violation]] = field(default_factory=list)

    @property
    def violation_rows(self) -> int:
        """How many rows break a promise; 0 is a clean audit."""
        return sum(violation.rows for _, violation in self.violations)


def require_auditable(settings: Settings) -> None:
    """Raise UsageError where the settings leave no record of what an audit must know."""
    if dropped := [name for name in settings.stream_names if settings.late(name)[0] == "drop"]:
        raise UsageError(
            f'late = "drop" keeps no record of late rows of {", ".join(dropped)}, so an audit could not tell '
            'them from lost ones: say worker.late = "side"'
        )
    if settings.worker.dead == "drop" and settings.pipeline.max_ahead_ns is not None:
        raise UsageError(
            'worker.dead = "drop" keeps no record of rows beyond pipeline.max_ahead_ns, so an audit could '
            'not tell them from lost ones: say worker.dead = "side"'
        )


def audit(pipeline: Pipeline) -> AuditReport:
    """Check every partition of a pipeline that has come to rest.

    Holds one partition's inputs and aligned rows in memory at a time.  Raises UsageError where the settings
    leave no record of rows set aside.
    """
    require_auditable(pipeline.settings)
    report = AuditReport()
    rules = _rules(pipeline)
    for partition in range(pipeline.settings.bus.partitions):
        late = _placed(late_places(pipeline, partition, group=_group(pipeline)))
        ahead = _placed(ahead_places(pipeline, partition, group=_group(pipeline)))
        accepted = {}
        for name in pipeline.settings.stream_names:
            rows = _input_rows(pipeline, name, partition)
            report.rows_in[name] += rows.height
            report.rows_late[name] += late[name].height
            aside = pl.concat([late[name], ahead[name]])
            accepted[name] = rows.join(aside, on=[OFFSET, INDEX], how="anti", maintain_order="left")
        batches = list(read_aligned(pipeline, partition))
        aligned = _frame_of(pa.Table.from_batches(batches, pipeline.asof.aligned_schema()))
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
    for block in read_partition(pipeline.bus, source, group=_group(pipeline)):
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


def _group(pipeline: Pipeline) -> str:
    return f"{pipeline.settings.pipeline.prefix}-audit"


def _placed(found: dict[str, list[tuple[int, int]]]) -> dict[str, pl.DataFrame]:
    schema = {OFFSET: pl.Int64, INDEX: pl.Int32}
    return {name: pl.DataFrame(rows, schema=schema, orient="row") for name, rows in found.items()}


def _count(pipeline: Pipeline, source: TopicPartition) -> int:
    return sum(block.messages for block in read_partition(pipeline.bus, source, group=_group(pipeline)))


def _frame_of(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
