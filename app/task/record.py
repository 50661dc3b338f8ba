"""The record of a task: what it has to know of its outputs besides the aligned topic, to go on with them.

It lies in the task's partition of `<prefix>.tasks`, a compacted topic, and is written in the transaction that
commits the offsets.  What concerns the inputs and the join rides in the offsets' own metadata.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.errors import RunError
from operators.hashing.parity import Parity
from schemas.json_text import read_json

VERSION: Final = 1
KEY: Final = b"task"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """What the commit says of a task's outputs.

    `next_offsets` are, by stream, those of the commit that it belongs to.  `parities` are, by output, those
    of all rows sent.
    """

    next_offsets: Mapping[str, int]
    parities: Mapping[str, Parity]


def encode_record(record: TaskRecord) -> bytes:
    """The record as the value of a message."""
    fields = {
        "v": VERSION,
        "next_offsets": dict(record.next_offsets),
        "outputs": {name: {"parity": str(parity)} for name, parity in record.parities.items()},
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def decode_record(value: bytes, where: str) -> TaskRecord:
    """Read a record; keys this version does not know are passed over.  Raises RunError naming the place."""
    try:
        fields = read_json(value)
        version = int(fields["v"])
        if version > VERSION:
            raise RunError(
                f"{where}: the task's record is of version {version}, this program reads {VERSION}: a newer "
                "worker wrote it; update this one, or choose another pipeline.prefix"
            )
        return TaskRecord(
            next_offsets={str(name): int(offset) for name, offset in fields["next_offsets"].items()},
            parities={str(name): Parity.parse(one["parity"]) for name, one in fields["outputs"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError) as foreign:
        raise RunError(
            f"{where}: the task's record was not written by this program ({type(foreign).__name__}: "
            f"{foreign}): something else writes to that topic; choose another pipeline.prefix"
        ) from None
