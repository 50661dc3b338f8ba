"""A writer's message type and a reader's columns, compiled into tables that the kernel walks by address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from google.protobuf.descriptor import FieldDescriptor

from schemas.batch import Int64s
from topics.avro.plan import ColumnSlots, column_slots
from topics.protobuf import kernel, value_kernel
from topics.protobuf.columns import COLUMN_TYPES, Leaf, has_default, is_repeated, leaf_at
from topics.protobuf.message_type import MessageType
from topics.values import FieldPath
from topics.wire import CodecError

_KIND: Final[Any] = FieldDescriptor
_VARINT, _EIGHT, _SIZED, _GROUP, _FOUR = 0, 1, 2, 3, 5
# The wire type of a kind of field, and what becomes of its value; None where that depends.
_WIRE: Final[Mapping[int, tuple[int, int | None]]] = {
    _KIND.TYPE_DOUBLE: (_EIGHT, value_kernel.WORD),
    _KIND.TYPE_FLOAT: (_FOUR, value_kernel.HALF),
    _KIND.TYPE_INT32: (_VARINT, value_kernel.INT32),
    _KIND.TYPE_SINT32: (_VARINT, value_kernel.ZIGZAG32),
    _KIND.TYPE_SFIXED32: (_FOUR, value_kernel.SIGNED_HALF),
    _KIND.TYPE_INT64: (_VARINT, value_kernel.VARINT),
    _KIND.TYPE_SINT64: (_VARINT, value_kernel.ZIGZAG64),
    _KIND.TYPE_SFIXED64: (_EIGHT, value_kernel.WORD),
    _KIND.TYPE_UINT32: (_VARINT, value_kernel.UINT32),
    _KIND.TYPE_FIXED32: (_FOUR, value_kernel.HALF),
    _KIND.TYPE_UINT64: (_VARINT, value_kernel.VARINT),
    _KIND.TYPE_FIXED64: (_EIGHT, value_kernel.WORD),
    _KIND.TYPE_BOOL: (_VARINT, value_kernel.BOOLEAN),
    _KIND.TYPE_STRING: (_SIZED, value_kernel.TEXT),
    _KIND.TYPE_BYTES: (_SIZED, value_kernel.BYTES),
    _KIND.TYPE_ENUM: (_VARINT, value_kernel.ENUM),
    _KIND.TYPE_MESSAGE: (_SIZED, None),
    _KIND.TYPE_GROUP: (_GROUP, None),
}
_WIDER: Final = frozenset(
    {
        (pa.int32(), pa.int64()),
        (pa.uint32(), pa.int64()),
        (pa.uint32(), pa.uint64()),
        (pa.float32(), pa.float64()),
    }
)
# Tables by tag or by number are dense up to this many entries: they stay in a processor's nearest memory.
_DENSE_MAX: Final = 1024
_DENSE_MIN: Final = 128  # of the tags of one byte


@dataclass(frozen=True, slots=True)
class MessageSlots:
    """Where the columns are decoded to, the same for every writer's type.

    `nanos` is, by time column, the row of words for the nanoseconds beside its seconds.
    """

    fields: tuple[FieldPath, ...]
    columns: ColumnSlots
    nanos: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class MessageProgram:
    """How to decode messages of one type into the columns; see the kernels for the tables.

    `node` is the address of the outermost node, `reset` int64 [cells, CELL_WIDTH], `times` int64 [time
    columns, TIME_WIDTH].  `enums` are the columns written by an enum's table.  `nodes` has the dotted path
    and the library's descriptor of each node, for messages.  `memory` is what the tables point at.
    """

    node: int
    reset: Int64s
    times: Int64s
    enums: tuple[int, ...]
    nodes: tuple[tuple[str, Any], ...]
    memory: tuple[object, ...]


def message_slots(fields: Sequence[FieldPath]) -> MessageSlots:
    """Lay out where the columns are decoded to; raises CodecError for a column no field can be."""
    for wanted in fields:
        if wanted.token:
            raise CodecError(
                f"column {wanted.column.name}: a Protobuf field has a type, so it is not read as its text"
            )
        if wanted.column.type not in COLUMN_TYPES:
            names = ", ".join(sorted(map(str, COLUMN_TYPES)))
            raise CodecError(
                f"column {wanted.column.name} is {wanted.column.type}, which no Protobuf field is: "
                f"make it one of {names}"
            )
    columns = column_slots(pa.schema([wanted.column for wanted in fields]))
    times = [number for number, kind in enumerate(columns.types) if pa.types.is_timestamp(kind)]
    nanos = {number: columns.word_count + place for place, number in enumerate(times)}
    return MessageSlots(tuple(fields), replace(columns, word_count=columns.word_count + len(times)), nanos)


def compile_message(message_type: MessageType, slots: MessageSlots) -> MessageProgram:
    """Compile a message type for the columns, which are matched by the names of their paths.

    A column that the type lacks is null, or zero where it must not be null.  Raises CodecError, naming the
    field, for one that is no column or whose type the column cannot hold exactly.
    """
    leaves = [_leaf(message_type, wanted) for wanted in slots.fields]
    return _Compiler(message_type, slots).compiled(leaves)


def _leaf(message_type: MessageType, wanted: FieldPath) -> Leaf | None:
    leaf = leaf_at(message_type, wanted.path)
    if leaf is not None and leaf.type != wanted.column.type and (leaf.type, wanted.column.type) not in _WIDER:
        raise CodecError(
            f"field {leaf.name} of {message_type.name} is {leaf.type}, column {wanted.column.name} is "
            f"{wanted.column.type}, which does not take its values as they are: make it {leaf.type}"
        )
    return leaf


@dataclass(slots=True)
class _Node:
    """A message type on the way to columns: what its fields are for, and what is there once it is."""

    number: int
    prefix: str
    descriptor: Any
    targets: dict[int, list[list[int]]] = field(default_factory=dict)  # by field number: instructions
    children: dict[int, "_Node"] = field(default_factory=dict)
    columns: dict[int, set[int]] = field(default_factory=dict)  # by field number: all columns below
    enter: list[list[int]] = field(default_factory=list)

    def path(self, name: str) -> str:
        return f"{self.prefix}{name}"


class _Compiler:
    """Makes the tables of one program, and keeps the memory that they point at."""

    def __init__(self, message_type: MessageType, slots: MessageSlots) -> None:
        self._slots = slots
        self._memory: list[object] = []
        self._nodes: list[_Node] = []
        self._cells: dict[int, list[list[int]]] = {}  # by column: what a row holds before its field comes
        self._enums: dict[str, tuple[int, dict[int, tuple[int, int]]]] = {}  # by full name
        self._root = self._node("", message_type.descriptor)

    def compiled(self, leaves: Sequence[Leaf | None]) -> MessageProgram:
        """Return the program that reads each column from its leaf, None for those that are not there."""
        enums = []
        for column, leaf in enumerate(leaves):
            self._cells[column] = self._absent(column, leaf)
            if leaf is not None:
                self._add(column, leaf)
                if leaf.steps[-1].enum_type is not None:
                    enums.append(column)
        for node in reversed(self._nodes):
            self._find_columns(node)
        addresses: dict[int, int] = {}
        for node in reversed(self._nodes):  # inner ones first: outer ones hold their addresses
            addresses[node.number] = self._laid_out(node, addresses)
        reset = self._table([cell for cells in self._cells.values() for cell in cells], kernel.CELL_WIDTH)
        times = [
            [column, self._slots.columns.slot[column], nanos] for column, nanos in self._slots.nanos.items()
        ]
        return MessageProgram(
            addresses[0],
            reset,
            self._table(times, kernel.TIME_WIDTH),
            tuple(enums),
            tuple((node.prefix, node.descriptor) for node in self._nodes),
            tuple(self._memory),
        )

    def _node(self, prefix: str, descriptor: Any) -> _Node:
        node = _Node(len(self._nodes), prefix, descriptor)
        self._nodes.append(node)
        return node

    def _table(self, rows: Sequence[Sequence[int]], width: int) -> Int64s:
        table = np.array(rows, dtype=np.int64).reshape(len(rows), width)
        self._memory.append(table)
        return table

    def _address(self, rows: Sequence[Sequence[int]], width: int) -> int:
        return int(self._table(rows, width).ctypes.data)

    def _text(self, data: bytes) -> tuple[int, int]:
        """Keep bytes; return their address and size."""
        held = np.frombuffer(data or b"\0", dtype=np.uint8).copy()
        self._memory.append(held)
        return int(held.ctypes.data), len(data)

    def _cell(self, column: int, value: tuple[int, int], *, valid: bool) -> list[int]:
        slot = self._slots.columns.slot[column]
        return [column, int(self._slots.columns.spans[column]), slot, *value, int(valid)]

    def _absent(self, column: int, leaf: Leaf | None) -> list[list[int]]:
        """The cells of a column before anything of its field comes."""
        outer = leaf is not None and len(leaf.steps) == 1 and has_default(leaf.steps[0])
        filled = leaf is not None and not leaf.is_time and (outer or not self._slots.columns.nullable[column])
        value = self._default(column, leaf) if leaf is not None and filled else (0, 0)
        cells = [self._cell(column, value, valid=outer)]
        if column in self._slots.nanos:
            cells.append([-1, 0, self._slots.nanos[column], 0, 0, 0])
        return cells

    def _default(self, column: int, leaf: Leaf) -> tuple[int, int]:
        """What a field holds where nothing was written, as a word or an address and a size."""
        last, value = leaf.steps[-1], leaf.steps[-1].default_value
        if last.enum_type is not None:
            return self._enum(last.enum_type)[1][value]
        if isinstance(value, str):
            return self._text(value.encode())
        if isinstance(value, bytes):
            return self._text(value)
        if isinstance(value, float):
            wide = pa.types.is_float64(self._slots.columns.types[column])
            bits = np.array([value], dtype=np.float64 if wide else np.float32)
            return int(bits.view(np.int64 if wide else np.uint32)[0]), 0
        return int(np.array([int(value) & (2**64 - 1)], dtype=np.uint64).view(np.int64)[0]), 0

    def _enum(self, enum: Any) -> tuple[int, dict[int, tuple[int, int]]]:
        """Return the address of an enum's table, and where the first name of each number lies."""
        if enum.full_name in self._enums:
            return self._enums[enum.full_name]
        texts: dict[int, tuple[int, int]] = {}
        for value in enum.values:
            if value.number not in texts:
                texts[value.number] = self._text(str(value.name).encode())
        lower, upper = min(texts), max(texts)
        dense = upper - lower < _DENSE_MAX
        if dense:
            nothing = (0, value_kernel.UNNAMED)
            entries = self._address([texts.get(at, nothing) for at in range(lower, upper + 1)], 2)
        else:
            entries = self._address([(number, *texts[number]) for number in sorted(texts)], 3)
        count = upper - lower + 1 if dense else len(texts)
        table = self._address([[int(dense), lower, count, entries]], value_kernel.ENUM_WIDTH)
        self._enums[enum.full_name] = table, texts
        return table, texts

    def _add(self, column: int, leaf: Leaf) -> None:
        """Let the nodes on the way to a leaf lead to its column."""
        node = self._root
        within = leaf.steps if leaf.is_time else leaf.steps[:-1]
        for step in within:
            if step.number not in node.children:
                node.children[step.number] = self._node(f"{node.prefix}{step.name}.", step.message_type)
            node = node.children[step.number]
        slot = self._slots.columns.slot[column]
        if leaf.is_time:
            inner = node.descriptor.fields_by_name
            nanos = self._slots.nanos[column]
            node.enter.append(self._cell(column, (0, 0), valid=True))
            for name, place in (("seconds", slot), ("nanos", nanos)):
                node.targets.setdefault(inner[name].number, []).append(
                    self._instruction(inner[name], place, column=-1)
                )
            node.columns.setdefault(-1, set()).add(column)
            return
        last = leaf.steps[-1]
        if len(leaf.steps) > 1 and has_default(last):
            node.enter.append(self._cell(column, self._default(column, leaf), valid=True))
        wide = self._slots.columns.types[column] == pa.float64()
        node.targets.setdefault(last.number, []).append(self._instruction(last, slot, column, wide=wide))
        node.columns.setdefault(last.number, set()).add(column)

    def _instruction(self, wanted: Any, slot: int, column: int, *, wide: bool = False) -> list[int]:
        operation = _WIRE[wanted.type][1]
        assert operation is not None
        if wanted.type == _KIND.TYPE_FLOAT and wide:
            operation = value_kernel.WIDE_HALF
        extra = self._enum(wanted.enum_type)[0] if wanted.enum_type is not None else 0
        return [operation, slot, column, extra, 0, 0, 0]

    def _find_columns(self, node: _Node) -> None:
        """Note which columns lie below each field; the nodes within are done already."""
        for number, child in node.children.items():
            below = set().union(*child.columns.values()) if child.columns else set()
            node.columns.setdefault(number, set()).update(below)

    def _laid_out(self, node: _Node, addresses: Mapping[int, int]) -> int:
        """Write the tables of a node; return its address."""
        by_tag: dict[int, int] = {}
        for wanted in node.descriptor.fields:
            clear, count = self._cleared(node, wanted)
            if wanted.number in node.children:
                child = addresses[node.children[wanted.number].number]
                rows = [[value_kernel.MESSAGE, 0, -1, child, 0, 0, 0]]
            elif wanted.number in node.targets:
                rows = node.targets[wanted.number]
            elif count:
                rows = [[value_kernel.SKIP, 0, -1, 0, 0, 0, 0]]
            else:
                continue
            table = self._table(rows, value_kernel.INSTRUCTION_WIDTH)
            table[:, value_kernel.CLEAR], table[:, value_kernel.CLEAR_COUNT] = clear, count
            starts = table.ctypes.data + 8 * value_kernel.INSTRUCTION_WIDTH * np.arange(len(rows))
            table[:-1, value_kernel.NEXT] = starts[1:]
            by_tag[wanted.number * 8 + _WIRE[wanted.type][0]] = int(starts[0])
        return self._node_table(node, by_tag)

    def _node_table(self, node: _Node, by_tag: Mapping[int, int]) -> int:
        dense_size = max((tag + 1 for tag in by_tag if tag < _DENSE_MAX), default=0)
        dense_size = max(dense_size, _DENSE_MIN)
        dense = self._address([[by_tag.get(tag, 0)] for tag in range(dense_size)], 1)
        rest = sorted((tag, address) for tag, address in by_tag.items() if tag >= dense_size)
        row = [0] * kernel.NODE_WIDTH
        row[kernel.NODE_NUMBER] = node.number
        row[kernel.DENSE], row[kernel.DENSE_SIZE] = dense, dense_size
        row[kernel.SORTED], row[kernel.SORTED_SIZE] = self._address(rest, 2), len(rest)
        row[kernel.ENTER] = self._address(node.enter, kernel.CELL_WIDTH)
        row[kernel.ENTER_COUNT] = len(node.enter)
        return self._address([row], kernel.NODE_WIDTH)

    def _cleared(self, node: _Node, member: Any) -> tuple[int, int]:
        """Return the address and number of the cells that a member of a oneof clears: of the other ones."""
        oneof = member.containing_oneof
        if oneof is None or is_repeated(member):
            return 0, 0
        others = [other.number for other in oneof.fields if other.number != member.number]
        columns = sorted(set().union(*(node.columns.get(number, set()) for number in others)))
        cells = [cell for column in columns for cell in self._cells[column]]
        return (self._address(cells, kernel.CELL_WIDTH), len(cells)) if cells else (0, 0)
