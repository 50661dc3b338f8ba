"""What a label node adds to its rows: columns by kind of label, from the tables of its kernels."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.labels import places as at
from operators.labels.settings import FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from operators.sealed import Statuses
from schemas.reasons import DOMAIN, NULL_IN
from schemas.reasons import OK as HAS_VALUE

Bools = npt.NDArray[np.bool_]

LABEL: Final = "label"
ENDS: Final = {
    "label_end_ns": at.LABEL_END,
    "info_end_ns": at.INFO_END,
    "label_known_ns": at.LABEL_KNOWN,
}
REASON: Final = "label_reason"
# By reason of a label, that of a feature as frames count it.
STATUSES: Final = np.array(
    [HAS_VALUE, NULL_IN, NULL_IN, DOMAIN, DOMAIN, DOMAIN, DOMAIN, DOMAIN],
    np.uint8,
)


class _Part(NamedTuple):
    """The tables of some rows, and which of them have a label."""

    whole: at.Whole
    real: at.Real
    labelled: Bools
    label: Label


Column = Callable[[_Part], pa.Array]


def fields_of(label: Label) -> list[pa.Field]:
    """The columns that a label adds, in order; the reason is null where there is a label."""
    kind = pa.float64() if isinstance(label, FixedHorizon) else pa.int8()
    types = {LABEL: kind, "barrier": pa.string()}
    values = [pa.field(name, types.get(name, pa.float64())) for name in _columns_of(label)]
    return [*values, *(pa.field(name, pa.int64()) for name in ENDS), pa.field(REASON, pa.string())]


def columns_of(label: Label, whole: at.Whole, real: at.Real) -> list[pa.Array]:
    """The columns that a label adds to rows, all of which are decided."""
    part = _Part(whole, real, whole[at.REASON] == at.OK, label)
    values = [make(part) for make in _columns_of(label).values()]
    ends = [pa.array(whole[place], mask=~part.labelled) for place in ENDS.values()]
    return [*values, *ends, pa.array(at.REASON_NAMES).take(pa.array(whole[at.REASON], mask=part.labelled))]


def statuses_of(whole: at.Whole) -> Mapping[str, Statuses]:
    """Why rows have no label, as frames count it; empty where all have one."""
    if not whole[at.REASON].any():
        return {}
    return {LABEL: STATUSES[whole[at.REASON]]}


def _columns_of(label: Label) -> dict[str, Column]:
    """By name what makes a column."""
    if isinstance(label, TripleBarrier):
        first = _meta if isinstance(label, Meta) else _label
        more = {"barrier": _barrier, "exit_price": _exit_price}
        return {LABEL: first, "ret": _ret, "side_ret": _side_ret, **more}
    if isinstance(label, TrendScan):
        return {LABEL: _label, "t_value": _t_value, "ret": _ret}
    return {LABEL: _label, "ret": _ret} if isinstance(label, Sign) else {LABEL: _ret}


def _label(part: _Part) -> pa.Array:
    return pa.array(part.whole[at.LABEL].astype(np.int8), mask=~part.labelled)


def _meta(part: _Part) -> pa.Array:
    """L8."""
    label = part.label
    assert isinstance(label, Meta), "a meta label has settings of its own"
    earns = part.real[at.SIDE] * part.real[at.RETURN] > label.cost
    if label.need_barrier:
        profit = np.where(part.real[at.SIDE] > 0, at.BY_UPPER, at.BY_LOWER)
        earns &= part.whole[at.BARRIER] == profit
    return pa.array(earns.astype(np.int8), mask=~part.labelled)


def _ret(part: _Part) -> pa.Array:
    return pa.array(part.real[at.RETURN] + 0.0, mask=~part.labelled)


def _side_ret(part: _Part) -> pa.Array:
    return pa.array(part.real[at.SIDE] * part.real[at.RETURN] + 0.0, mask=~part.labelled)


def _exit_price(part: _Part) -> pa.Array:
    return pa.array(part.real[at.EXIT] / max(part.label.scale, 1), mask=~part.labelled)


def _t_value(part: _Part) -> pa.Array:
    return pa.array(part.real[at.EXIT] + 0.0, mask=~part.labelled)


def _barrier(part: _Part) -> pa.Array:
    return pa.array(at.BARRIER_NAMES).take(pa.array(part.whole[at.BARRIER], mask=~part.labelled))
