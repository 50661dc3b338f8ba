"""Columns and their paths, compiled into the tables of words that the kernel walks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro.decode_columns import DecodedRows
from topics.avro.plan import ColumnSlots, column_slots
from topics.json import row_kernel as tree
from topics.json import value_kernel as values
from topics.json.skip_kernel import DEPTH_MAX
from topics.values import FieldPath
from topics.wire import CodecError

_READABLE: Final = "bool, int8 to int64, uint8 to uint64, float, double, string, large_string and decimal128"
_KINDS: Final = {
    pa.bool_(): values.BOOLEAN,
    pa.float32(): values.SINGLE,
    pa.float64(): values.DOUBLE,
    pa.string(): values.TEXT,
    pa.large_string(): values.TEXT,
}
_WORD: Final = 2**64


@dataclass(frozen=True, slots=True)
class JsonPlan:
    """How to read objects into columns.

    `nodes` is int64 [keys and the object outside, NODE_WIDTH], `columns` int64 [columns, COLUMN_WIDTH].
    `leaf_count` counts the nodes that are a column's.  `wanted` are the keys that lead to columns, of each
    object by its path; `text_uses_max` is the most columns of text of one key.  `memory` is what `nodes`
    points at.
    """

    slots: ColumnSlots
    paths: tuple[tuple[str, ...], ...]
    nodes: Int64s
    columns: Int64s
    leaf_count: int
    text_uses_max: int
    wanted: dict[tuple[str, ...], frozenset[str]]
    memory: object = field(repr=False)


class ReaderState:
    """What the kernel knows while it reads: where the tables are, and how far it is."""

    def __init__(self, plan: JsonPlan) -> None:
        self._state = np.zeros(values.STATE_SIZE, dtype=np.int64)
        self._state[values.NODES] = plan.nodes.ctypes.data
        self._state[values.COLUMNS] = plan.columns.ctypes.data
        self._state[values.NODE_COUNT] = len(plan.nodes)
        self._state[values.LEAF_COUNT] = plan.leaf_count
        self._scratch_end = 0
        self.address: int = self._state.ctypes.data

    def write_to(self, room: DecodedRows) -> None:
        """Have rows written to this room from now on."""
        self._state[values.WORDS] = room.words.ctypes.data
        self._state[values.SPANS] = room.spans.ctypes.data
        self._state[values.VALID] = room.valid.ctypes.data
        self._state[values.INDEX] = room.index.ctypes.data
        self._state[values.CAPACITY] = room.index.size

    def unescape_to(self, scratch: npt.NDArray[np.uint8]) -> None:
        """Have texts written to this memory without their escapes."""
        self._state[values.SCRATCH] = scratch.ctypes.data
        self._scratch_end = scratch.ctypes.data + scratch.size

    def require_within(self) -> None:
        """Fail where texts were written beyond the memory they were given."""
        assert self._state[values.SCRATCH] <= self._scratch_end, "a text is no longer without its escapes"


def compile_plan(fields: Sequence[FieldPath]) -> JsonPlan:
    """Compile columns; raises CodecError naming the column that cannot be read from JSON, and why."""
    schema = pa.schema([each.column.with_nullable(True) for each in fields])
    _require_readable(fields)
    kinds = [_kind_of(each) for each in fields]
    slots = column_slots(schema)
    columns = np.zeros((len(fields), values.COLUMN_WIDTH), dtype=np.int64)
    for number, (each, kind) in enumerate(zip(fields, kinds, strict=True)):
        columns[number, values.KIND] = kind
        columns[number, values.NUMBER] = number
        columns[number, values.SLOT] = slots.slot[number]
        columns[number, values.NEXT] = tree.NONE
        _set_limits(columns[number], each.column.type)
    numbers: dict[tuple[str, ...], int] = {(): 0}
    for each in fields:
        for depth in range(len(each.path)):
            numbers.setdefault(each.path[: depth + 1], len(numbers))
    nodes, memory = _tree(fields, columns, numbers)
    leaves = [each.path for each in fields]
    texts = [path for path, kind in zip(leaves, kinds, strict=True) if kind in (values.TEXT, values.TOKEN)]
    wanted: dict[tuple[str, ...], set[str]] = {}
    for path in numbers:
        if path:
            wanted.setdefault(path[:-1], set()).add(path[-1])
    return JsonPlan(
        slots=slots,
        paths=tuple(leaves),
        nodes=nodes,
        columns=columns,
        leaf_count=len(set(leaves)),
        text_uses_max=max(texts.count(path) for path in leaves),
        wanted={path: frozenset(keys) for path, keys in wanted.items()},
        memory=memory,
    )


def _require_readable(fields: Sequence[FieldPath]) -> None:
    """Refuse paths that lead nowhere, or on from another column's value."""
    if not fields:
        raise CodecError("no column is asked for: name at least one")
    names = [each.column.name for each in fields]
    leaves = {each.path: each.column.name for each in fields}
    for each in fields:
        name, path = each.column.name, each.path
        if names.count(name) > 1:
            raise CodecError(f"column {name} is asked for twice")
        if not 0 < len(path) <= DEPTH_MAX - 1:
            raise CodecError(f"column {name} has a path of {len(path)} keys: 1 to {DEPTH_MAX - 1} can be")
        for depth in range(1, len(path)):
            if path[:depth] in leaves:
                raise CodecError(
                    f"column {name} is within {'.'.join(path[:depth])}, which column {leaves[path[:depth]]} "
                    "wants as a value: an object is no value"
                )


