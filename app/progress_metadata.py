"""What rides in a committed offset's metadata: enough to go on exactly where sealing stood."""

import json
from dataclasses import asdict

from app.errors import RunError
from operators.operator import InputProgress
from topics.bus import Position

VERSION = 1


def to_position(progress: InputProgress, frontier_ns: int) -> Position:
    """The restart offset of one input, with what came after it in the metadata (about 150 bytes of 4 KB)."""
    fields = asdict(progress)
    offset = fields.pop("needed_offset")
    return Position(offset, json.dumps({"v": VERSION, "frontier_ns": frontier_ns, **fields}))


def from_position(position: Position, where: str) -> tuple[InputProgress, int]:
    """Return the progress and the frontier; raises RunError where something else committed this offset."""
    try:
        fields = json.loads(position.metadata)
        version = fields.pop("v")
        frontier_ns = int(fields.pop("frontier_ns"))
        if version != VERSION:
            raise ValueError(f"version {version}, expected {VERSION}")
        return InputProgress(needed_offset=position.offset, **fields), frontier_ns
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the committed offset {position.offset} was not written by this program ({foreign}); "
            "another consumer shares the group, or another version wrote it: choose another pipeline.prefix "
            "or delete the group"
        ) from None
