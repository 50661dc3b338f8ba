"""One written value and the column it goes to: whether it fits by Avro's rules, and how to read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro import nested_kernel, value_kernel
from topics.avro.arrow_types import arrow_type, avro_type, whole_number_bounds
from topics.avro.reader import ReaderColumn, clock_unit_ns
from topics.avro.types import AvroType
from topics.wire import CodecError

# Avro's promotions: what a reader may make of what was written.
_PROMOTIONS: Final = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
    ("string", "bytes"),
    ("bytes", "string"),
    ("enum", "string"),
}
_OPERATIONS: Final = {
    "int": value_kernel.VARINT,
    "long": value_kernel.VARINT,
    "float": value_kernel.HALF,
    "double": value_kernel.WORD,
    "boolean": value_kernel.BOOLEAN,
    "string": value_kernel.TEXT,
    "bytes": value_kernel.BYTES,
    "fixed": value_kernel.FIXED,
    "enum": value_kernel.SYMBOL,
}
_LOW_WORD: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Symbols:
    """The texts of an enum's indexes, to be pointed at: int64 [2, symbols], addresses and sizes."""

    table: Int64s
    memory: bytes


@dataclass(frozen=True, slots=True)
class Value:
    """How to read one value: `instruction` is int64 [INSTRUCTION_WIDTH].

    `convert` makes the words as written into those of the column, in a step after the kernel or, by the
    instruction's promotion, in it; `symbols` are those of an enum that becomes text.
    """

    instruction: Int64s
    convert: Callable[[Int64s], Int64s] | None = None
    symbols: Symbols | None = None


def skip_instruction(leaf: AvroType, union: int) -> Int64s:
    """Return how to read past a value that no column wants."""
    instruction = np.zeros(value_kernel.INSTRUCTION_WIDTH, dtype=np.int64)
    instruction[value_kernel.OPERATION] = _OPERATIONS[leaf.kind]
    instruction[value_kernel.UNION] = union
    instruction[value_kernel.SIZE] = leaf.size
    instruction[value_kernel.LOWER : value_kernel.UPPER + 1] = _bounds(leaf, None)
    instruction[value_kernel.SLOT] = value_kernel.NOWHERE
    instruction[value_kernel.VALID] = value_kernel.NOWHERE
    return instruction


