"""A writer's record that is not flat, compiled into a program of `topics.avro.nested_kernel`.

What is wanted is read on the way, in wire order; the rest is skipped.  A record that is skipped is a
subroutine, written once however often it stands in the schema, so that a program is no longer than its
schema.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from schemas.batch import Bools, Int64s
from topics.avro import nested_kernel as nested
from topics.avro import value_kernel as kernel
from topics.avro.arrow_types import is_list
from topics.avro.default import DefaultValue, default_value
from topics.avro.reader import ReaderColumn, item_column
from topics.avro.types import NULL_FIRST, NULL_SECOND, AvroField, AvroType, flat_value, smallest_sizes
from topics.avro.values import cannot_hold, skip_instruction, value_of
from topics.wire import CodecError


class NestedProgram:
    """A program under construction.  `slot` and `spans` say by column where its values go."""

    def __init__(
        self,
        record: AvroType,
        wants: Sequence[ReaderColumn],
        slot: Sequence[int],
        spans: Bools,
        required: str | None,
    ) -> None:
        """Compile; raises CodecError naming the field that a column cannot hold or that it lacks.

        The column `required` has no default that could stand in for it, at any step of its path.
        """
        self._required = required
        self._slot = slot
        self._spans = spans
        self._sizes = smallest_sizes(record)
        self._rows: list[Int64s] = []
        self._names: list[str] = []
        self._calls: list[tuple[int, AvroType]] = []
        self._memory: list[object] = []
        self.missing = self._record(record, wants, 0, "")
        self._emit(nested.END, "")
        self._subroutines()

    @property
    def instructions(self) -> Int64s:
        """The program: int64 [steps, INSTRUCTION_WIDTH]."""
        return np.stack(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The field that each instruction reads, for messages."""
        return tuple(self._names)

    @property
    def memory(self) -> tuple[object, ...]:
        """What the program points at, and must live as long as it does."""
        return tuple(self._memory)

    def _record(
        self, record: AvroType, wants: Sequence[ReaderColumn], depth: int, path: str
    ) -> list[ReaderColumn]:
        """Read a record, of which these columns are wanted; return those that it lacks."""
        taken, missing = match_fields(record.fields, wants, depth)
        for declared in record.fields:
            name = path + declared.name
            if declared.name in taken:
                self._value(declared.type, taken[declared.name], depth + 1, name)
            else:
                self._skip(declared.type, name)
        if depth:
            require_present(record.name, self._required, missing, depth)
            for want in missing:
                self._constant(missing_value(record.name, want, depth), want, path.rstrip("."))
        return missing

    def _value(self, declared: AvroType, wants: Sequence[ReaderColumn], depth: int, name: str) -> None:
        """Read a value into the column that wants it, or into those that want leaves of it."""
        leaf = len(wants[0].steps) == depth
        flat = flat_value(declared)
        optional = flat is not None and flat[1] in (NULL_FIRST, NULL_SECOND)
        if leaf and flat is not None and not (optional and _null_is_another(wants[0])):
            self._place(name, *flat, wants[0])
        elif declared.kind == "union":
            self._union(declared, wants, depth, name)
        elif declared.kind == "null" and wants[0].steps[depth - 1].nullable:
            self._nulls(wants, depth, name)
        elif declared.kind == "record" and not leaf:
            self._record(declared, wants, depth, f"{name}.")
        elif declared.kind == "array" and leaf and is_list(wants[0].column.type):
            self._list(declared, wants[0], name)
        else:
            raise cannot_hold(name, declared.shape, wants[0].column)

    def _place(self, name: str, leaf: AvroType, union: int, want: ReaderColumn) -> None:
        value = value_of(name, leaf, union, want, self._slot[want.number])
        self._memory.append(value.symbols)
        self._append(value.instruction, name)

    def _list(self, declared: AvroType, want: ReaderColumn, name: str) -> None:
        """Note where an array lies; its items are read once those of all rows are counted."""
        items = declared.items
        assert items is not None
        refusal = cannot_hold(name, f"an array of {items.shape}", want.column)
        flat = flat_value(items)
        if flat is None or self._sizes[id(items)] == 0:
            raise refusal
        try:
            value = value_of(name, *flat, item_column(want), 0)
        except CodecError:
            raise refusal from None
        self._memory.append(value.symbols)
        step = self._emit(nested.LIST, name, min(self._sizes[id(items)], 2**31))
        self._rows[step][kernel.SLOT] = self._slot[want.number]
        self._rows[step][kernel.VALID] = want.number if want.column.nullable else kernel.NOWHERE
        check = value.instruction.copy()
        check[kernel.SLOT] = kernel.NOWHERE
        check[kernel.VALID] = min(check[kernel.VALID], kernel.NOWHERE)  # REQUIRED stays so
        self._append(check, name)
        self._append(value.instruction, name)

    def _union(self, declared: AvroType, wants: Sequence[ReaderColumn], depth: int, name: str) -> None:
        """Read whichever branch a value is of: each by itself goes into the columns, or is a fault there."""
        refusals: list[CodecError] = []
        known = wants[0].steps[depth].records if len(wants[0].steps) > depth else frozenset[str]()
        named = any(branch.kind == "record" and branch.short_names & known for branch in declared.branches)

        def read(branch: AvroType) -> None:
            before = len(self._rows)
            try:
                if named and branch.kind == "record" and not branch.short_names & known:
                    raise CodecError(f"field {name}: the stream has no record {branch.name} there")
                if branch.kind == "null":
                    self._nulls(wants, depth, name)
                else:
                    self._value(branch, wants, depth, name)
            except CodecError as refused:
                refusals.append(refused)
                del self._rows[before:], self._names[before:]
                self._calls = [call for call in self._calls if call[0] < before]
                self._emit(nested.FAIL, name, kernel.BAD_MATCH)

        self._branches(declared, read, name)
        values = [branch for branch in declared.branches if branch.kind != "null"]
        if len(refusals) == len(values):
            if refusals:
                raise refusals[-1]
            if not wants[0].steps[depth - 1].nullable:
                raise cannot_hold(name, "null", wants[0].column)

    def _branches(self, declared: AvroType, emit: Callable[[AvroType], None], name: str) -> None:
        self._emit(nested.BRANCH, name, len(declared.branches))
        jumps = [self._emit(nested.JUMP, name) for _ in declared.branches]
        ends = []
        for jump, branch in zip(jumps, declared.branches, strict=True):
            self._rows[jump][kernel.SIZE] = len(self._rows)
            emit(branch)
            ends.append(self._emit(nested.JUMP, name))
        for end in ends:
            self._rows[end][kernel.SIZE] = len(self._rows)

    def _nulls(self, wants: Sequence[ReaderColumn], depth: int, name: str) -> None:
        """Write null to columns; where the reader's field takes none, the message is at fault."""
        if not wants[0].steps[depth - 1].nullable:
            self._emit(nested.FAIL, name, kernel.NULL_VALUE)
            return
        for want in wants:
            self._constant(DefaultValue(want.number, null=True, raw=b""), want, name)

    def _constant(self, value: DefaultValue, want: ReaderColumn, name: str) -> None:
        step = self._emit(nested.CONSTANT, name, 0 if value.null else 1)
        row = self._rows[step]
        span = bool(self._spans[want.number])
        row[kernel.SLOT] = self._slot[want.number]
        row[kernel.VALID] = want.number if want.column.nullable else kernel.NOWHERE
        row[kernel.LOWER] = span
        # The second word of a plain value is that of a decimal: no other column has a place for it.
        row[kernel.UPPER] = 2 if span or str(want.column.type).startswith("decimal") else 1
        words = (value.address, len(value.raw)) if span else value.words
        row[kernel.LOWER_LOW], row[kernel.UPPER_LOW] = words
        self._memory.append(value)

    def _skip(self, declared: AvroType, name: str) -> None:
        """Read past a value of any type."""
        flat = flat_value(declared)
        if self._sizes[id(declared)] == 0:
            return
        if flat is not None:
            self._append(skip_instruction(*flat), name)
        elif declared.kind == "union":
            self._branches(declared, lambda branch: self._skip(branch, name), name)
        elif declared.kind == "record":
            self._calls.append((self._emit(nested.CALL, name), declared))
        else:
            self._skip_items(declared, name)

    def _skip_items(self, declared: AvroType, name: str) -> None:
        """Read past an array or a map: a map's item is a key and a value."""
        items = declared.items
        assert items is not None
        is_map = declared.kind == "map"
        begin = self._emit(nested.BLOCKS, name, min(self._sizes[id(items)] + is_map, 2**31))
        if is_map:
            self._append(skip_instruction(AvroType("string"), 0), name)
        self._skip(items, name)
        if is_map or self._sizes[id(items)]:
            self._emit(nested.NEXT, name, begin)
        self._rows[begin][kernel.UPPER] = len(self._rows)

    def _subroutines(self) -> None:
        begins: dict[int, int] = {}
        while self._calls:
            step, record = self._calls.pop()
            if id(record) not in begins:
                begins[id(record)] = len(self._rows)
                for declared in record.fields:
                    self._skip(declared.type, f"{self._names[step]}.{declared.name}")
                self._emit(nested.RETURN, self._names[step])
            self._rows[step][kernel.SIZE] = begins[id(record)]

    def _emit(self, operation: int, name: str, argument: int = 0) -> int:
        row = np.zeros(kernel.INSTRUCTION_WIDTH, dtype=np.int64)
        row[kernel.OPERATION], row[kernel.SIZE] = operation, argument
        return self._append(row, name)

    def _append(self, row: Int64s, name: str) -> int:
        self._rows.append(row)
        self._names.append(name)
        return len(self._rows) - 1


