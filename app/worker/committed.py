"""What the committed offsets of a task say together."""

from collections.abc import Mapping

from app.task.metadata import Committed
from operators.inputs.progress import TaskProgress
from operators.sealed import ALIGNED


def task_progress(committed_by: Mapping[str, Committed]) -> tuple[TaskProgress, Committed]:
    """The progress of a task, from what is committed by stream; the newest commit says what they share."""
    newest = max(committed_by.values(), key=lambda committed: committed.frontier_ns)
    places = [one.through for one in committed_by.values() if one.through is not None]
    progress = TaskProgress(
        frontier_ns=newest.frontier_ns,
        inputs={stream: committed.progress for stream, committed in committed_by.items()},
        through={ALIGNED: max(places)} if places else {},
        final=newest.complete,
    )
    return progress, newest
