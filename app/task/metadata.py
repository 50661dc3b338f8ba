"""What rides in a committed offset's metadata: enough to go on exactly where sealing stood."""

import json
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from typing import Any, Final

from app.errors import RunError
from app.task.places import decode_places, encode_places
from operators.hashing.parity import Parity
from operators.inputs.progress import InputProgress
from topics.bus import Position

VERSION: Final = 3
METADATA_SIZE_MAX: Final = 4_000  # bytes; a broker takes 4,095 unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a worker says of an input for people to read; nothing is decided by it.

    `rows` and `size` (bytes) wait for the frontier; `paused` says that the buffer is at its limit.
    `newest_ns` is the newest row time read, `read_ns` the worker's clock when a row came last, `moved_ns`
    when the frontier rose last, `told_ns` when anything was read last: 0 where the worker has not seen it.
    `late` rows of this input and `dead` rows of the task count from when the worker took the task.
    """

    rows: int = 0
    size: int = 0
    paused: bool = False
    newest_ns: int = 0
    read_ns: int = 0
    moved_ns: int = 0
    told_ns: int = 0
    late: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """What a committed offset says: of its input, and of the task as a whole.

    `parity` is that of the rows sealed so far; `told` is for people, None where there was no room for it.
    `complete` says that every input had read its final record and no row waited: the period is done.
    """

    progress: InputProgress
    frontier_ns: int
    parity: Parity = field(default_factory=Parity)
    told: Told | None = None
    complete: bool = False


def to_position(committed: Committed) -> Position:
    """The restart offset of one input, with what came after it in the metadata (about 400 bytes of 4 KB).

    Where the late rows are too many, `told` goes first; then the oldest are left out and `late_from` says up
    to where: a restart that reads from before it finds them in the late topic.
    """
    metadata = _metadata(committed)
    while committed.progress.late and len(metadata) > METADATA_SIZE_MAX:
        if committed.told is not None:
            committed = replace(committed, told=None)
        else:
            committed = replace(committed, progress=_without_oldest(committed.progress))
        metadata = _metadata(committed)
    return Position(committed.progress.needed_offset, metadata)


def from_position(position: Position, where: str) -> Committed:
    """Read a position back; raises RunError where something else committed this offset."""
    try:
        fields = json.loads(position.metadata)
        version = fields.pop("v")
        if version != VERSION:
            raise ValueError(f"version {version}, expected {VERSION}")
        told = fields.pop("told", None)
        return Committed(
            frontier_ns=int(fields.pop("frontier_ns")),
            parity=Parity.parse(fields.pop("parity")),
            complete=bool(fields.pop("complete")),
            told=None if told is None else Told(**told),
            progress=_progress(position.offset, fields),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the committed offset {position.offset} was not written by this program ({foreign}); "
            "another consumer shares the group, or another version wrote it: choose another pipeline.prefix "
            "or delete the group"
        ) from None


def _progress(needed_offset: int, fields: dict[str, Any]) -> InputProgress:
    late = decode_places(fields.pop("late"))
    through = fields.pop("sealed_through")
    if through is not None:
        time_ns, sequence, offset, index = map(int, through)
        through = (time_ns, sequence, offset, index)
    return InputProgress(needed_offset=needed_offset, late=late, sealed_through=through, **fields)


def _without_oldest(progress: InputProgress) -> InputProgress:
    last_left_out = progress.late[len(progress.late) // 2][0]
    kept = tuple(row for row in progress.late if row[0] > last_left_out)
    return replace(progress, late=kept, late_from=max(progress.late_from, last_left_out + 1))


def _metadata(committed: Committed) -> str:
    fields: dict[str, Any] = {
        "v": VERSION,
        "frontier_ns": committed.frontier_ns,
        "parity": str(committed.parity),
        "complete": committed.complete,
        **_fields(committed.progress),
        "late": encode_places(committed.progress.late),
    }
    del fields["needed_offset"]
    if committed.told is not None:
        fields["told"] = _fields(committed.told)
    return json.dumps(fields, separators=(",", ":"))


def _fields(told: InputProgress | Told) -> dict[str, Any]:
    """The fields of a flat dataclass; `asdict` would copy what is in them, and take longer than all else."""
    return {one.name: getattr(told, one.name) for one in fields_of(told)}
