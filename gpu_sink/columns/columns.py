"""From Arrow columns into the places of a slot: values copied once, nulls as masks, words as codes.

Numbers, times, booleans, short words and codes of dictionaries go from the message's memory to the slot's
without an array in between.  Two kinds do not: words longer than `gpu_sink.columns.word_keys` takes are
looked up by Arrow, which makes one array of codes per frame, and decimals and coarse timestamps are converted
by Arrow, which checks their range.  Small frames are joined first (`gpu_sink.batches.fill`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gpu_sink.columns.layout import Columns, Field
from gpu_sink.columns.words import NULL_CODE, Dictionary
from gpu_sink.contract import is_label
from gpu_sink.errors import ColumnError

VALID: Final = "_valid"  # `<column>_valid` masks the rows where a nullable column has a value

# The eight bits of a byte as eight booleans, lowest first, read as one 64-bit word.
_BITS: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view(
    np.uint64
)[:, 0]

Kind = Literal["numbers", "bits", "codes", "text", "cast"]


class ColumnPlan(NamedTuple):
    """How one column is read; `dtype` is what it becomes, `under_null` what lies where it has no value.

    `chosen` says that its reader named the dtype, `label` that the column is made of later rows.
    """

    name: str
    type: pa.DataType
    nullable: bool
    kind: Kind
    source: np.dtype[Any]
    dtype: np.dtype[Any]
    under_null: float | int | bool
    chosen: bool
    label: bool = False


Bits = npt.NDArray[np.uint8] | None


class _Opened(NamedTuple):
    """One column of a frame, ready to be copied from.

    `column`   None where the frame lacks it: all its rows are null.
    `bitmap`   which rows have a value, None where all have.
    `numbers`  values from row `lower` of the frame on, as they are to be copied; None where they are made.
    `bounded`  whether values may not fit; `filled`: whether anything may lie under nulls.
    `words`    per code of the frame's dictionary the stream's.
    """

    plan: ColumnPlan
    mask: str
    column: Any
    bitmap: Bits = None
    numbers: npt.NDArray[Any] | None = None
    lower: int = 0
    bounded: bool = False
    filled: bool = False
    words: npt.NDArray[np.int32] | None = None


def plan_columns(
    schema: pa.Schema, columns: Sequence[str] | None, dtypes: Mapping[str, str]
) -> tuple[ColumnPlan, ...]:
    """Plan the chosen columns, all where None; raises ColumnError naming one that cannot be read so."""
    names = list(schema.names if columns is None else dict.fromkeys(columns))
    for name in [*names, *dtypes]:
        if name not in schema.names:
            raise ColumnError(
                f"no column {name}; there are {', '.join(schema.names)}; for one that comes later, or is "
                'gone, say columns_missing="null"'
            )
    masks = {name + VALID for name in names if schema.field(name).nullable}
    if taken := masks & set(names):
        name = min(taken)
        raise ColumnError(f"column {name} has the name of the mask of {name.removesuffix(VALID)}")
    return tuple(_plan(schema.field(name), dtypes.get(name)) for name in names)


def fitting_plan(plan: ColumnPlan, field: pa.Field) -> ColumnPlan | None:
    """How a frame's own column is read to where a plan has it; None where its type is another one.

    Nanoseconds are the same as int64 and as an Arrow timestamp; of another type are only numbers whose dtype
    the reader chose.
    """
    if read_as(field.type) == read_as(plan.type):
        return plan
    if not plan.chosen or plan.kind in ("text", "codes"):
        return None
    try:
        return _plan(field.with_nullable(plan.nullable), plan.dtype.str)
    except ColumnError:
        return None


def read_as(type_: pa.DataType) -> pa.DataType:
    """The type itself, but int64 for a timestamp in nanoseconds: both hold the same bytes."""
    return pa.int64() if pa.types.is_timestamp(type_) and type_.unit == "ns" else type_


def readable_columns(schema: pa.Schema) -> list[str]:
    """The columns that can be read, which are all but nested ones and a few of Arrow's rarer types."""
    readable = []
    for field in schema:
        try:
            _plan(field, None)
        except ColumnError:
            continue
        readable.append(field.name)
    return readable


def fields_of(plans: Sequence[ColumnPlan]) -> list[Field]:
    """The columns of a batch: each planned one, and behind a nullable one its mask."""
    fields = []
    for plan in plans:
        fields.append(Field(plan.name, plan.dtype))
        if plan.nullable:
            fields.append(Field(plan.name + VALID, np.dtype(np.bool_)))
    return fields


