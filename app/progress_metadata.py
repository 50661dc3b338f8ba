"""What rides in a committed offset's metadata: enough to go on exactly where sealing stood."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Final

from app.errors import RunError
from app.late_places import decode_places, encode_places
from operators.operator import InputProgress
from topics.bus import Position

VERSION: Final = 1
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


def to_position(
    progress: InputProgress, frontier_ns: int, *, letters_next: int = 0, told: Told | None = None
) -> Position:
    """The restart offset of one input, with what came after it in the metadata (about 350 bytes of 4 KB).

    `letters_next` says below which offset the dead letters have been sent.  Where the late rows are too
    many, `told` goes first; then the oldest are left out and `late_from` says up to where: a restart that
    reads from before it finds them in the late topic.
    """
    metadata = _metadata(progress, frontier_ns, letters_next, told)
    while progress.late and len(metadata) > METADATA_SIZE_MAX:
        if told is None:
            last_left_out = progress.late[len(progress.late) // 2][0]
            kept = tuple(row for row in progress.late if row[0] > last_left_out)
            progress = replace(progress, late=kept, late_from=max(progress.late_from, last_left_out + 1))
        told = None
        metadata = _metadata(progress, frontier_ns, letters_next, told)
    return Position(progress.needed_offset, metadata)


def from_position(position: Position, where: str) -> tuple[InputProgress, int]:
    """Return the progress and the frontier; raises RunError where something else committed this offset."""
    try:
        fields = json.loads(position.metadata)
        version = fields.pop("v")
        frontier_ns = int(fields.pop("frontier_ns"))
        if version != VERSION:
            raise ValueError(f"version {version}, expected {VERSION}")
        late = decode_places(fields.pop("late"))
        fields.pop("letters_next", None)
        fields.pop("told", None)
        return InputProgress(needed_offset=position.offset, late=late, **fields), frontier_ns
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the committed offset {position.offset} was not written by this program ({foreign}); "
            "another consumer shares the group, or another version wrote it: choose another pipeline.prefix "
            "or delete the group"
        ) from None


def letters_next(position: Position | None) -> int:
    """Below which offset the dead letters of an input have been sent, of a position `from_position` takes."""
    return int(json.loads(position.metadata).get("letters_next", 0)) if position is not None else 0


def told_of(position: Position) -> Told | None:
    """What the worker told people in this commit, or None: there was no room, or an older version."""
    try:
        return Told(**json.loads(position.metadata)["told"])
    except (ValueError, TypeError, KeyError):
        return None


def _metadata(progress: InputProgress, frontier_ns: int, letters_next: int, told: Told | None) -> str:
    fields = asdict(progress)
    del fields["needed_offset"]
    fields["late"] = encode_places(progress.late)
    fields["letters_next"] = letters_next
    if told is not None:
        fields["told"] = asdict(told)
    return json.dumps({"v": VERSION, "frontier_ns": frontier_ns, **fields}, separators=(",", ":"))
