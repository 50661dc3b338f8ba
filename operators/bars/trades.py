"""The rows of a call as the kernels of bars take them: columns as they lie in memory wherever they can be."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.bars.columns import bar_parts
from operators.bars.grid import Cells, cells
from operators.bars.planned import PlannedBars, ValueNames
from operators.bars.words import Float64s, Trades
from operators.rows.groups import NO_GROUP
from operators.sealed import RowKeys
from schemas.batch import Bools, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

WHOLE: Final = ("int64", "int8")  # of which a column is its own formula
NO_VALUES: Final = np.empty((0, 0), np.float64)
NONE_THERE: Final = np.empty((0, 0), np.bool_)
NO_PARTS: Final = np.empty((0, 0), np.int64)


def own_columns(planned: PlannedBars) -> ValueNames | None:
    """The columns of the input where its formulas are nothing else, so that none has to be computed."""
    layout, settings = planned.values.layout, planned.settings
    if planned.values_of or settings.where:
        return None
    taken = ValueNames(settings.price.strip(), settings.size.strip(), settings.direction.strip(), "")
    for formula, column in zip(planned.names, taken, strict=True):
        if not formula:
            continue
        if column not in layout.names or layout.field(column).type != layout.field(formula).type:
            return None
        if str(layout.field(column).type) not in (WHOLE if formula == planned.names.direction else NUMBERS):
            return None
    return taken


NUMBERS: Final = (*WHOLE, "float64")


def read_trades(
    planned: PlannedBars, rows: pa.RecordBatch, keys: RowKeys, names: ValueNames, last: Cells | None = None
) -> tuple[Trades, Cells]:
    """The rows with the values of the columns of these names, and the bars that they would open.

    `last` are these of the rows before.  Raises CalendarError as `cells` does.
    """
    of_bars, whole = planned.rule.of_bars, planned.rule.whole
    time_ns = _instants(rows, "start_ns", keys.time_ns) if of_bars else keys.time_ns
    where = cells(planned.settings, planned.sessions, time_ns, last)
    price, size = (_numbers(rows.column(name), whole=whole) for name in (names.price, names.size))
    counts = keys.group != NO_GROUP
    if not where.inside.all():
        counts &= np.repeat(where.inside, np.diff(where.edges))
    if of_bars:  # one without trades is none of this bar, and one whose sums are too large is
        counts &= np.asarray(_filled(rows.column("count"), 0), np.int64) > 0
    else:
        for numbers in (price, size):
            if numbers.valid is not None:
                counts &= numbers.valid
        counts &= (size.values if whole else size.values.view(np.float64)) > 0
    if names.where:
        counts &= _true(rows.column(names.where))
    if names.direction:
        direction = _signs(_filled(rows.column(names.direction), 0))
    else:
        direction = np.zeros(rows.num_rows, np.int8)
    values, there = _values(rows, planned.values_of)
    event_ns = _instants(rows, "last_event_ns" if of_bars else EVENT_NS, keys.time_ns)
    parts = bar_parts(rows, whole=whole) if of_bars else NO_PARTS
    trades = fixed(
        Trades(
            group=_side_by_side(keys.group, np.int32),
            counts=counts.view(np.int8),
            time_ns=_side_by_side(time_ns),
            event_ns=event_ns,
            known_ns=_instants(rows, KNOWN_NS, event_ns),
            offset=_instants(rows, LEFT_OFFSET, event_ns),
            row=_instants(rows, LEFT_INDEX, event_ns),
            price=price.values,
            price_float=price.values.view(np.float64),
            size=size.values,
            size_float=size.values.view(np.float64),
            direction=direction,
            values=values,
            there=there,
            parts=parts,
            parts_float=parts.view(np.float64),
            edges=where.edges,
            begin=where.begin,
            bound=where.bound,
            cut=where.cut,
            session_end=where.session_end,
            session=where.session,
        )
    )
    return trades, where


def no_trades() -> Trades:
    """No rows."""
    int64s = np.empty(0, np.int64)
    floats, bytes_ = np.empty(0, np.float64), np.empty(0, np.int8)
    return fixed(
        Trades(
            group=np.empty(0, np.int32),
            counts=bytes_,
            time_ns=int64s,
            event_ns=int64s,
            known_ns=int64s,
            offset=int64s,
            row=int64s,
            price=int64s,
            price_float=floats,
            size=int64s,
            size_float=floats,
            direction=bytes_,
            values=NO_VALUES,
            there=NONE_THERE,
            parts=NO_PARTS,
            parts_float=NO_PARTS.view(np.float64),
            edges=np.zeros(1, np.int64),
            begin=int64s,
            bound=int64s,
            cut=bytes_,
            session_end=int64s,
            session=int64s,
        )
    )


def fixed(trades: Trades) -> Trades:
    """The same values as the kernels are compiled for them: nobody writes to them."""
    return Trades._make([_fixed(values) if values.flags.writeable else values for values in trades])


def _fixed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view


class _Numbers(NamedTuple):
    """Values, floats as their bits, and where there is one; None for everywhere."""

    values: Int64s
    valid: Bools | None


def _numbers(column: pa.Array, *, whole: bool) -> _Numbers:
    valid = _valid(column) if column.null_count else None
    values = _filled(column, 0)
    if whole:
        return _Numbers(_side_by_side(values), valid)
    floats = np.asarray(values, np.float64) + 0.0  # -0.0 is 0.0
    finite = np.isfinite(floats)
    return _Numbers(floats.view(np.int64), finite if valid is None else valid & finite)


def _values(rows: pa.RecordBatch, names: tuple[str, ...]) -> tuple[Float64s, Bools]:
    """What formulas sum up, (columns, rows), and where it is no null."""
    if not names:
        return NO_VALUES, NONE_THERE
    values = np.empty((len(names), rows.num_rows))
    there = np.empty(values.shape, np.bool_)
    for number, name in enumerate(names):
        values[number] = _filled(rows.column(name), 0)
        there[number] = _valid(rows.column(name))
    return values, there


def _side_by_side(values: npt.NDArray[np.generic], dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
    """The same values, of this type, without gaps."""
    return np.ascontiguousarray(values, dtype)


def _signs(values: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Values of the same sign that a byte holds."""
    fits = values.dtype == np.int8
    return _side_by_side(values if fits else np.sign(values), np.int8)


def _valid(column: pa.Array) -> Bools:
    return np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def _filled(column: pa.Array, value: int) -> npt.NDArray[np.generic]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    filled = column.fill_null(value) if column.null_count else column
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _true(column: pa.Array) -> Bools:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _instants(rows: pa.RecordBatch, name: str, otherwise: Int64s) -> Int64s:
    """A column of whole numbers; another one where it is not there, or null."""
    place = rows.schema.get_field_index(name)
    if place < 0:
        return _side_by_side(otherwise)
    column = rows.column(place)
    if not pa.types.is_integer(column.type):
        column = column.cast(pa.int64())
    values = _side_by_side(_filled(column, 0))
    if column.null_count:
        values = np.where(_valid(column), values, otherwise)
    return values
