"""Rows set aside in an earlier life that the commit does not name: read back from where they were sent."""

import structlog

from app.reading.dead import ahead_places
from app.reading.late import late_places
from app.wiring.pipeline import Pipeline
from operators.inputs.resuming import ResumePlan

log = structlog.get_logger()


def with_all_late(number: int, plan: ResumePlan, pipeline: Pipeline) -> ResumePlan:
    """Complete the rows to be left out where the commit had no room for all that are read again.

    Rows too far ahead lie in the dead-letter topic, late ones in the late topic, unless they are dropped.
    """
    if not plan.unnamed:
        return plan
    settings = pipeline.settings
    dropped = {name for name in plan.unnamed if settings.late(name)[0] == "drop"}
    if settings.worker.dead == "drop" and settings.pipeline.max_ahead_ns is not None:
        dropped = set(plan.unnamed)
    if dropped:
        inputs = plan.committed.inputs
        log.warning(
            "rows that were late or too far ahead may be matched: the commit does not name them all, and "
            '"drop" kept them nowhere else',
            partition=number,
            offsets={name: (plan.read_from[name], inputs[name].late_from) for name in dropped},
        )
    group = f"{settings.pipeline.prefix}-{settings.worker.slot}"
    late = late_places(pipeline, number, group=group)
    ahead = ahead_places(pipeline, number)
    for name in plan.unnamed:
        plan = plan.with_set_aside(name, {*late[name], *ahead[name]}, whole=name not in dropped)
    rows = {name: len(progress.late) for name, progress in plan.committed.inputs.items()}
    log.info("rows set aside read back", partition=number, rows=rows)
    return plan