def _kind_of(each: FieldPath) -> int:
    """Return what a column takes; raises CodecError for a type that JSON values are not read as."""
    name, kind = each.column.name, each.column.type
    if each.token:
        if kind not in (pa.string(), pa.large_string()):
            raise CodecError(f"column {name} is {kind}: what is kept as it is written is a string")
        return values.TOKEN
    if pa.types.is_integer(kind):
        return values.WHOLE
    if pa.types.is_decimal128(kind) and 0 <= kind.scale <= kind.precision:
        return values.DECIMAL
    if kind not in _KINDS:
        raise CodecError(f"column {name} is {kind}, which JSON is not read as: it can be {_READABLE}")
    return _KINDS[kind]


def _set_limits(column: Int64s, kind: pa.DataType) -> None:
    """Note how far a number of this type may be above and below 0."""
    if pa.types.is_decimal(kind):
        upper = 10**kind.precision - 1
        lower = upper
        column[values.SCALE] = kind.scale
    elif pa.types.is_signed_integer(kind):
        lower = 2 ** (kind.bit_width - 1)
        upper = lower - 1
    elif pa.types.is_unsigned_integer(kind):
        lower, upper = 0, 2**kind.bit_width - 1
    else:
        return
    for place, limit in ((values.ABOVE_HIGH, upper), (values.BELOW_HIGH, lower)):
        words = np.array([limit // _WORD, limit % _WORD], dtype=np.uint64).view(np.int64)
        column[place : place + 2] = words


def _tree(
    fields: Sequence[FieldPath], columns: Int64s, numbers: dict[tuple[str, ...], int]
) -> tuple[Int64s, object]:
    """Return the table of nodes, numbered by their paths, and the memory of their keys; link the columns."""
    nodes = np.full((len(numbers), tree.NODE_WIDTH), tree.NONE, dtype=np.int64)
    last: dict[tuple[str, ...], int] = {}  # the node that came last within an object
    memory = []
    for path, number in numbers.items():
        node = nodes[number]
        node[tree.SEEN] = 0  # the first row is 1
        if not path:
            continue
        above = numbers[path[:-1]]
        node[tree.PARENT] = above
        if path[:-1] in last:
            nodes[last[path[:-1]], tree.SIBLING] = number
            nodes[last[path[:-1]], tree.AFTER] = number
        else:
            nodes[above, tree.CHILD] = number
            nodes[above, tree.INNER] = number
        last[path[:-1]] = number
        memory.append(_set_key(node, path))
    for number in reversed(range(len(fields))):
        node = nodes[numbers[fields[number].path]]
        columns[number, values.NEXT] = node[tree.COLUMN]
        node[tree.COLUMN] = number
    return nodes, memory


def _set_key(node: Int64s, path: tuple[str, ...]) -> object:
    """Note the key of a node, and return its memory."""
    try:
        key = path[-1].encode()
    except UnicodeEncodeError:
        raise CodecError(f"{path[-1]!a} in a path is no text that UTF-8 can write") from None
    raw = np.frombuffer(key.ljust(8, b"\0"), dtype=np.uint8).copy()
    node[tree.KEY] = raw.ctypes.data
    plain = b'"' not in key and b"\\" not in key and all(byte >= 0x20 for byte in key)
    node[tree.KEY_SIZE] = len(key) if plain else tree.UNWRITTEN
    node[tree.HEAD] = int.from_bytes(raw[:8].tobytes(), "little", signed=True)
    node[tree.HEAD_MASK] = -1 if len(key) >= 8 else (1 << 8 * len(key)) - 1
    return raw
