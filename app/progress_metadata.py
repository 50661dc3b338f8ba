"""What rides in a committed offset's metadata: enough to go on exactly where sealing stood."""

import json
from dataclasses import asdict, replace
from typing import Final, NamedTuple

from app.errors import RunError
from app.late_places import decode_places, encode_places
from operators.operator import InputProgress
from operators.parity import Parity
from topics.bus import Position

VERSION: Final = 2
METADATA_SIZE_MAX: Final = 4_000  # bytes; a broker takes 4,095 unless told otherwise


class Committed(NamedTuple):
    """What a committed offset says: of its input, and of the task as a whole."""

    progress: InputProgress
    frontier_ns: int
    parity: Parity


def to_position(progress: InputProgress, frontier_ns: int, parity: Parity) -> Position:
    """The restart offset of one input, with what came after it in the metadata (about 200 bytes of 4 KB).

    Where the late rows are too many for the rest of it, the oldest are left out and `late_from` says up to
    where: a restart that reads from before it finds them in the late topic.
    """
    metadata = _metadata(progress, frontier_ns, parity)
    while progress.late and len(metadata) > METADATA_SIZE_MAX:
        last_left_out = progress.late[len(progress.late) // 2][0]
        kept = tuple(row for row in progress.late if row[0] > last_left_out)
        progress = replace(progress, late=kept, late_from=max(progress.late_from, last_left_out + 1))
        metadata = _metadata(progress, frontier_ns, parity)
    return Position(progress.needed_offset, metadata)


def from_position(position: Position, where: str) -> Committed:
    """Read it back; raises RunError where something else committed this offset."""
    try:
        fields = json.loads(position.metadata)
        version = fields.pop("v")
        frontier_ns = int(fields.pop("frontier_ns"))
        if version != VERSION:
            raise ValueError(f"version {version}, expected {VERSION}")
        parity = Parity.parse(fields.pop("parity"))
        late = decode_places(fields.pop("late"))
        return Committed(
            InputProgress(needed_offset=position.offset, late=late, **fields), frontier_ns, parity
        )
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the committed offset {position.offset} was not written by this program ({foreign}); "
            "another consumer shares the group, or another version wrote it: choose another pipeline.prefix "
            "or delete the group"
        ) from None


def _metadata(progress: InputProgress, frontier_ns: int, parity: Parity) -> str:
    fields = asdict(progress)
    del fields["needed_offset"]
    fields["late"] = encode_places(progress.late)
    return json.dumps({"v": VERSION, "frontier_ns": frontier_ns, "parity": str(parity), **fields})
