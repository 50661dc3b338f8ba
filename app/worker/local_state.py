"""The local state of a task as it is opened: in a folder that nobody else holds, or wiped and rebuilt."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from app.wiring.pipeline import Pipeline
from operators.entries import SnapshotError
from operators.operator import Operator
from state.errors import StateLockedError
from state.restore import Restored, restore
from state.store import TaskStore
from topics.block import TopicPartition

log = structlog.get_logger()

FOLDERS_MAX = 10  # for the state of one task, the others held by processes that hang


def restored(
    pipeline: Pipeline,
    number: int,
    identity: str,
    committed: Mapping[str, int],
    offsets_of: Callable[[TopicPartition], tuple[int, int]],
) -> tuple[Restored, Operator]:
    """The task's local state and its operator; state that cannot be taken up is wiped and rebuilt.

    `committed` are the next offsets by stream; `offsets_of` asks for the first offset of a log and its end.
    """
    path, state = _unlocked(pipeline, number, identity, committed)
    operator = pipeline.operator()
    if state.checkpoint is None:
        return state, operator
    try:
        for topic, stream in pipeline.input_topics.items():
            low, _ = offsets_of(TopicPartition(topic, number))
            if (begin := state.checkpoint.next_offsets[stream]) < low:
                raise SnapshotError(f"it goes on at offset {begin} of {topic}, which now begins at {low}")
        operator.restore(state.entries)
    except SnapshotError as unusable:
        log.warning("local state wiped and rebuilt", path=str(path), reason=str(unusable))
        state.store.close()
        TaskStore.destroy(path)
        fresh = restore(path, identity, committed)
        return replace(fresh, reason=f"wiped and rebuilt: {unusable}"), pipeline.operator()
    return state, operator


def _unlocked(
    pipeline: Pipeline, number: int, identity: str, committed: Mapping[str, int]
) -> tuple[Path, Restored]:
    """The state in the first folder that no other process holds.

    The last owner of one may hang, and hold it for ever.  Offsets say what any folder's state is worth.
    """
    path = pipeline.state_path(number)
    slot = pipeline.settings.worker.slot
    others = (f"{path.name}-{slot}", *(f"{path.name}-{slot}-{n}" for n in range(2, FOLDERS_MAX)))
    for instead in others:
        try:
            return path, restore(path, identity, committed)
        except StateLockedError as locked:
            path = path.with_name(instead)
            log.warning("local state is held by another worker", instead=str(path), reason=str(locked))
    return path, restore(path, identity, committed)