def value_of(name: str, leaf: AvroType, union: int, want: ReaderColumn, slot: int) -> Value:
    """Return how to read a value into a column at `slot`; raises CodecError where it does not fit."""
    target = want.column
    source = arrow_type(name, leaf)
    factor = clock_unit_ns(name, target.name, source) if target.type == pa.int64() else None
    if factor is None:
        _require_compatible(name, leaf, target)
    instruction = skip_instruction(leaf, union)
    instruction[value_kernel.SLOT] = slot
    instruction[value_kernel.VALID] = want.number if target.nullable else value_kernel.REQUIRED
    _aim(instruction, leaf, target.type)
    if factor is not None and factor != 1:
        instruction[value_kernel.LOWER] = -(2**63 // factor)
        instruction[value_kernel.UPPER] = (2**63 - 1) // factor
        instruction[value_kernel.SIZE] = factor
        instruction[value_kernel.PROMOTION] = nested_kernel.SCALED
        return Value(instruction, lambda words: words * factor)
    if leaf.kind == "enum":
        symbols = _symbols(leaf, want)
        instruction[value_kernel.SIZE] = symbols.table.ctypes.data
        instruction[value_kernel.PROMOTION] = nested_kernel.SYMBOL_TO_TEXT
        return Value(instruction, symbols=symbols)
    promotion, convert = _conversion(leaf.kind, target.type)
    instruction[value_kernel.PROMOTION] = promotion
    return Value(instruction, convert)


def kind_of(declared: Any) -> str:
    """Return the kind of an Avro type that is JSON: a word, or a table with one."""
    return str(declared["type"] if isinstance(declared, dict) else declared)


def _aim(instruction: Int64s, leaf: AvroType, target: pa.DataType) -> None:
    """Fit the operation to the column the value goes to."""
    if pa.types.is_decimal(target):
        fixed = leaf.kind == "fixed"
        operation = value_kernel.FIXED_DECIMAL if fixed else value_kernel.DECIMAL
        instruction[value_kernel.OPERATION] = operation
        limit = 10**target.precision - 1
        instruction[value_kernel.LOWER] = -limit >> 64
        instruction[value_kernel.UPPER] = limit >> 64
        instruction[value_kernel.LOWER_LOW] = _signed(-limit & _LOW_WORD)
        instruction[value_kernel.UPPER_LOW] = _signed(limit & _LOW_WORD)
    elif target == pa.uint64():
        instruction[value_kernel.OPERATION] = value_kernel.WORD
    elif leaf.kind in ("string", "bytes"):
        text = pa.types.is_string(target) or pa.types.is_large_string(target)
        instruction[value_kernel.OPERATION] = value_kernel.TEXT if text else value_kernel.BYTES
    elif leaf.kind in ("int", "long"):
        instruction[value_kernel.LOWER : value_kernel.UPPER + 1] = _bounds(leaf, target)


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


def _bounds(leaf: AvroType, target: pa.DataType | None) -> tuple[int, int]:
    if leaf.kind == "enum":
        return 0, len(leaf.symbols) - 1
    if target is not None and not pa.types.is_floating(target):
        return whole_number_bounds(target, leaf.kind)
    return whole_number_bounds(pa.int64(), leaf.kind)


def _require_compatible(name: str, leaf: AvroType, target: pa.Field) -> None:
    """Raise CodecError unless the column can hold what the field says it is."""
    source = arrow_type(name, leaf)
    plain = target.type
    if source == plain:
        return
    refusal = cannot_hold(name, str(source), target)
    wanted = kind_of(avro_type(target))
    if leaf.kind != wanted and (leaf.kind, wanted) not in _PROMOTIONS:
        raise refusal
    if pa.types.is_decimal(source) or pa.types.is_decimal(plain):
        if not (pa.types.is_decimal(source) and pa.types.is_decimal(plain) and source.scale == plain.scale):
            raise refusal
        return
    if wanted == "fixed" and (pa.uint64() in (source, plain) or leaf.size != plain.byte_width):
        raise refusal
    if _meaning(source) == _meaning(plain):
        return
    # A bare number takes the reader's meaning; a number of nanoseconds may lose its name, another unit not.
    bare_source = _meaning(source) == ("number",)
    bare_plain = plain == pa.int64() and _meaning(source) in (("timestamp", "ns", True), ("duration", "ns"))
    if not bare_source and not bare_plain:
        raise refusal


def cannot_hold(name: str, written: str, target: pa.Field) -> CodecError:
    """Return the error for a field whose values do not go into a column."""
    return CodecError(
        f"field {name} is written as {written}, which column {target.name} ({target.type}"
        f"{'' if target.nullable else ', never null'}) cannot hold: "
        "publish it as the stream's type, or change the stream's column"
    )


def _meaning(plain: pa.DataType) -> tuple[object, ...]:
    """What a number stands for; two types of one meaning hold the same numbers."""
    if pa.types.is_timestamp(plain):
        return "timestamp", plain.unit, plain.tz is not None
    if pa.types.is_duration(plain):
        return "duration", plain.unit
    if pa.types.is_time(plain):
        return "time", plain.unit
    if pa.types.is_date(plain):
        return ("date", str(plain))
    return ("number",)


def _conversion(kind: str, target: pa.DataType) -> tuple[int, Callable[[Int64s], Int64s] | None]:
    """How a promoted number's word becomes the column's word, in the nested kernel and after the flat one."""
    if kind in ("int", "long") and target == pa.float64():
        return nested_kernel.WHOLE_TO_DOUBLE, lambda words: words.astype(np.float64).view(np.int64)
    if kind in ("int", "long") and target == pa.float32():
        return (
            nested_kernel.WHOLE_TO_FLOAT,
            lambda words: words.astype(np.float32).view(np.int32).astype(np.int64),
        )
    if kind == "float" and target == pa.float64():
        return (
            nested_kernel.FLOAT_TO_DOUBLE,
            lambda words: words.astype(np.uint32).view(np.float32).astype(np.float64).view(np.int64),
        )
    return nested_kernel.AS_IT_IS, None


def _symbols(leaf: AvroType, want: ReaderColumn) -> Symbols:
    """The writer's symbols, as the reader has them: one that its enum lacks is the enum's default."""
    texts = [
        (symbol if want.fallback is None or symbol in (want.symbols or ()) else want.fallback).encode()
        for symbol in leaf.symbols
    ]
    memory = b"".join(texts)
    size = np.array([len(text) for text in texts], dtype=np.int64)
    start = np.frombuffer(memory, dtype=np.uint8).ctypes.data
    return Symbols(np.stack((start + np.cumsum(size) - size, size)), memory)
