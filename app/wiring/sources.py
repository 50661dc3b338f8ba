"""Sources: what says which fields the messages of an input have, and reads them; one for each format."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from topics.arrow.decode import PLACE_COLUMNS, FrameValues
from topics.avro.decode import AvroValues
from topics.avro.schema import field_column, left_out, record_columns
from topics.values import DecodeLimits, FieldPath, ValueDecoder
from topics.wire import CodecError, SchemaRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueNeeds:
    """What a value decoder must know besides its columns.

    `subjects` are those of which every schema must be readable, none where messages may be dead instead.
    `required` is the column that holds a row's time, None where no column does.
    """

    stream: str
    registry: SchemaRegistry
    limits: DecodeLimits
    subjects: Sequence[str]
    required: str | None
    takes_null_keys: bool


class Source(Protocol):
    """Gives the columns of one input, and what reads them."""

    @property
    def reads_progress(self) -> bool:
        """Whether what it makes reads progress records, which are Avro in every topic, itself."""
        ...

    @property
    def headed(self) -> bool:
        """Whether a header of each message names its schema."""
        ...

    def values(self, paths: Sequence[FieldPath], needs: ValueNeeds) -> ValueDecoder:
        """Make what reads these columns; raises CodecError for one that cannot be read."""
        ...

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """Return the columns named, with those needed that are there; of None all fields that can be columns.

        Raises CodecError naming one that is not there or cannot be a column.
        """
        ...

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """Return the field at a path with dots as a column; raises CodecError where there is none.

        `kind` is its type, where messages do not say it.  With `token` it is for a time: text as written.
        """
        ...

    def left_out(self) -> Mapping[str, str]:
        """The fields that cannot be columns, each with the reason."""
        ...

    def require_readable(self, paths: Sequence[FieldPath]) -> None:
        """Raise CodecError where these columns cannot be read together."""
        ...


@dataclass(frozen=True, slots=True)
class AvroSource:
    """An Avro record; messages name their schemas in a header if `headed`, nowhere if `bare`."""

    schema: str
    bare: bool = False
    headed: bool = False

    @property
    def reads_progress(self) -> bool:
        """As `Source.reads_progress`."""
        return not self.bare and not self.headed

    def values(self, paths: Sequence[FieldPath], needs: ValueNeeds) -> ValueDecoder:
        """As `Source.values`."""
        return AvroValues(
            _columns(paths),
            needs.registry,
            needs.limits,
            stream=needs.stream,
            subjects=needs.subjects,
            required=needs.required,
            takes_null_keys=needs.takes_null_keys or not self.reads_progress,
            bare=self.schema if self.bare else None,
            headed=self.headed,
        )

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """As `Source.columns`."""
        found = record_columns(self.schema, stream=stream, needed=needed, columns=columns)
        return [FieldPath(column, (str(column.name),)) for column in found]

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`."""
        return FieldPath(field_column(self.schema, path, column), tuple(path.split(".")))

    def left_out(self) -> Mapping[str, str]:
        """As `Source.left_out`."""
        return left_out(self.schema)

    def require_readable(self, paths: Sequence[FieldPath]) -> None:
        """As `Source.require_readable`: the schema has each of them."""


@dataclass(frozen=True, slots=True)
class JsonSource:
    """JSON says nothing: the settings do, field by field; `prefixed` says that schema ids stand before it."""

    prefixed: bool = False
    reads_progress: bool = False
    headed: bool = False

    def values(self, paths: Sequence[FieldPath], needs: ValueNeeds) -> ValueDecoder:
        """As `Source.values`."""
        from topics.json.decode import JsonValues  # here and below: who reads no JSON does not load it

        return JsonValues(paths, needs.limits, prefixed=self.prefixed)

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """Never asked: the settings of a JSON stream have its fields."""
        raise AssertionError(f"stream {stream}: JSON messages do not say their fields")

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`."""
        field = pa.field(column, pa.string() if token else named_type(column, kind or ""))
        return FieldPath(field, tuple(path.split(".")), token)

    def left_out(self) -> Mapping[str, str]:
        """Nothing: only what is asked for is looked at."""
        return {}

    def require_readable(self, paths: Sequence[FieldPath]) -> None:
        """As `Source.require_readable`."""
        from topics.json.plan import compile_plan

        compile_plan(paths)


@dataclass(frozen=True, slots=True)
class FrameSource:
    """The columns of another pipeline's frames, whose headers say how far they are complete."""

    schema: pa.Schema
    reads_progress: bool = False
    headed: bool = False

    def values(self, paths: Sequence[FieldPath], needs: ValueNeeds) -> ValueDecoder:
        """As `Source.values`."""
        own = bool(needs.subjects)
        return FrameValues(_columns(paths), needs.limits, stream=needs.stream, own=own)

    def columns(self, stream: str, needed: Collection[str], columns: Sequence[str] | None) -> list[FieldPath]:
        """As `Source.columns`: of None all but the rows' places in the input of that pipeline."""
        names = self.schema.names
        if columns is None:
            wanted = [name for name in names if name not in PLACE_COLUMNS]
        else:
            wanted = [*dict.fromkeys([*columns, *(name for name in needed if name in names)])]
        return [self.at(name, name) for name in wanted]

    def at(self, path: str, column: str, *, kind: str | None = None, token: bool = False) -> FieldPath:
        """As `Source.at`; frames are flat, so that a path is a column's name."""
        place = self.schema.get_field_index(path)
        if place < 0:
            raise CodecError(f"frames have no column {path}; they have {', '.join(self.schema.names)}")
        if column != path:
            raise CodecError(f"columns of frames keep their names: read {path} as it is")
        return FieldPath(self.schema.field(place), (path,))

    def left_out(self) -> Mapping[str, str]:
        """Nothing: what a frame holds is columns."""
        return {}

    def require_readable(self, paths: Sequence[FieldPath]) -> None:
        """As `Source.require_readable`: the frame has each of them."""


def named_type(column: str, name: str) -> pa.DataType:
    """Return the Arrow type of a name such as int64, double or decimal128(18, 4); raises CodecError."""
    try:
        kind, _, arguments = name.strip().removesuffix(")").partition("(")
        if kind in ("decimal", "decimal128") and arguments:
            precision, scale = (int(number) for number in arguments.split(","))
            return pa.decimal128(precision, scale)
        return pa.type_for_alias(name.strip())
    except ValueError:
        raise CodecError(
            f"fields.{column}: {name!r} is no type: write bool, int8 to int64, uint8 to uint64, float, "
            "double, string or decimal128(PRECISION, SCALE)"
        ) from None


def _columns(paths: Sequence[FieldPath]) -> pa.Schema:
    return pa.schema([path.column for path in paths])