class ColumnWriter:
    """Writes rows of frames into columns; owns the scratch memory, so that a batch allocates none."""

    def __init__(
        self, plans: Sequence[ColumnPlan], dictionaries: Mapping[str, Dictionary], rows_max: int
    ) -> None:
        self._plans = plans
        self._rows: pa.RecordBatch | None = None  # the frame of which `_opened` are the columns
        self._opened: list[_Opened] = []
        # Of the columns of the last frame; a look-up by name costs twice one by number.
        self._schema: pa.Schema | None = None
        self._numbers: list[int | None] = []
        self._own: list[ColumnPlan] = []
        self._planned = [plan.name for plan in plans]
        self._dictionaries = dictionaries
        self._index = np.empty(rows_max + 16, np.intp)
        self._wide = np.empty(rows_max // 8 + 4, np.uint64)
        self._flags = np.empty(rows_max, np.bool_)

    def join(self, parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch | None:
        """The planned columns of small parts as one batch, None where Arrow had better not join them."""
        if any(plan.kind == "codes" for plan in self._plans):  # each part has a dictionary of its own
            return None
        names = parts[0].schema.names
        if names != self._planned:
            present = [name for name in self._planned if name in names]
            parts = [part.select(present) for part in parts]
        try:
            return pa.concat_batches(parts)
        except pa.ArrowInvalid:  # more text than Arrow holds in one batch
            return None

    def write(self, rows: pa.RecordBatch, lower: int, count: int, columns: Columns, at: int) -> None:
        """Copy `count` rows from `lower` on into `columns`, from row `at` on.

        Raises ColumnError where a value does not fit the chosen type.
        """
        if rows is not self._rows:
            self._open(rows, lower)
        upper = lower + count
        for one in self._opened:
            plan = one.plan
            values = columns[plan.name][at : at + count]
            valid = None
            if plan.nullable:
                valid = columns[one.mask][at : at + count]
                if one.column is None:
                    valid[:] = False
                    values[:] = plan.under_null
                    continue
                if one.bitmap is None:
                    valid[:] = True
                    valid = None
                else:
                    self._expand(one.bitmap, one.column.offset + lower, valid, at)
            if one.numbers is not None:
                numbers = one.numbers[lower - one.lower : upper - one.lower]
                if one.bounded:
                    require_range(plan, numbers, valid)
                values[:] = numbers
            elif count:
                self._convert(one, lower, values, valid)
            if valid is not None and one.filled:
                flags = self._flags[:count]
                np.logical_not(valid, out=flags)
                np.putmask(values, flags, plan.under_null)

    def _open(self, rows: pa.RecordBatch, lower: int) -> None:
        """Look up once per frame what every batch that takes rows from it needs."""
        self._rows, self._opened = None, []
        if self._schema is None or not rows.schema.equals(self._schema):
            self._learn(rows.schema)
        for plan, number in zip(self._own, self._numbers, strict=True):
            if number is None:
                self._opened.append(_Opened(plan, plan.name + VALID, None))
                continue
            column = rows.column(number)
            bitmap = None
            if column.null_count:
                if not plan.nullable:
                    raise ColumnError(f"column {plan.name} has a null, and its layout says that it has none")
                bitmap = np.frombuffer(column.buffers()[0], np.uint8)
            self._opened.append(self._opened_column(plan, column, bitmap, lower))
        self._rows = rows

    def _learn(self, schema: pa.Schema) -> None:
        """Look up once per layout where the planned columns are, and how those of other types are read."""
        names = schema.names
        self._schema, self._numbers, self._own = schema, [], []
        for plan in self._plans:
            number = names.index(plan.name) if plan.name in names else None
            own = plan if number is None else fitting_plan(plan, schema.field(number))
            assert own is not None, "the layout was not checked"
            assert number is not None or plan.nullable, "a column that may be missing has a mask"
            self._numbers.append(number)
            self._own.append(own)

    def _opened_column(self, plan: ColumnPlan, column: pa.Array, bitmap: Bits, lower: int) -> _Opened:
        mask = plan.name + VALID
        if plan.kind == "numbers":
            bounded = plan.dtype.kind in "iu" and plan.dtype != plan.source
            return _Opened(plan, mask, column, bitmap, _numbers(column, plan.source), 0, bounded, True)
        words = self._dictionaries.get(plan.name)
        if plan.kind == "text" and words is not None and not (words.closed or words.is_short):
            # One look-up per frame; a closed dictionary counts the rows handed over that it does not know.
            codes = words.codes(column.slice(lower))
            return _Opened(plan, mask, column, bitmap, codes, lower, False, False)
        ours = None
        if plan.kind == "codes" and words is not None:
            ours = np.empty(len(column.dictionary), np.int32)
            words.write(column.dictionary, 0, None, ours)
        return _Opened(plan, mask, column, bitmap, None, 0, False, True, ours)

    def _convert(
        self, one: _Opened, lower: int, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None
    ) -> None:
        """Values that do not lie in the message as they do in the batch."""
        plan, count = one.plan, len(values)
        if plan.kind == "bits":
            bits = np.frombuffer(one.column.buffers()[1], np.uint8)
            self._expand(bits, one.column.offset + lower, self._flags[:count], 0)
            np.copyto(values, self._flags[:count])
        elif plan.kind == "text":
            self._dictionaries[plan.name].write(one.column, lower, valid, values)
        elif one.words is not None:
            index = self._index[:count]
            np.copyto(index, _numbers(one.column.indices, plan.source)[lower : lower + count])
            if len(one.words):
                one.words.take(index, out=values, mode="clip")  # clip: what lies under a null is any number
            else:
                values[:] = NULL_CODE
        else:
            numbers = _numbers(_cast(plan, one.column.slice(lower, count)), plan.source)
            if plan.dtype.kind in "iu" and plan.dtype != plan.source:
                require_range(plan, numbers, valid)
            np.copyto(values, numbers, casting="same_kind")

    def _expand(
        self, bitmap: npt.NDArray[np.uint8], first: int, flags: npt.NDArray[np.bool_], at: int
    ) -> None:
        """Bits of a bitmap from `first` on, one boolean each; `flags` are row `at` on of aligned memory."""
        lower, upper = first // 8, (first + len(flags) + 7) // 8
        index, wide = self._index[: upper - lower], self._wide[: upper - lower]
        np.copyto(index, bitmap[lower:upper])
        start = first - 8 * lower
        if not (start or len(flags) % 8 or at % 8):  # straight to where they are wanted
            _BITS.take(index, out=flags.view(np.uint64), mode="clip")
            return
        _BITS.take(index, out=wide, mode="clip")
        np.copyto(flags, wide.view(np.bool_)[start : start + len(flags)])


def _plan(field: pa.Field, choice: str | None) -> ColumnPlan:
    kind, source, under_null = _kind(field)
    own = np.dtype(np.int32) if kind in ("text", "codes") else source
    dtype = own if choice is None else _dtype(field, choice)
    if kind in ("text", "codes"):
        if dtype != own:
            raise ColumnError(f"column {field.name} is {field.type}: its codes are int32, not {dtype}")
    elif not np.can_cast(source, dtype, "same_kind") or dtype.kind not in "iufb":
        raise ColumnError(f"column {field.name} is {field.type}, which {dtype} does not hold")
    if dtype.kind == "f":
        under_null = np.nan
    chosen = choice is not None
    return ColumnPlan(
        field.name,
        field.type,
        field.nullable,
        kind,
        source,
        dtype,
        under_null,
        chosen,
        is_label(field),
    )


def _dtype(field: pa.Field, choice: str) -> np.dtype[Any]:
    try:
        return np.dtype(choice)
    except TypeError:
        raise ColumnError(f"column {field.name}: {choice!r} is not a NumPy dtype") from None


def _kind(field: pa.Field) -> tuple[Kind, np.dtype[Any], float | int | bool]:
    type_ = field.type
    if pa.types.is_boolean(type_):
        return "bits", np.dtype(np.bool_), False
    if pa.types.is_integer(type_):
        return "numbers", np.dtype(type_.to_pandas_dtype()), 0
    if pa.types.is_floating(type_):
        return "numbers", np.dtype(type_.to_pandas_dtype()), np.nan
    if pa.types.is_decimal(type_):
        return "cast", np.dtype(np.float64), np.nan
    if pa.types.is_timestamp(type_):
        return ("numbers" if type_.unit == "ns" else "cast"), np.dtype(np.int64), 0
    if pa.types.is_date32(type_):
        return "numbers", np.dtype(np.int32), 0
    if _is_text(type_):
        return "text", np.dtype(np.int32), NULL_CODE
    if pa.types.is_dictionary(type_) and _is_text(type_.value_type):
        return "codes", np.dtype(type_.index_type.to_pandas_dtype()), NULL_CODE
    raise ColumnError(f"column {field.name} is {type_}, which no tensor holds: leave it out with columns=")


def _is_text(type_: pa.DataType) -> bool:
    return any(
        fits(type_)
        for fits in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
        )
    )


def word_type(type_: pa.DataType) -> pa.DataType | None:
    """The type of a text column's words, None for a column of another kind."""
    words = type_.value_type if pa.types.is_dictionary(type_) else type_
    return words if _is_text(words) else None


def _numbers(column: pa.Array, source: np.dtype[Any]) -> npt.NDArray[Any]:
    """A view of a column's values, whatever lies under its nulls."""
    if not len(column):
        return np.empty(0, source)
    return np.frombuffer(column.buffers()[1], source, len(column), column.offset * source.itemsize)


def _cast(plan: ColumnPlan, column: pa.Array) -> pa.Array:
    if pa.types.is_decimal(plan.type):
        return pc.cast(column, pa.float64(), safe=False)
    try:
        return column.cast(pa.timestamp("ns", plan.type.tz))
    except pa.ArrowInvalid as beyond:
        raise ColumnError(f"column {plan.name}: {beyond}") from None


def require_range(plan: ColumnPlan, numbers: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> None:
    """Raise ColumnError for a value beyond the chosen type; values under a null are not looked at."""
    limits = np.iinfo(plan.dtype)
    where: Any = True if valid is None else valid
    lowest, highest = (
        int(np.min(numbers, where=where, initial=0)),
        int(np.max(numbers, where=where, initial=0)),
    )
    if lowest < limits.min or highest > limits.max:
        value = lowest if lowest < limits.min else highest
        raise ColumnError(f"column {plan.name}: {value} does not fit {plan.dtype}; choose a wider dtype")
