"""What a label node adds to its rows: columns by kind of label, from the tables of its kernels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.labels import places as at
from operators.labels.held import Decided
from operators.labels.name_kernel import write_names
from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from operators.labels.trailing_kernel import TOO_FEW, Classes
from operators.sealed import Statuses
from schemas.reasons import DOMAIN, NULL_IN, WARMING
from schemas.reasons import OK as HAS_VALUE

Bools = npt.NDArray[np.bool_]

LABEL: Final = "label"
ENDS: Final = {
    "label_end_ns": at.LABEL_END,
    "info_end_ns": at.INFO_END,
    "label_known_ns": at.LABEL_KNOWN,
}
HALTED_INSIDE: Final = "halted_inside"
REASON: Final = "label_reason"
TOO_EARLY: Final = len(at.REASON_NAMES)  # too few labels before it for edges that follow them
NAMES: Final = (*at.REASON_NAMES, "warming")
# By reason of a label, that of a feature as frames count it.
STATUSES: Final = np.array(
    [HAS_VALUE, NULL_IN, NULL_IN, DOMAIN, DOMAIN, DOMAIN, DOMAIN, DOMAIN, WARMING],
    np.uint8,
)


# By what decided, the label of a triple barrier; that of a vertical one may be its sign instead.
BARRIER_LABELS: Final = np.array([0, 1, -1, 0, 0], np.int8)


class _Part(NamedTuple):
    """What came of some rows, and which of them have a label."""

    whole: at.Whole
    real: at.Real
    labelled: Bools | None  # None where all have
    label: Label
    classes: Classes | None  # of bins whose edges follow the labels

    def field(self, place: int) -> npt.NDArray[np.float64]:
        """One of the float64 fields of `facts`."""
        values: npt.NDArray[np.float64] = self.real[place - at.RETURN]
        return values

    def column(self, values: npt.NDArray[Any]) -> pa.Array:
        """Values as a column, null and 0 where there is no label."""
        if self.labelled is None:
            return pa.array(values)
        return pa.array(np.where(self.labelled, values, values.dtype.type(0)), mask=~self.labelled)


Column = Callable[[_Part], pa.Array]


def fields_of(label: Label) -> list[pa.Field]:
    """The columns that a label adds, in order; the reason is null where there is a label."""
    kind = pa.float64() if isinstance(label, FixedHorizon) else pa.int8()
    types = {LABEL: kind, "barrier": pa.string()}
    values = [pa.field(name, types.get(name, pa.float64())) for name in _columns_of(label)]
    ends = [pa.field(name, pa.int64()) for name in ENDS]
    halts = [] if label.halted is None else [pa.field(HALTED_INSIDE, pa.bool_())]
    return [*values, *ends, *halts, pa.field(REASON, pa.string())]


def columns_of(
    label: Label, decided: Decided, classes: Classes | None = None, halted: Bools | None = None
) -> list[pa.Array]:
    """The columns that a label adds to rows, all of which are decided.

    `classes` are those of bins whose edges follow the labels; `halted` says which labels have a halt inside,
    where there are statuses.
    """
    _, reasons, whole, real = decided
    labelled = reasons == at.OK
    part = _Part(whole, real, None if labelled.all() else labelled, label, classes)
    values = [make(part) for make in _columns_of(label).values()]
    ends = [part.column(whole[place]) for place in ENDS.values()]
    halts = [] if halted is None else [part.column(halted)]
    return [*values, *ends, *halts, _names(REASON_NAMES, _all_reasons(decided, classes))]


def statuses_of(decided: Decided, classes: Classes | None = None) -> Mapping[str, Statuses]:
    """Why rows have no label, as frames count it; empty where all have one."""
    reasons = _all_reasons(decided, classes)
    return {LABEL: STATUSES[reasons]} if reasons.any() else {}


def measured_of(decided: Decided) -> npt.NDArray[np.float64]:
    """What bins go by: the return, by the column that it is held against."""
    with np.errstate(all="ignore"):  # of rows without a label
        measured = decided.real[0] / decided.real[at.AGAINST - at.RETURN]
    return np.asarray(measured + 0.0, np.float64)


def _all_reasons(decided: Decided, classes: Classes | None) -> npt.NDArray[np.int8]:
    if classes is None:
        return decided.reasons
    return np.where(classes == TOO_FEW, np.int8(TOO_EARLY), decided.reasons)


def _columns_of(label: Label) -> dict[str, Column]:
    """By name what makes a column."""
    if isinstance(label, TripleBarrier):
        first = _meta if isinstance(label, Meta) else _first_barrier
        more = {"barrier": _barrier, "exit_price": _exit_price}
        return {LABEL: first, "ret": _ret, "side_ret": _side_ret, **more}
    if isinstance(label, TrendScan):
        return {LABEL: _trend, "t_value": _t_value, "ret": _ret}
    if isinstance(label, Sign | Bins):
        return {LABEL: _sign if isinstance(label, Sign) else _bin, "ret": _ret}
    return {LABEL: _ret}


def _first_barrier(part: _Part) -> pa.Array:
    """L1."""
    label = part.label
    assert isinstance(label, TripleBarrier), "barriers have settings of their own"
    values = BARRIER_LABELS.take(part.whole[at.BARRIER])
    if label.vertical == "sign":
        values = np.where(part.whole[at.BARRIER] >= at.BY_TIME, _sign_of(part.field(at.RETURN)), values)
    return part.column(values)


def _sign(part: _Part) -> pa.Array:
    """L3."""
    return part.column(_sign_of(part.field(at.RETURN), part.field(at.AGAINST)))


def _bin(part: _Part) -> pa.Array:
    """L4: how many edges lie below the return."""
    label, classes = part.label, part.classes
    assert isinstance(label, Bins), "bins have settings of their own"
    if classes is not None:
        return pa.array(np.maximum(classes, np.int8(0)), mask=classes < 0)
    with np.errstate(all="ignore"):  # of rows without a label
        measured = part.field(at.RETURN) / part.field(at.AGAINST)
    return part.column(np.searchsorted(np.array(label.edges), measured).astype(np.int8))


def _trend(part: _Part) -> pa.Array:
    """L5."""
    label = part.label
    assert isinstance(label, TrendScan), "a scan has settings of its own"
    values = _sign_of(part.field(at.EXIT))
    values[np.abs(part.field(at.EXIT)) < label.t_min] = 0
    return part.column(values)


def _sign_of(
    values: npt.NDArray[np.float64], band: npt.NDArray[np.float64] | float = 0.0
) -> npt.NDArray[np.int8]:
    """1 above a band, -1 below it on the other side of 0, else 0."""
    return (values > band).view(np.int8) - (values < -band).view(np.int8)


def _meta(part: _Part) -> pa.Array:
    """L8."""
    label = part.label
    assert isinstance(label, Meta), "a meta label has settings of its own"
    side = part.field(at.AGAINST)
    earns = side * part.field(at.RETURN) > label.cost
    if label.need_barrier:
        earns &= part.whole[at.BARRIER] == np.where(side > 0, at.BY_UPPER, at.BY_LOWER)
    return part.column(earns.view(np.int8))


def _ret(part: _Part) -> pa.Array:
    return part.column(part.field(at.RETURN) + 0.0)


def _side_ret(part: _Part) -> pa.Array:
    return part.column(part.field(at.AGAINST) * part.field(at.RETURN) + 0.0)


def _exit_price(part: _Part) -> pa.Array:
    prices = part.field(at.EXIT)
    return part.column(prices / part.label.scale if part.label.scale > 1 else prices)


def _t_value(part: _Part) -> pa.Array:
    return part.column(part.field(at.EXIT) + 0.0)


def _barrier(part: _Part) -> pa.Array:
    codes = part.whole[at.BARRIER]
    return _names(BARRIER_NAMES, codes if part.labelled is None else np.where(part.labelled, codes, 0))


class _Names(NamedTuple):
    """Names by number, the first of which stands for null: their bytes, 0 behind the end, and their sizes."""

    letters: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]


def _named(names: Sequence[str]) -> _Names:
    widest = max(len(name) for name in names)
    letters = np.frombuffer("".join(name.ljust(widest, "\0") for name in names).encode(), np.uint8)
    return _Names(letters.reshape(len(names), widest), np.array([len(name) for name in names], np.int32))


def _names(names: _Names, codes: npt.NDArray[np.integer[Any]]) -> pa.Array:
    """The names that these numbers stand for."""
    if not codes.any():
        return pa.nulls(codes.size, pa.string())
    offsets = np.empty(codes.size + 1, np.int32)
    data = np.empty((codes.size + 1) * names.letters.shape[1], np.uint8)
    end = write_names(codes.astype(np.int8, copy=False), names.letters, names.sizes, offsets, data)
    valid = None if (codes != 0).all() else pa.array(codes != 0).buffers()[1]
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(data[:end])]
    return pa.Array.from_buffers(pa.string(), codes.size, buffers)


BARRIER_NAMES: Final = _named(at.BARRIER_NAMES)
REASON_NAMES: Final = _named(NAMES)
