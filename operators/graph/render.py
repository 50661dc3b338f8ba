"""Errors of a graph as a person reads them: file, line, what is wrong, and a caret under the place."""

from collections.abc import Iterable
from typing import NamedTuple

from operators.graph.errors import NodeError
from operators.graph.toml_places import Entry, elements, entries, string_offsets

INDENT = "    "


class _Place(NamedTuple):
    """Where an error is in the text: from `start` to `end`, which are equal where it is of a whole line."""

    start: int
    end: int


def render_errors(path: str, text: str, errors: Iterable[NodeError]) -> str:
    """Return the errors of a graph whose tables are in `text`, in the order of its lines.

    Each is `path:line  node.column: message`, and where it is of a place inside a value, the line as it is
    written and carets under that place.  `text` is TOML that `tomllib` has read.
    """
    text = text.replace("\r\n", "\n")
    keys = entries(text)
    placed = [(_place_of(error, keys, text), error) for error in errors]
    placed.sort(key=lambda pair: text.count("\n", 0, pair[0].start))
    lines = [
        line
        for place, error in placed
        for line in _lines(path, text, place, f"{error.subject}: {error.message}")
    ]
    return "".join(f"{line}\n" for line in lines)


def render_value(path: str, text: str, location: tuple[str | int, ...], message: str) -> str:
    """Return one error about a value anywhere in `text`, or about a key that is not there, in the same form.

    `location` is the keys from the top on, and behind them the places in arrays.
    """
    text = text.replace("\r\n", "\n")
    keys = entries(text)
    names = tuple(part for part in location if isinstance(part, str))
    entry = next((entry for entry in keys if entry.path == names), None)
    if entry is None:
        return "\n".join(_lines(path, text, _of_table(names, keys), message))
    start, end = entry.value
    for number in location[len(names) :]:
        inside = elements(text[start:end])
        if inside is None or int(number) >= len(inside):
            break
        start, end = (start + offset for offset in inside[int(number)])
    end = start + len(text[start:end].rstrip())
    place = _Place(start, end) if end > start else _Place(entry.start, entry.start)
    return "\n".join(_lines(path, text, place, message))


def _lines(path: str, text: str, place: _Place, message: str) -> list[str]:
    number = text.count("\n", 0, place.start) + 1
    lines = [f"{path}:{number}  {message}"]
    if place.end > place.start:
        begin = text.rfind("\n", 0, place.start) + 1
        end = text.find("\n", place.start)
        line = text[begin : end if end >= 0 else len(text)].replace("\t", " ")
        code = line.lstrip()
        column = place.start - begin - (len(line) - len(code))
        width = max(1, min(place.end - place.start, len(code) - column))
        lines += [INDENT + code.rstrip(), INDENT + " " * column + "^" * width]
    return lines


def _place_of(error: NodeError, keys: list[Entry], text: str) -> _Place:
    """The place in the value, else the key, else the table that it should stand in, else the top."""
    table = ("graph", error.node)
    keys_below = error.setting.split(".") if error.setting else []
    path = (*table, *keys_below) if error.column is None else (*table, "features", error.column)
    entry = next((entry for entry in keys if entry.path == path), None)
    if entry is None:
        return _of_table(path, keys)
    start, end = entry.value
    offsets = string_offsets(text[start:end])
    if error.start is None or error.end is None or offsets is None:
        return _Place(entry.start, entry.start)
    last = len(offsets) - 1
    first = start + offsets[min(error.start, last)]
    return _Place(first, max(start + offsets[min(error.end, last)], first + 1))


def _of_table(path: tuple[str, ...], keys: list[Entry]) -> _Place:
    """The first line of the innermost table around a key that is not there."""
    for length in range(len(path), 0, -1):
        for entry in keys:
            if entry.path[:length] == path[:length]:
                return _Place(entry.start, entry.start)
    return _Place(0, 0)
