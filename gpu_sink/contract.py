"""The frame layout, restated: all that this library and the worker share is what lies on the wire.

A message of the aligned topic is a frame: its value is a self-contained Arrow IPC stream with one batch of
rows, its headers are ASCII text.  The worker's own words for it are in `schemas/frame.py`; a contract test
keeps the two alike.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

LAYOUT: Final = "tidemark-layout"
FRONTIER: Final = "tidemark-frontier-ns"
ROWS: Final = "tidemark-rows"
RELEASED: Final = "tidemark-released-ns"
SEALED: Final = "tidemark-sealed-ns"
NEWEST: Final = "tidemark-newest-ns"
PARITY: Final = "tidemark-parity"
ASSUMED: Final = "tidemark-assumed-rows"
VERSION: Final = "tidemark-frame"

FRAME_VERSION: Final = 1  # the frames this library reads; those of workers that name none are of version 1

# Which left row an output row came from: partition offset (int64) and place in the message (int32).
LEFT_OFFSET: Final = "left_offset"
LEFT_INDEX: Final = "left_index"

# In the metadata of a column: its role, and that of one that is made of later rows.
ROLE: Final = b"tidemark-role"
LABEL: Final = b"label"

Headers = Sequence[tuple[str, bytes | None]]

_DIGITS_MAX: Final = 19  # of an int64
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}")  # int() would take `1_0` and ` 7` too


class FrameError(ValueError):
    """A message is not a frame, or not of the expected layout; names topic, partition and offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeaders:
    """What a frame says of itself.

    `layout`       16 hex digits, the fingerprint of its columns: names, types, nullability, order.
    `complete_ns`  every row of the partition below it is in this frame or an earlier one.
    `rows`         the number of rows.
    `released_ns`  the worker's clock when it had read the message that let these rows be sealed.
    `sealed_ns`    the worker's clock when the frame was handed to the producer.
    `newest_ns`    newest time read on any input so far; less `complete_ns` it says how far sealing trails the
                   market.
    `parity`       the rolling hash of all rows of the partition up to and with this frame, equal for a live
                   day and its replay; empty in frames from before there was one.
    `assumed_rows` how many of the rows, the last ones, were sealed because an input had been silent for so
                   long that the worker stopped waiting for it.  Frames without such a header say 0.
    """

    layout: str
    complete_ns: int
    rows: int
    released_ns: int
    sealed_ns: int
    newest_ns: int
    parity: str = ""
    assumed_rows: int = 0

    @property
    def frontier_ns(self) -> int:
        """`complete_ns` under the name of its header."""
        return self.complete_ns

    @property
    def rows_before(self) -> int | None:
        """How many rows the partition had before this frame, as its parity counts them; None without one."""
        return int(self.parity.partition("-")[0]) - self.rows if self.parity else None


def read_headers(headers: Headers) -> FrameHeaders:
    """Read the headers of a message; raises FrameError naming the one that is missing or malformed."""
    values = {ASSUMED: b"0"} | dict(headers)
    version = values.get(VERSION) or str(FRAME_VERSION).encode()
    if version != str(FRAME_VERSION).encode():
        raise FrameError(
            f"a frame of version {version.decode(errors='replace')}, this library reads version "
            f"{FRAME_VERSION}: install the tidemark-gpu-sink that came with the worker"
        )
    numbers = {name: _int64(values, name) for name in (FRONTIER, ROWS, RELEASED, SEALED, NEWEST, ASSUMED)}
    parity = _text(values, PARITY) if values.get(PARITY) is not None else ""
    rows = parity.partition("-")[0]
    if parity and not (rows.isdecimal() and len(rows) <= _DIGITS_MAX and int(rows) < 2**63):
        raise FrameError(f"not a frame: header {PARITY} is {parity!r}, not ROWS-HASH")
    return FrameHeaders(
        layout=_text(values, LAYOUT),
        complete_ns=numbers[FRONTIER],
        rows=numbers[ROWS],
        released_ns=numbers[RELEASED],
        sealed_ns=numbers[SEALED],
        newest_ns=numbers[NEWEST],
        parity=parity,
        assumed_rows=numbers[ASSUMED],
    )


def _int64(values: dict[str, bytes | None], name: str) -> int:
    """The whole number of a header, in digits of ASCII."""
    text = _text(values, name)
    if not _NUMBER.fullmatch(text):
        raise FrameError(f"not a frame: header {name} is {text!r}, not a number")
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise FrameError(f"not a frame: header {name} is {text!r}, which is beyond int64")
    return number


def layout_fingerprint(schema: pa.Schema) -> str:
    """Return 16 hex digits that are equal for equal columns: names, types, nullability and order."""
    lines = [f"{field.name}:{field.type}:{'null' if field.nullable else 'value'}" for field in schema]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def is_label(field: pa.Field) -> bool:
    """Whether a column is made of later rows: a model is trained on it, and never given it."""
    return (field.metadata or {}).get(ROLE) == LABEL


def _text(values: dict[str, bytes | None], name: str) -> str:
    value = values.get(name)
    if value is None:
        raise FrameError(f"not a frame: header {name} is missing")
    if not value.isascii():
        raise FrameError(f"not a frame: header {name} is {value!r}, not ASCII text")
    return value.decode()
