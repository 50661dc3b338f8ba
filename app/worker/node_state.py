"""What nodes remembered at some earlier commit, given back where local state is lost."""

import structlog

from app.errors import RunError
from app.process.failpoints import RECALL, reach
from app.process.meter import Meter
from app.reading.last_known import kept_entries
from app.wiring.pipeline import Pipeline
from operators.entries import SnapshotError
from operators.inputs.progress import RowPlace
from operators.operator import Nodes
from topics.catalogue import STATE

log = structlog.get_logger()


def recall_nodes(
    pipeline: Pipeline,
    number: int,
    nodes: Nodes,
    through: RowPlace | None,
    *,
    group: str,
    meter: Meter,
) -> None:
    """Give the nodes of a task back what they remembered; `through` is the last row that was committed.

    Raises RunError where the topic has entries of somebody else, or of rows that no commit has sealed.
    """
    what = f"what nodes of partition {number} remember"
    entries = kept_entries(pipeline, STATE, number, group=group, meter=meter, what=what)
    reach(RECALL)
    try:
        nodes.recall(entries.items(), through)
    except SnapshotError as unusable:
        raise RunError(
            f"{pipeline.settings.topic(STATE)}[{number}]: {unusable}. Begin anew: `python -m app reset`, or "
            "choose another pipeline.prefix"
        ) from None
    log.info("state of nodes read back", partition=number, entries=len(entries))
