"""Columns of the joined rows as a graph takes them: which are whole numbers of units, and their names."""

import keyword
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pyarrow as pa
from pyarrow import types

from app.config import Settings
from app.errors import UsageError
from operators.formula.suggest import suggest
from operators.graph.render import render_value
from operators.sealed import ALIGNED
from schemas.clocks import EVENT_NS, KNOWN_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import Stream

OF_A_ROW: Final = (EVENT_NS, KNOWN_NS, LEFT_OFFSET, LEFT_INDEX)  # with the key, what names a row


class _Told(NamedTuple):
    """What a stream's table says of a column: `name` is that among the joined rows."""

    stream: str
    prefix: str
    column: str
    value: str | int

    @property
    def name(self) -> str:
        return self.prefix + self.column

    def root(self, settings: Settings) -> str:
        """Whose rows have it: the join's, or the stream's own where it is not joined."""
        joined = (settings.pipeline.left, *settings.pipeline.right)
        return ALIGNED if self.stream in joined else self.stream


def graph_scales(settings: Settings) -> dict[str, dict[str, int]]:
    """By root and column: its scale."""
    scales: dict[str, dict[str, int]] = {}
    for one in _told(settings, "scales"):
        scales.setdefault(one.root(settings), {})[one.name] = int(one.value)
        scales.setdefault(one.stream, {})[one.column] = int(one.value)
    return scales


def graph_aliases(settings: Settings) -> dict[str, dict[str, str]]:
    """By root and column: the name that it has inside the graph."""
    aliases: dict[str, dict[str, str]] = {}
    for one in _told(settings, "aliases"):
        aliases.setdefault(one.root(settings), {})[one.name] = f"{one.prefix}{one.value}"
        aliases.setdefault(one.stream, {})[one.column] = str(one.value)
    return aliases


def require_columns(
    settings: Settings, aligned: pa.Schema, key: Sequence[str], beside: Sequence[Stream] = ()
) -> None:
    """Raise UsageError, with the place, where a column is not there, can have no scale, or no such name.

    `aligned` are the columns of the joined rows and `key` those of the left stream's key; the streams that
    are `beside` the join have their own.
    """
    aliases = graph_aliases(settings)
    layouts = {ALIGNED: aligned, **{stream.name: stream.schema for stream in beside}}
    for table in ("scales", "aliases"):
        for one in _told(settings, table):
            root = one.root(settings)
            wrong = _missing(one, layouts[root])
            if not wrong and table == "scales":
                wrong = _unscalable(one, layouts[root].field(one.name).type)
            elif not wrong:
                keys = {*key, *settings.stream(one.stream).key}
                wrong = _misnamed(one, aliases.get(root, {}), layouts[root], keys)
            if wrong:
                location = ("streams", one.stream, table, one.column)
                message = f"{'.'.join(location)}: {wrong}"
                raise UsageError(render_value(*settings.source(), location, message))


def _told(settings: Settings, table: str) -> Iterator[_Told]:
    for stream in settings.stream_names:
        prefix = f"{stream}_" if stream in settings.pipeline.right else ""
        for column, value in getattr(settings.stream(stream), table).items():
            yield _Told(stream, prefix, column, value)


def _missing(one: _Told, aligned: pa.Schema) -> str:
    if one.name in aligned.names:
        return ""
    known = [name.removeprefix(one.prefix) for name in aligned.names if name.startswith(one.prefix)]
    return f"stream {one.stream} brings no column {one.column} to the join{suggest(one.column, known)}"


def _unscalable(one: _Told, of_column: pa.DataType) -> str:
    if types.is_floating(of_column) or types.is_decimal128(of_column):
        return ""
    return (
        f"{one.column} is {of_column}: a scale makes whole numbers of a float or of a decimal of 128 bits; "
        "leave it out"
    )


def _misnamed(one: _Told, aliases: dict[str, str], aligned: pa.Schema, key: set[str]) -> str:
    new = aliases[one.name]
    if one.column in key or one.column in OF_A_ROW:
        return f"{one.column} names a row, and keeps its name"
    if one.value in key or one.value in OF_A_ROW:
        return f"{one.value} names a row; choose another name"
    if not new.isidentifier() or keyword.iskeyword(new):
        return f"a name in formulas is letters, digits and _, and no word of Python, not {new!r}"
    others = [name for name in aligned.names if name != one.name and aliases.get(name, name) == new]
    return f"{others[0]} is called {new} in the graph already; choose another name" if others else ""