def _null_is_another(want: ReaderColumn) -> bool:
    """Whether a column may be null, but only where a record on its path is."""
    return want.column.nullable and not want.steps[-1].nullable


def match_fields(
    fields: Sequence[AvroField], wants: Sequence[ReaderColumn], depth: int
) -> tuple[Mapping[str, list[ReaderColumn]], list[ReaderColumn]]:
    """Return which columns want each written field at this step of their paths, and which find none.

    A column's own name comes first; an alias only takes a field that no other column has by its name.
    """
    written = {declared.name for declared in fields}
    by_name: dict[str, list[ReaderColumn]] = {}
    for want in wants:
        by_name.setdefault(want.steps[depth].names[0], []).append(want)
    taken = {name: group for name, group in by_name.items() if name in written}
    missing: list[ReaderColumn] = []
    for name, group in by_name.items():
        if name in written:
            continue
        aliases = group[0].steps[depth].names[1:]
        old = next((alias for alias in aliases if alias in written and alias not in taken), None)
        if old is None:
            missing += group
        else:
            taken[old] = group
    return taken, missing


def require_present(record: str, required: str | None, missing: Sequence[ReaderColumn], depth: int) -> None:
    """Raise CodecError where the column that orders the rows is among those that a writer's record lacks."""
    for want in missing:
        if want.name == required:
            field = want.steps[depth].names[0]
            raise CodecError(f"record {record} has no field {field}, which orders the rows")


def missing_value(record: str, want: ReaderColumn, depth: int) -> DefaultValue:
    """Return what stands in for a column whose field a writer's record lacks."""
    default: Any = want.steps[depth].default
    if default is None and not want.steps[depth].nullable:
        raise CodecError(
            f"record {record} has no field {want.steps[depth].names[0]}, which the stream requires: "
            "give the column a default or let it be null"
        )
    return default_value(want.number, want.column, default)
