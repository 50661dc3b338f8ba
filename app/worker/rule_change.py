"""A task whose commit was made by another rule: what changed, from when on, and what is read again for it."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import structlog

from app.errors import RunError
from app.reading.columns_change import columns_changes
from app.wiring.pipeline import Pipeline
from app.wiring.topics import anew
from operators.inputs.marks import offset_before
from operators.inputs.progress import TaskProgress
from operators.inputs.resuming import reaching_back
from operators.join.changed_rule import Reread, reread_for
from schemas.clocks import BEGINNING_NS
from schemas.rule import RuleError, parse_rule
from topics.block import TopicPartition

log = structlog.get_logger()

CHANGED: Final = "rule changed"  # what the log says of each task; rows from `frontier` on are of the new rule


def rule_change(number: int, committed: str, frontier_ns: int, pipeline: Pipeline) -> Reread:
    """Compare the rule of a task's commit with that of the settings, and say in the log what changes.

    `committed` is empty where an earlier version made the commit: then nothing is known to change.  Raises
    RunError, with what to do, where rows cannot go on by the new rule.
    """
    if not committed:
        return Reread()
    prefix = pipeline.settings.pipeline.prefix
    try:
        old = parse_rule(committed)
    except RuleError as unknown:
        raise RunError(
            f"task {number} of group {prefix}: the last commit is by {unknown}: a newer worker made it; "
            "update this one"
        ) from None
    changes = old.differences(pipeline.rule)
    if not changes:
        return Reread()
    if old.clock != pipeline.rule.clock:
        raise RunError(
            f"task {number} of group {prefix}: {changes[0]}: rows are sealed up to a moment of the "
            f'{old.clock} clock, which says nothing of the other; set it to "{old.clock}" again, or '
            f"{anew(pipeline.settings)}"
        )
    frontier = "the beginning" if frontier_ns == BEGINNING_NS else f"{np.datetime64(frontier_ns, 'ns')}Z"
    log.warning(
        CHANGED, partition=number, changes=", ".join(changes), frontier=frontier, frontier_ns=frontier_ns
    )
    settings = pipeline.settings
    for change in columns_changes(pipeline, number, group=f"{prefix}-{settings.worker.slot}"):
        log.info("output changes", partition=number, topic=change.topic, columns=change.words())
    return reread_for(old, pipeline.rule, frontier_ns)


def read_back(
    number: int,
    committed: TaskProgress,
    reread: Reread,
    pipeline: Pipeline,
    range_of: Callable[[TopicPartition], tuple[int, int]],
) -> TaskProgress:
    """The progress of a task, with the rows needed that a changed rule needs; `range_of` asks the log.

    What the log no longer holds is said: those rows match nothing.  Raises RunError where they were kept
    beside the inputs, in a way that is of no use to the new rule.
    """
    if reread.oldest_ns is None:
        return committed
    offsets: dict[str, int] = {}
    gone: dict[str, int] = {}
    for topic, name in pipeline.input_topics.items():
        if name == pipeline.settings.pipeline.left:
            continue
        low, _ = range_of(TopicPartition(topic, number))
        begin = offset_before(committed.inputs[name].marks, reread.oldest_ns)
        if low > (begin or 0):
            gone[f"{topic}[{number}]"] = low
        offsets[name] = max(begin or 0, low)
    if gone and reread.was_kept:
        raise RunError(_unkept(number, gone, pipeline))
    if gone:
        log.warning(
            "the log no longer has all rows that the changed rule may match: it is joined with what is there",
            partition=number,
            log_begins=gone,
        )
    log.info(
        "inputs are read again for the changed rule", partition=number, offsets=_ahead_of(committed, offsets)
    )
    return reaching_back(committed, offsets)


def _ahead_of(committed: TaskProgress, offsets: Mapping[str, int]) -> dict[str, str]:
    """By stream from where to where; the end is what the task had read."""
    return {name: f"{begin} to {committed.inputs[name].next_offset}" for name, begin in offsets.items()}


def _unkept(number: int, gone: Mapping[str, int], pipeline: Pipeline) -> str:
    begins = ", ".join(f"{source} begins at offset {low}" for source, low in gone.items())
    return (
        f"task {number} of group {pipeline.settings.pipeline.prefix}: the changed rule needs older rows than "
        f"the log has ({begins}), and the last rows that are kept beside it are of no use to this rule; set "
        f"the rule back, or {anew(pipeline.settings)}"
    )
