"""Outputs whose columns change: what their last frame has, against what the settings make."""

from typing import NamedTuple

from app.reading.last_frame import last_frame
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED


class ColumnsChange(NamedTuple):
    """An output whose frames have other columns from a commit on, or which begins there.

    `changed`  columns that have another type.
    `begins`   there is no frame of it yet.
    """

    output: str
    topic: str
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    begins: bool = False

    def words(self) -> str:
        """What changes, in words."""
        if self.begins:
            return "begins"
        parts = [("+ ", self.added), ("- ", self.gone), ("other type: ", self.changed)]
        words = "; ".join(f"{sign}{', '.join(names)}" for sign, names in parts if names)
        return words or "the order of columns"


def columns_changes(pipeline: Pipeline, partition: int, *, group: str) -> list[ColumnsChange]:
    """The outputs of frames whose columns change in a partition; `group` only names the reader.

    A topic that is not there yet is an output that begins.
    """
    sinks = {name: sink for name, sink in pipeline.sinks(partition).items() if sink.form == "frame"}
    there = pipeline.bus.admin().describe([sink.topic for sink in sinks.values()])
    changes = []
    for name, sink in sinks.items():
        known = there[sink.topic] is not None
        last = last_frame(pipeline, sink.topic, partition, group=group) if known else None
        if last is None:
            changes += [ColumnsChange(name, sink.topic, begins=True)] if name != ALIGNED else []
            continue
        before = {field.name: field.type for field in last.schema}
        after = {field.name: field.type for field in sink.schema}
        if list(before.items()) == list(after.items()):
            continue
        both = [column for column in after if column in before]
        changes.append(
            ColumnsChange(
                name,
                sink.topic,
                added=tuple(column for column in after if column not in before),
                gone=tuple(column for column in before if column not in after),
                changed=tuple(
                    column for column in after if column in both and before[column] != after[column]
                ),
            )
        )
    return changes
