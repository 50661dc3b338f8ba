"""What a task knows at the end of a day, in a file, so that the next day goes on from there.

The file is an Arrow stream of entries (key, value), as the operator's snapshots gave them; its metadata says
how far the task has come.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from app.errors import RunError
from operators.entries import SnapshotError
from operators.hashing.parity import Parity
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import plan_resume
from operators.operator import Operator

ENTRIES: Final = pa.schema([("key", pa.binary()), ("value", pa.binary())])
FIELDS: Final = b"tidemark.end"


@dataclass
class EndState:
    """Where a task stands between two days.

    `progress`  how far it has come.
    `entries`   all that its snapshots wrote so far.
    `offsets`   by stream where the topic of its partition ends.
    `parities`  by output that of all its rows so far.
    """

    progress: TaskProgress
    entries: dict[bytes, bytes] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    parities: dict[str, Parity] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the file, which has equal bytes where the state is equal."""
        fields = {
            "progress": _progress_fields(self.progress),
            "offsets": self.offsets,
            "parities": {name: str(parity) for name, parity in self.parities.items()},
        }
        schema = ENTRIES.with_metadata({FIELDS: json.dumps(fields, sort_keys=True).encode()})
        pairs = sorted(self.entries.items())
        columns = [pa.array([pair[part] for pair in pairs], pa.binary()) for part in (0, 1)]
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))

    @classmethod
    def read(cls, path: Path) -> "EndState":
        """Read a file; raises RunError where it is none, or not whole."""
        try:
            with pa.OSFile(str(path), "rb") as file:
                table = pa.ipc.open_stream(file).read_all()
            fields: dict[str, Any] = json.loads(table.schema.metadata[FIELDS])
            keys, values = (table.column(name).to_pylist() for name in ENTRIES.names)
            return cls(
                progress=_progress_of(fields["progress"]),
                entries=dict(zip(keys, values, strict=True)),
                offsets={name: int(offset) for name, offset in fields["offsets"].items()},
                parities={name: Parity.parse(text) for name, text in fields["parities"].items()},
            )
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as broken:
            raise RunError(
                f"{path} cannot be read ({broken}): delete {path.parents[1]} and run the backfill again"
            ) from None

    def hand_over(self, operator: Operator) -> None:
        """Let a new operator go on from here; raises RunError where it cannot."""
        next_offsets = {name: one.next_offset for name, one in self.progress.inputs.items()}
        try:
            operator.restore(self.entries.items())
            operator.resume(plan_resume(self.progress, next_offsets, {}))
        except SnapshotError as unusable:
            raise RunError(f"what a task knew at the end of a day cannot be taken up: {unusable}") from None
        assert operator.caught_up, "an end of a day has all that it stands for"

    def take_over(self, operator: Operator) -> None:
        """Note where the operator stands now, and what has changed in what it knows."""
        snapshot = operator.snapshot()
        self.progress = operator.progress()
        self.entries.update(snapshot.puts)
        for key in snapshot.deletes:
            self.entries.pop(key, None)


def _progress_fields(progress: TaskProgress) -> dict[str, Any]:
    return {
        "frontier_ns": progress.frontier_ns,
        "inputs": {
            name: {
                "needed_offset": one.needed_offset,
                "next_offset": one.next_offset,
                "watermark_ns": one.watermark_ns,
                "final": one.final,
                "late": [list(row) for row in one.late],
                "late_from": one.late_from,
            }
            for name, one in progress.inputs.items()
        },
        "through": {name: list(place) for name, place in progress.through.items()},
        "final": progress.final,
    }


def _progress_of(fields: Mapping[str, Any]) -> TaskProgress:
    inputs = {
        name: InputProgress(**{**one, "late": tuple((offset, index) for offset, index in one["late"])})
        for name, one in fields["inputs"].items()
    }
    through = {}
    for name, place in fields["through"].items():
        time_ns, sequence, offset, index = map(int, place)
        through[name] = (time_ns, sequence, offset, index)
    return TaskProgress(
        frontier_ns=int(fields["frontier_ns"]), inputs=inputs, through=through, final=bool(fields["final"])
    )
