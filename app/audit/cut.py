"""The cut: where a task stood at a commit, so that a pipeline can run on while it is audited.

A commit makes rows and offsets true at once, so it says of every row what was done with it by then: messages
below an input's next offset were read, left rows up to a place were sealed, and what was late is in the late
topic.  What has happened since is not judged: the next audit has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from app.audit.retained import stands_before
from app.errors import RunError
from app.process.clock import pause
from app.reading.partition import wait_settled
from app.task.metadata import Committed
from app.wiring.logs import read_positions, require_same_logs
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity
from operators.inputs.progress import RowPlace
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS
from topics.block import TopicPartition

TRIES_MAX: Final = 20
AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What one commit of a task says.

    `next_offsets` are by stream: messages below were read.  Left rows up to `through` were sealed, none where
    it is None.  `frontier_ns` is the frontier.  `complete`: every input had ended, and no row waited.
    `parity` is that of the joined rows sealed by then, `rule` the text of the rule they were sealed by.
    """

    frontier_ns: int
    next_offsets: Mapping[str, int]
    through: RowPlace | None
    complete: bool
    parity: Parity = field(default_factory=Parity)
    rule: str = ""

    def sealed(self, order: Sequence[str]) -> pl.Expr:
        """Whether a row stands at or before the last one sealed; `order` are the columns of its place."""
        if self.through is None:
            return pl.col(order[0]).is_null()  # no time is
        # Without a sequence all rows have the same, and no column of it.
        through = self.through if len(order) == len(self.through) else (self.through[0], *self.through[2:])
        return stands_before(order, through, or_there=True)

    def among(self, rows: pl.DataFrame, order: Sequence[str]) -> pl.Series:
        """Which of these rows stand at or before the last one sealed."""
        return rows.select(self.sealed(order).alias("sealed").fill_null(value=False))["sealed"]

    def since(self, on: str) -> pl.Expr:
        """Whether rows behind all those sealed may have been sealed since; `on` is the time column."""
        return pl.col(on).is_not_null() if self.through is None else pl.col(on) >= self.through[0]

    def due(self, order: Sequence[str], hold_ns: int) -> pl.Expr:
        """Whether an accepted left row must have been sealed, where a match may lie `hold_ns` ahead of it."""
        if self.complete:
            return pl.col(order[0]).is_not_null()
        upper_ns = max(self.frontier_ns - hold_ns, BEGINNING_NS)
        return self.sealed(order) | (pl.col(order[0]) < upper_ns)


def read_cuts(pipeline: Pipeline) -> dict[int, Cut]:
    """The newest commit of each task, once all that it made true can be read; tasks without one have no cut.

    Raises RunError where something else commits to the group or offsets count in topics that are no more, and
    BusUnavailableError where a transaction stays open.
    """
    settings, admin = pipeline.settings, pipeline.bus.admin()
    logs = pipeline.log_ids()
    for _ in range(TRIES_MAX):
        positions = admin.group(settings.pipeline.prefix).committed
        cuts: dict[int, Cut] = {}
        torn: list[int] = []
        for number in range(settings.bus.partitions):
            sources = [TopicPartition(topic, number) for topic in pipeline.input_topics]
            committed = read_positions(sources, positions)
            whole = {
                pipeline.input_topics[source.topic]: one
                for source, one in committed.items()
                if one is not None
            }
            if len(whole) < len(sources):
                continue
            require_same_logs(committed, logs, settings)
            cut = _cut_of(whole)
            if cut is None:
                torn.append(number)
            else:
                cuts[number] = cut
        if not torn:
            break
        pause(AGAIN_S)
    else:
        raise RunError(
            f"partition {torn[0]}: the committed offsets of its inputs are of two commits: something else "
            "commits to the group, or offsets were set by hand"
        )
    outputs = [settings.topic(name) for name in (ALIGNED, "late", "dead", *settings.node_outputs)]
    wait_settled(pipeline.bus, [TopicPartition(topic, number) for number in cuts for topic in outputs])
    return cuts


def _cut_of(committed: Mapping[str, Committed]) -> Cut | None:
    """The cut of a task's inputs, by stream; None where they are not of one commit."""
    if len({(one.frontier_ns, one.through, one.parity, one.complete) for one in committed.values()}) > 1:
        return None
    one = next(iter(committed.values()))
    return Cut(
        frontier_ns=one.frontier_ns,
        next_offsets={stream: told.progress.next_offset for stream, told in committed.items()},
        through=one.through,
        complete=one.complete,
        parity=one.parity,
        rule=one.rule,
    )
