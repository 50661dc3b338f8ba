"""Messages that the kernel leaves: a key that stands twice, a hard number, or a value that does not fit.

Such a message is known to be JSON.  It is searched key by key, and of a key that stands twice the last one
counts.  What does not fit its column is named.
"""

import ctypes
import json
import math
import re
from typing import Final

import numpy as np

from topics.avro.decode_columns import DecodedRows
from topics.json import value_kernel as values
from topics.json.plan import JsonPlan
from topics.json.row_kernel import read_items
from topics.json.skip_kernel import skip_value

_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_SPECIAL: Final = ("NaN", "Infinity", "-Infinity")
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY, _COMMA = b"{}[],"
_SHOWN_MAX: Final = 40  # letters of a value in a reason
_EXPONENT_DIGITS_MAX: Final = 10  # more would be beyond any digits a message has room for
_Members = dict[str, tuple[int, int]]


class UnfitError(Exception):
    """A message has something that cannot be read as its column; the text says what and where."""


class ExactMessage:
    """One message, which is JSON from byte `start` of `size` bytes at `address`.

    `state` is the address of the reader's; `room`, which it writes to, has room for the message's rows.
    """

    def __init__(
        self,
        plan: JsonPlan,
        room: DecodedRows,
        state: int,
        address: int,
        start: int,
        size: int,
    ) -> None:
        self._plan = plan
        self._columns_at: int = plan.columns.ctypes.data
        self._room = room
        self._state = state
        self._address = address
        self._end = address + size
        self._start = start
        self._raw = ctypes.string_at(address, size)

    def read_rows(self, row: int) -> int:
        """Write the message's rows from `row` on and return the row after the last; raises UnfitError."""
        start = self._start
        if self._raw[start] == _OPEN_OBJECT:
            self._read_row(start, row)
            self._room.index[row] = 0
            return row + 1
        if self._raw[start] != _OPEN_ARRAY:
            raise UnfitError(f"the message is {self._what(start)}, wanted an object or an array of objects")
        first = row
        position = self._space(start + 1)
        while True:
            position, row = self._read_items(position, row)
            if self._raw[position] == _CLOSE_ARRAY:
                break
            if self._raw[position] != _OPEN_OBJECT:
                raise UnfitError(f"row {row - first} is {self._what(position)}, wanted an object")
            try:
                self._read_row(position, row)
            except UnfitError as unfit:
                raise UnfitError(f"row {row - first}: {unfit}") from None
            row += 1
            position = self._following(self._after(position))
        self._room.index[first:row] = np.arange(row - first)
        return row

    def _read_items(self, position: int, row: int) -> tuple[int, int]:
        """Have the kernel read rows up to one that it cannot."""
        stop, row = read_items(self._address + position, self._end, row, self._state)
        return stop - self._address, row

    def _following(self, position: int) -> int:
        """The position of what follows a value: the next item or key, or the closing bracket."""
        position = self._space(position)
        return self._space(position + 1) if self._raw[position] == _COMMA else position

    def _space(self, position: int) -> int:
        match = _SPACE.match(self._raw, position)
        assert match is not None
        return match.end()

    def _after(self, position: int) -> int:
        """The position after a value."""
        return skip_value(self._address + position, self._end, 0) - self._address

    def _members(self, position: int, path: tuple[str, ...]) -> _Members:
        """Return where an object's values of the keys that are wanted begin and end."""
        wanted = self._plan.wanted[path]
        members: _Members = {}
        position = self._space(position + 1)
        while self._raw[position] != _CLOSE_OBJECT:
            match = _TEXT.match(self._raw, position)
            assert match is not None
            start = self._space(self._space(match.end()) + 1)
            stop = self._after(start)
            token = match.group()
            key = json.loads(token) if b"\\" in token else token[1:-1].decode()
            if key in wanted:
                members[key] = (start, stop)
            position = self._following(stop)
        return members

    def _read_row(self, position: int, row: int) -> None:
        objects: dict[tuple[str, ...], _Members] = {(): self._members(position, ())}
        for number, path in enumerate(self._plan.paths):
            span = self._find(objects, path)
            if span is None:
                values.write_null(row, self._column_at(number), self._state)
            else:
                self._read_value(row, number, *span)

    def _find(
        self, objects: dict[tuple[str, ...], _Members], path: tuple[str, ...]
    ) -> tuple[int, int] | None:
        """Return where the value at a path begins and ends, None where it is missing or null."""
        for depth in range(1, len(path) + 1):
            span = objects[path[: depth - 1]].get(path[depth - 1])
            if span is None or self._raw[slice(*span)] == b"null":
                return None
            if depth == len(path):
                return span
            if path[:depth] not in objects:
                if self._raw[span[0]] != _OPEN_OBJECT:
                    raise UnfitError(f"{'.'.join(path[:depth])} is no object")
                objects[path[:depth]] = self._members(span[0], path[:depth])
        raise AssertionError("a path has at least one key")

    def _read_value(self, row: int, number: int, start: int, stop: int) -> None:
        if self._is_read(row, number, self._address + start, stop - start):
            return
        token = self._raw[start:stop]
        kind = self._plan.columns[number, values.KIND]
        name = ".".join(self._plan.paths[number])
        what = self._what(start)
        if kind == values.BOOLEAN:
            raise UnfitError(f"{name} is {what}, wanted true or false")
        if kind in (values.TEXT, values.TOKEN):
            if token[:1] == b'"':
                raise UnfitError(f"{name} holds half of a surrogate pair, which UTF-8 cannot write")
            wanted = "a string" if kind == values.TEXT else "a number or a string"
            raise UnfitError(f"{name} is {what}, wanted {wanted}")
        if what not in ("a number", "a string"):
            raise UnfitError(f"{name} is {what}, wanted a number")
        text: str = json.loads(token) if token[:1] == b'"' else token.decode()
        if text not in _SPECIAL and not _NUMBER.fullmatch(text):
            raise UnfitError(f"{name} is the string {_shown(text)!a}, wanted a number")
        if b"\\" in token:
            plain = np.frombuffer(text.encode(), dtype=np.uint8).copy()
            if self._is_read(row, number, plain.ctypes.data, plain.size):
                return
        self._write_number(row, number, name, text)

    def _is_read(self, row: int, number: int, address: int, size: int) -> bool:
        """Have the kernel read a value; whether it could."""
        end = address + size
        return values.read_column(address, end, row, self._column_at(number), self._state) == end

    def _column_at(self, number: int) -> int:
        return self._columns_at + 8 * values.COLUMN_WIDTH * number

    def _write_number(self, row: int, number: int, name: str, text: str) -> None:
        """Write a float that is hard to round, or name what does not fit."""
        kind, type_ = self._plan.columns[number, values.KIND], self._plan.slots.types[number]
        if kind in (values.DOUBLE, values.SINGLE):
            with np.errstate(over="ignore"):
                value = np.float64(text) if kind == values.DOUBLE else np.float32(float(text))
            if math.isinf(value):
                raise UnfitError(f"{name} is {_shown(text)}, out of range of {type_}")
            bits = value.view(np.int64 if kind == values.DOUBLE else np.int32)
            self._room.words[self._plan.slots.slot[number], row] = bits
            self._room.valid[number, row] = 1
            return
        if text in _SPECIAL:
            raise UnfitError(f"{name} is {text}, which {type_} cannot hold")
        scale = int(self._plan.columns[number, values.SCALE])
        if _digits_beyond(text, scale):
            wanted = f"at most {scale} digits after the point" if scale else "a whole number"
            raise UnfitError(f"{name} is {_shown(text)}, wanted {wanted}")
        raise UnfitError(f"{name} is {_shown(text)}, out of range of {type_}")

    def _what(self, position: int) -> str:
        """Say what kind of value is at a position."""
        words = {b'"': "a string", b"{": "an object", b"[": "an array"}
        words |= {b"t": "true", b"f": "false", b"n": "null"}
        return words.get(self._raw[position : position + 1], "a number")


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


def _digits_beyond(text: str, scale: int) -> bool:
    """Whether a number has digits other than 0 beyond the first `scale` ones after its point."""
    match = _NUMBER.fullmatch(text)
    assert match is not None
    whole, fraction, exponent = match[1], match[2] or "", match[3] or "0"
    size = exponent.lstrip("+-").lstrip("0")[: _EXPONENT_DIGITS_MAX + 1]
    power = int(size or "0") * (-1 if exponent[0] == "-" else 1)
    return (whole + fraction)[max(len(whole) + power + scale, 0) :].strip("0") != ""
