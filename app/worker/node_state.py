"""What nodes remembered at some earlier commit, given back where local state is lost."""

from collections.abc import Callable, Mapping

import structlog

from app.errors import RunError
from app.process.failpoints import RECALL, reach
from app.process.meter import Meter
from app.reading.last_known import kept_entries
from app.wiring.pipeline import Pipeline
from operators.entries import SnapshotError
from operators.inputs.marks import offset_before
from operators.inputs.progress import TaskProgress
from operators.inputs.resuming import reaching_back
from operators.operator import Nodes
from topics.block import TopicPartition
from topics.catalogue import STATE

log = structlog.get_logger()


def recall_nodes(
    pipeline: Pipeline,
    number: int,
    nodes: Nodes,
    committed: TaskProgress,
    *,
    group: str,
    meter: Meter,
) -> None:
    """Give the nodes of a task back what they remembered at the commit.

    Raises RunError where the topic has entries of somebody else, or of rows that no commit has sealed.
    """
    what = f"what nodes of partition {number} remember"
    entries = kept_entries(pipeline, STATE, number, group=group, meter=meter, what=what)
    reach(RECALL)
    try:
        nodes.recall(entries.items(), committed)
    except SnapshotError as unusable:
        raise RunError(
            f"{pipeline.settings.topic(STATE)}[{number}]: {unusable}. Begin anew: `python -m app reset`, or "
            "choose another pipeline.prefix"
        ) from None
    log.info("state of nodes read back", partition=number, entries=len(entries))


def needed_behind(committed: TaskProgress, kept_from: Mapping[str, int]) -> TaskProgress:
    """The progress of a task whose nodes have the rows of some streams below `kept_from`, by stream.

    They need those that follow, even where the commit does not: what it asks for goes with newer state of
    theirs, in the topic.
    """
    behind = {name: at for name, at in kept_from.items() if at < committed.inputs[name].needed_offset}
    return reaching_back(committed, behind) if behind else committed


def read_for_nodes(
    number: int,
    committed: TaskProgress,
    begins_ns: Mapping[str, int],
    pipeline: Pipeline,
    range_of: Callable[[TopicPartition], tuple[int, int]],
) -> TaskProgress:
    """The progress of a task, with the rows needed that nodes lack which start without state.

    `begins_ns` says by stream from which time on; `range_of` asks the log.  What the log no longer holds is
    said: those nodes begin with the rows that there are.
    """
    offsets: dict[str, int] = {}
    gone: dict[str, int] = {}
    for topic, name in pipeline.input_topics.items():
        if name not in begins_ns:
            continue
        low, _ = range_of(TopicPartition(topic, number))
        begin = offset_before(committed.inputs[name].marks, begins_ns[name]) or 0
        if low > begin:
            gone[f"{topic}[{number}]"] = low
        offsets[name] = max(begin, low)
    if not offsets:
        return committed
    if gone:
        log.warning(
            "the log no longer has all rows that nodes without state need: they begin with what is there",
            partition=number,
            log_begins=gone,
        )
    log.info("inputs are read again for nodes without state", partition=number, offsets=offsets)
    return reaching_back(committed, offsets)
