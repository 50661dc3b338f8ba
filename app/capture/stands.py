"""Where a task stands at a commit, with all that its outputs had by then: one end of a captured span."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.audit.cut import Cut, read_cuts
from app.errors import RunError
from app.process.clock import pause
from app.reading.partition import read_partition
from app.task.record import KEY, TaskRecord, decode_record
from app.wiring.pipeline import Pipeline
from operators.graph.stream_root import stream_place
from operators.hashing.parity import Parity
from operators.inputs.progress import FIRST, RowPlace
from operators.sealed import ALIGNED
from schemas.clocks import BEGINNING_NS
from topics.block import TopicPartition
from topics.catalogue import TASKS

TRIES_MAX: Final = 40
AGAIN_S: Final = 0.1


@dataclass(frozen=True)
class Stand:
    """A commit of a task.

    `frontier_ns`   rows of streams below it were sealed.
    `through`       the place of the last joined row that was sealed; `FIRST` where none was.
    `parities`      by output those of all rows sent: of `aligned`, and of each node with a topic.
    `next_offsets`  by stream: messages below were read.
    `rule`          the rule that the rows were made by; empty where none was.
    """

    frontier_ns: int = BEGINNING_NS
    through: RowPlace = FIRST
    parities: Mapping[str, Parity] = field(default_factory=dict)
    next_offsets: Mapping[str, int] = field(default_factory=dict)
    rule: str = ""

    def places(self, roots: Sequence[str]) -> dict[str, RowPlace]:
        """By root the place of the last row that was sealed."""
        return {root: self.through if root == ALIGNED else stream_place(self.frontier_ns) for root in roots}

    def parity(self, output: str) -> Parity:
        """That of an output, before its first row the empty one."""
        return self.parities.get(output, Parity())

    def to_json(self) -> dict[str, Any]:
        """As a capture writes it down."""
        return {
            "frontier_ns": self.frontier_ns,
            "through": list(self.through),
            "parities": {name: str(parity) for name, parity in self.parities.items()},
            "next_offsets": dict(self.next_offsets),
            "rule": self.rule,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Stand":
        """Read what `to_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        time_ns, sequence, offset, index = map(int, fields["through"])
        return cls(
            int(fields["frontier_ns"]),
            (time_ns, sequence, offset, index),
            {name: Parity.parse(text) for name, text in fields["parities"].items()},
            {name: int(offset) for name, offset in fields["next_offsets"].items()},
            str(fields["rule"]),
        )


def read_stands(pipeline: Pipeline) -> dict[int, Stand]:
    """Where each task stands now; a task without a commit stands at its beginning.

    All that these commits made true can be read from then on.  Raises what `read_cuts` raises, and RunError
    where a task's record of its outputs is not to be had.
    """
    numbers = range(pipeline.settings.bus.partitions)
    if not pipeline.settings.node_outputs:
        cuts = read_cuts(pipeline)
        return {number: _stand(cuts.get(number), None) for number in numbers}
    stands: dict[int, Stand] = {}
    before: dict[int, Cut] = {}
    for _ in range(TRIES_MAX):
        cuts = read_cuts(pipeline)
        for number in numbers:
            cut = cuts.get(number)
            if number in stands:
                continue
            if cut is None:
                stands[number] = Stand()
                continue
            records = _records(pipeline, number, cut)
            sure = len({str(one.parities) for one in records}) == 1 or before.get(number) == cut
            if records and sure:
                stands[number] = _stand(cut, records[-1])
            before[number] = cut
        if len(stands) == len(numbers):
            return stands
        pause(AGAIN_S)
    number = next(number for number in numbers if number not in stands)
    raise RunError(
        f"{pipeline.settings.topic(TASKS)}[{number}] has no record of the newest commit of its task: try "
        "again once the worker has committed"
    )


def _stand(cut: Cut | None, record: TaskRecord | None) -> Stand:
    if cut is None:
        return Stand()
    of_nodes = {} if record is None else record.parities
    return Stand(
        frontier_ns=cut.frontier_ns,
        through=FIRST if cut.through is None else cut.through,
        parities={ALIGNED: cut.parity, **of_nodes},
        next_offsets=cut.next_offsets,
        rule=cut.rule,
    )


def _records(pipeline: Pipeline, number: int, cut: Cut) -> list[TaskRecord]:
    """The records of a task that belong to these offsets, oldest first.

    An input that is left out lets the frontier move while no offset does, so there may be several.
    """
    source = TopicPartition(pipeline.settings.topic(TASKS), number)
    records = []
    for block in read_partition(pipeline.bus, source, group=f"{pipeline.settings.pipeline.prefix}-capture"):
        for message in range(block.messages):
            original = block.originals[message]
            if original.key == KEY and original.value is not None:
                record = decode_record(original.value, f"{source.topic}[{number}]")
                if record.next_offsets == dict(cut.next_offsets):
                    records.append(record)
    return records
