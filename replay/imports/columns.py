"""What becomes of a file's columns: which are kept, under which name and type, and which cannot pass."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import SourceError
from replay.imports.common_types import is_list_of_nothing
from replay.imports.options import ImportOptions
from replay.normalise import ValueRules
from topics.avro.arrow_types import avro_type
from topics.wire import CodecError

_WIRE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HEX: Final = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), dtype=np.uint8).reshape(256, 2)
_UUID_DASHES: Final = (8, 13, 18, 23)
_DECIMAL_DIGITS_MAX: Final = 38


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file that are kept: {name in the file: name in the history}, in the file's order.

    `notes` say what was left out or named anew, and `values` what becomes of values, by the history's names.
    """

    names: Mapping[str, str]
    notes: tuple[str, ...]
    values: ValueRules

    def find(self, name: str | None) -> str | None:
        """Return the history's name of a column that an option names by either."""
        return None if name is None else self.names.get(name, name)


def choose_columns(schema: pa.Schema, file: str, options: ImportOptions, needed: frozenset[str]) -> Columns:
    """Choose and name the columns of a file; `needed` are kept in any case.

    A name that messages cannot carry has its other characters replaced by `_`.  Raises SourceError where two
    columns would have one name.
    """
    kept = None if options.kept is None else {*options.kept, *needed, *options.renames}
    names: dict[str, str] = {}
    notes = []
    for name in schema.names:
        new = options.renames.get(name, name)
        if name in options.drop or (kept is not None and not {name, new} & kept):
            notes.append(f"{file}: {name} is left out")
            continue
        names[name] = new if _WIRE_NAME.match(new) else _wire_name(new)
        if names[name] != name:
            notes.append(f"{file}: {name or 'a column without a name'} becomes {names[name]}")
    for name, new in names.items():
        other = next(old for old, there in names.items() if there == new)
        if other != name:
            raise SourceError(
                f"{file}: columns {other!r} and {name!r} would both be {new}: "
                f"give one another name with --rename '{name}=NEW'"
            )
    rules = options.values
    values = ValueRules(
        {names.get(name, name): factor for name, factor in rules.factors.items()},
        {names.get(name, name): text for name, text in rules.defaults.items()},
    )
    return Columns(names, tuple(notes), values)


def require_known(options: ImportOptions, present: frozenset[str]) -> None:
    """Raise SourceError where an option names a column that no file has."""
    flags = {
        "--drop": options.drop,
        "--keep": options.kept or (),
        "--rename": options.renames,
        "--factor": options.values.factors,
        "--default": options.values.defaults,
    }
    for flag, names in flags.items():
        for name in names:
            renamed = flag in ("--keep", "--factor", "--default") and name in options.renames.values()
            if name not in present and not renamed:
                raise SourceError(f"{flag} {name}: no file has such a column; there are {_sorted(present)}")


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which the history keeps values of `kind`: equal values, one way of holding them.

    Dictionaries and runs become their values, views text or binary, UUIDs text, other extension types what
    they are stored as, half floats floats, decimals of other widths decimal128, and lists of every kind lists
    of plain values.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return pa.string() if _is_uuid(kind) else plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if _is_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal(kind) and not pa.types.is_decimal128(kind):
        return pa.decimal128(min(kind.precision, _DECIMAL_DIGITS_MAX), kind.scale)
    return kind


def why_not(column: pa.Field) -> str | None:
    """Return why messages cannot carry a column of the history, None where they can."""
    if pa.types.is_null(column.type) or is_list_of_nothing(column.type):
        return None  # text or lists of it, or what other files have
    try:
        avro_type(column)
    except CodecError:
        return f"column {column.name!r} is {column.type}, which messages cannot carry"
    return None


def plain_values(values: pa.ChunkedArray, name: str, file: str) -> pa.ChunkedArray:
    """Return a column in its plain type; raises SourceError where that cannot hold a value."""
    kind = plain_type(values.type)
    try:
        pieces = [_plain(piece, kind) for piece in values.chunks]
        plain = pa.chunked_array(pieces, type=kind)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            plain.validate(full=True)  # Parquet does not promise that text is UTF-8
    except pa.ArrowException as refused:
        raise SourceError(
            f"{file}: column {name!r} ({values.type}) cannot be taken as {kind}: {refused}; "
            f"leave it out with --drop {name!r}"
        ) from None
    return plain


def _plain(piece: pa.Array, kind: pa.DataType) -> pa.Array:
    if piece.type == kind:
        return piece
    if isinstance(piece.type, pa.BaseExtensionType):
        storage = piece.storage
        return _uuid_text(storage) if _is_uuid(piece.type) else _plain(storage, kind)
    if pa.types.is_dictionary(piece.type):
        words = _plain(piece.dictionary, kind)
        return words.take(piece.indices)
    if _is_list(piece.type):
        return _plain_lists(piece, kind)
    if pa.types.is_run_end_encoded(piece.type):
        return _plain(pc.run_end_decode(piece), kind)
    return piece.cast(kind)


def _plain_lists(piece: pa.Array, kind: pa.DataType) -> pa.Array:
    lists = piece.cast(pa.list_(piece.type.value_field))
    items = _plain(lists.values, kind.value_type)
    offsets = pa.array(np.asarray(lists.offsets))  # from_arrays takes no slice beside a mask
    return pa.ListArray.from_arrays(offsets, items, type=kind, mask=lists.is_null())


def _is_list(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    return any(test(kind) for test in tests)


def _uuid_text(storage: pa.Array) -> pa.Array:
    """Return 16 bytes a row as text like 00000000-0000-0000-0000-000000000005."""
    present = storage.is_valid()
    whole = storage.fill_null(bytes(16))
    values = np.frombuffer(whole.buffers()[1], dtype=np.uint8)[whole.offset * 16 :][: len(whole) * 16]
    text = np.full((len(whole), 36), ord("-"), dtype=np.uint8)
    places = [place for place in range(36) if place not in _UUID_DASHES]
    text[:, places] = _HEX[values].reshape(len(whole), 32)
    joined = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(36), len(whole), [None, pa.py_buffer(text.tobytes())]
    )
    written = joined.cast(pa.binary()).cast(pa.string())
    return pc.if_else(present, written, pa.scalar(None, pa.string()))


def _is_uuid(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.UuidType)


def _wire_name(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return plain if _WIRE_NAME.match(plain) else f"_{plain}"


def _sorted(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
