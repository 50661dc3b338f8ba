"""A batch run: a day's history through the tasks of a pipeline, in this process, with no log in between.

The rows of every output are those of a replay: the same merge, order of messages, rules, inputs, join and
graph.  What is left out is the wire: no row is encoded, sent, committed or decoded.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.batch.batch_task import BatchTask
from app.batch.judge import Judge
from app.batch.outputs import Outputs
from app.errors import UsageError
from app.reading.aligned import Frames
from app.reading.row_files import Metadata
from app.wiring.pipeline import Pipeline
from replay.publish.steps import Step, Steps
from replay.store.day import Day
from schemas.arrived import ProgressRecord
from schemas.reasons import Nulls, summed_nulls


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What went in, and what came of it; `rows_out` counts rows by output, `nulls_out` those of features.

    `rows_in` counts rows that keep all rules, `rows_late` those of them that came too late; `rows_dead`
    counts dead letters as a replay does, a message and reason once.
    """

    rows_in: Mapping[str, int]
    rows_late: Mapping[str, int]
    rows_dead: int
    rows_refused: Mapping[tuple[str, str], int]
    rows_out: Mapping[str, int]
    nulls_out: Mapping[str, Nulls]
    frames: Frames


def run_batch(
    pipeline: Pipeline,
    days: Sequence[Day],
    folders: Mapping[str, Path],
    *,
    scratch: Path,
    sources: Mapping[str, Metadata] | None = None,
) -> BatchReport:
    """Run `days` of all streams through `pipeline`, and write each output to its folder, all or nothing.

    What is held at once is a few batches of each stream, what the join and the nodes need of the past, and a
    row group of each file.  Until all is written it lies in `scratch`; `sources` is that of `file_schema`.
    Raises UsageError where the settings read a stream otherwise than its history has it, RunError where a
    policy is to stop.
    """
    settings = pipeline.settings
    steps = steps_of(pipeline, days)
    judges = {name: Judge(settings, pipeline.streams[name]) for name in settings.stream_names}
    sinks = [pipeline.sinks(number) for number in range(settings.bus.partitions)]
    with Outputs(sinks, folders, scratch, settings.pipeline.right, sources or {}) as outputs:
        tasks = [BatchTask(pipeline, number, files, judges) for number, files in enumerate(outputs.files)]
        for step in steps:
            for number, task in enumerate(tasks):
                give(step, task, number, settings.stream_names)
        for task in tasks:
            task.finish()
        outputs.keep()
    return BatchReport(
        rows_in=_summed([task.rows_in for task in tasks], settings.stream_names),
        rows_late=_summed([task.rows_late for task in tasks], settings.stream_names),
        rows_dead=sum(judge.letters for judge in judges.values()) + sum(task.failed_tiles for task in tasks),
        rows_refused=dict(steps.refused),
        rows_out={name: sum(files[name].rows for files in outputs.files) for name in sinks[0]},
        nulls_out={name: summed_nulls(task.nulls.get(name, {}) for task in tasks) for name in sinks[0]},
        frames=Frames.of([task.frames for task in tasks]),
    )


def steps_of(
    pipeline: Pipeline,
    days: Sequence[Day],
    *,
    only: Collection[int] | None = None,
    offsets: Mapping[str, Sequence[int]] | None = None,
) -> Steps:
    """The steps of one day for a pipeline; `only` and `offsets` are those of `Steps`.

    Raises UsageError where the settings read a stream otherwise than its history has it.
    """
    settings = pipeline.settings
    for name in settings.stream_names:
        _require_as_it_is(pipeline, name)
    by_name = {day.stream.name: day for day in days}
    return Steps(
        days=[by_name[name] for name in settings.stream_names],
        streams=pipeline.streams,
        partitions=settings.bus.partitions,
        grace_ns=settings.pipeline.grace_ns,
        clock=settings.pipeline.clock,
        # What is too far ahead is judged in the order of the log, in which a promise has its place.
        promises=settings.pipeline.max_ahead_ns is not None
        or (pipeline.graph is not None and pipeline.graph.available),
        only=only,
        offsets=offsets,
    )


def give(step: Step, task: BatchTask, number: int, streams: Iterable[str]) -> None:
    """Let the task of a partition take its part of a step."""
    own = {name: of[number] for name, of in step.batches.items() if number in of}
    task.take(own, {name: progress_of(step, name, number) for name in streams})


def progress_of(step: Step, stream: str, number: int) -> Sequence[ProgressRecord]:
    """The progress records of a stream in a step, for one partition."""
    return step.promises[stream][number] if step.promises else [ProgressRecord(step.upper_ns, step.final)]


def _summed(counts: Sequence[Counter[str]], names: Sequence[str]) -> dict[str, int]:
    return {name: sum(count[name] for count in counts) for name in names}


def _require_as_it_is(pipeline: Pipeline, name: str) -> None:
    """Raise UsageError where a clock or the key is to be read from what only a message has."""
    shape = pipeline.formats[name].shape
    strange = [*shape.times, *([shape.key_column] if shape.key_column else [])]
    if strange:
        raise UsageError(
            f"streams.{name} takes {', '.join(strange)} from a message's own form, and a history has no "
            "messages: leave that setting out, or run with --through-wire"
        )
