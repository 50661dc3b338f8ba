"""Reads the kept state of a join back: entries to rows, checked, oldest offset first."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.entries import SnapshotError
from operators.join.settings import AsofSettings
from operators.join.snapshot_format import (
    HEADER_KEY,
    LEFT_KEY,
    RIGHT_KEY,
    Header,
    decode_header,
    left_schema,
    right_schema,
)
from operators.rows.kept import CONTROL, KeyedRows, by_offset, open_value, unpacked
from operators.sealed import Entries
from schemas.batch import Batch
from schemas.stream import Stream


@dataclass(frozen=True, slots=True)
class KeptState:
    """All rows of a snapshot: waiting left rows, and per right stream those that may still match."""

    header: Header
    left: Batch
    rights: list[Batch]


def read_state(settings: AsofSettings, entries: Entries) -> KeptState:
    """Return the state the entries hold; raises SnapshotError where one is damaged or missing."""
    held = dict(entries)
    for key in (HEADER_KEY, LEFT_KEY):
        if key not in held:
            raise SnapshotError(
                f"the state has {len(held)} entries but not {key!r}: it was not written whole"
            )
    header = decode_header(held.pop(HEADER_KEY))
    left = KeyedRows(left_schema(settings.left)).read(LEFT_KEY, held.pop(LEFT_KEY))
    by_right: list[dict[bytes, bytes]] = [{} for _ in settings.rights]
    for key, value in held.items():
        if key[:1] != RIGHT_KEY or len(key) < 2 or key[1] >= len(by_right):
            raise SnapshotError(f"the state has an entry {key!r} that this join does not write")
        by_right[key[1]][key[2:]] = open_value(key, value)
    counts = [len(values) for values in by_right]
    if counts != header.groups:
        raise SnapshotError(
            f"the state should have {header.groups} groups and has {counts}: entries are lost"
        )
    rights = [right_rows(settings, settings.rights[place], values) for place, values in enumerate(by_right)]
    return KeptState(header, left, rights)


def right_rows(settings: AsofSettings, right: Stream, values: dict[bytes, bytes]) -> Batch:
    """The rows of many groups of a right stream, oldest offset first, from packed rows by group key.

    Raises SnapshotError where a value is not what was packed.
    """
    rows, counts = unpacked(RIGHT_KEY, right_schema(settings, right), list(values.values()))
    key_code = np.repeat(np.arange(len(values), dtype=np.int32), counts)
    return by_offset(rows, len(CONTROL), key_code, pa.array(list(values), pa.binary()))
