"""What rides in a committed offset's metadata: enough to go on exactly where sealing stood."""

import json
from dataclasses import asdict, replace
from typing import Final

from app.errors import RunError
from app.late_places import decode_places, encode_places
from operators.operator import InputProgress
from topics.bus import Position

VERSION: Final = 2
METADATA_SIZE_MAX: Final = 4_000  # bytes; a broker takes 4,095 unless told otherwise


def to_position(progress: InputProgress, frontier_ns: int) -> Position:
    """The restart offset of one input, with what came after it in the metadata (about 250 bytes of 4 KB).

    Where the late rows are too many for the rest of it, the oldest are left out and `late_from` says up to
    where: a restart that reads from before it finds them in the late topic.
    """
    metadata = _metadata(progress, frontier_ns)
    while progress.late and len(metadata) > METADATA_SIZE_MAX:
        last_left_out = progress.late[len(progress.late) // 2][0]
        kept = tuple(row for row in progress.late if row[0] > last_left_out)
        progress = replace(progress, late=kept, late_from=max(progress.late_from, last_left_out + 1))
        metadata = _metadata(progress, frontier_ns)
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
        through = fields.pop("sealed_through")
        if through is not None:
            time_ns, sequence, offset, index = map(int, through)
            through = (time_ns, sequence, offset, index)
        progress = InputProgress(needed_offset=position.offset, late=late, sealed_through=through, **fields)
        return progress, frontier_ns
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the committed offset {position.offset} was not written by this program ({foreign}); "
            "another consumer shares the group, or another version wrote it: choose another pipeline.prefix "
            "or delete the group"
        ) from None


def _metadata(progress: InputProgress, frontier_ns: int) -> str:
    fields = asdict(progress)
    del fields["needed_offset"]
    fields["late"] = encode_places(progress.late)
    return json.dumps({"v": VERSION, "frontier_ns": frontier_ns, **fields})
