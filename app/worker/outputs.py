"""The outputs of a task as it is opened: each goes on where the last commit left it."""

from collections.abc import Mapping

import structlog

from app.errors import RunError
from app.reading.tasks import task_record
from app.task.sink import Sink
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity
from operators.sealed import ALIGNED
from topics.catalogue import TASKS

log = structlog.get_logger()


def sinks_at(
    pipeline: Pipeline, number: int, parity: Parity, next_offsets: Mapping[str, int]
) -> dict[str, Sink]:
    """The outputs of a task, with the parity that each had at the last commit; a new one begins anew.

    `parity` is that of the aligned rows; `next_offsets`, by stream, are empty before the first commit.

    A record that is behind the commit is of a time before somebody took the graph away: rows sealed since
    have no row in its outputs.  Raises RunError where it is ahead: the offsets were set back.
    """
    sinks = pipeline.sinks(number)
    sinks[ALIGNED].parity = parity
    if len(sinks) == 1 or not next_offsets:
        return sinks
    settings = pipeline.settings
    group = f"{settings.pipeline.prefix}-{settings.worker.slot}"
    record = task_record(pipeline, number, group=group)
    if record is None:
        log.info("outputs begin", partition=number, outputs=[name for name in sinks if name != ALIGNED])
        return sinks
    figures = f"{_figures(record.next_offsets)}, committed is {_figures(next_offsets)}"
    if any(offset > next_offsets.get(name, offset) for name, offset in record.next_offsets.items()):
        raise RunError(
            f"{settings.topic(TASKS)}[{number}]: the task's record belongs to {figures}: the offsets of "
            "the group were set back by hand, and the outputs would have rows twice. Delete the group "
            "and choose another pipeline.prefix"
        )
    if dict(record.next_offsets) != dict(next_offsets):
        log.warning(
            "the graph was away: rows sealed since have no row in its outputs",
            partition=number,
            record=figures,
        )
    for name, sent in record.parities.items():
        if name in sinks:
            sinks[name].parity = sent
    return sinks


def _figures(offsets: Mapping[str, int]) -> str:
    return ", ".join(f"{stream} {offset}" for stream, offset in sorted(offsets.items()))
