"""Times in whatever form a message has them become int64 nanoseconds, UTC, or a reason why not.

The zone rules come with Polars, so they need no time zone files of the machine.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.batch import Bools, Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S, NS_PER_US
from topics.times_kernel import BEYOND, NO_TIME, READ, read_iso, read_numbers

Form = Literal["ns", "us", "ms", "s", "iso"]

_NS_PER: Final = {"ns": 1, "us": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S}
_DIGITS_TO_NS: Final = {"ns": 0, "us": 3, "ms": 6, "s": 9}
# What becomes of a time, beside what the kernel says.
_NO_ZONE: Final = 16
_NO_MOMENT: Final = 17
BEYOND_WORDS: Final = "is beyond what int64 nanoseconds can say: from 1677-09-21 to 2262-04-11"
_WORDS: Final = {
    NO_TIME: "is no time",
    BEYOND: BEYOND_WORDS,
    _NO_ZONE: "has no zone: say which in `zone`",
    _NO_MOMENT: "is no single moment: clocks are changed then",
}
_INT64: Final = 2.0**63
_INT64_MAX: Final = 2**63 - 1


class TimeFormError(ValueError):
    """A column cannot be read as times in this form; the message says which forms would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeForm:
    """How times are written.

    `form` is the unit of numbers since the epoch ("ns", "us", "ms", "s", in numbers or in text), or "iso" for
    text such as `2024-01-15T09:30:00.123456789Z`; None for a column whose type says it.  `zone` is that of
    times that name none ("America/New_York"); without it they are refused.  `zero_is_none` says that a number
    of 0 stands for no time, as where a format cannot tell 0 from a field that is not there.
    """

    form: Form | None = None
    zone: str | None = None
    zero_is_none: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """Times of a column: `ns` where `valid`; a row that is neither valid nor null is `wrong`."""

    column: pa.Array
    ns: Int64s
    valid: Bools
    wrong: Bools
    state: Int64s

    def to_arrow(self) -> pa.Array:
        """The times as an int64 column, null where there is none."""
        return pa.array(self.ns) if self.valid.all() else pa.array(self.ns, mask=~self.valid)

    def reason(self, row: int) -> str:
        """What is wrong with a row, its value first."""
        value = self.column[row]
        # A timestamp far away is more than Python's datetime holds.
        plain = value.value if pa.types.is_timestamp(value.type) else value.as_py()
        shown = repr(plain) if isinstance(plain, str) else str(plain)
        return f"{shown} {_WORDS[int(self.state[row])]}"


def require_form(column: str, kind: pa.DataType, form: TimeForm) -> None:
    """Raise TimeFormError where a column of this type cannot be read in this form."""
    dated, text = pa.types.is_timestamp(kind), _is_text(kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if form.zone is not None:
        _require_zone(form.zone)
    if dated:
        if form.form is not None:
            raise TimeFormError(f"{column} is {kind}, which says what its times are: leave the form out")
    elif not text and not number:
        raise TimeFormError(f"{column} of type {kind} holds no times")
    elif form.form is None:
        forms = "ns, us, ms, s or iso" if text else "ns, us, ms or s"
        raise TimeFormError(f"{column} is {kind}: say in which form its times are: {forms}")
    elif form.form == "iso" and not text:
        raise TimeFormError(f'{column} is {kind}, and form = "iso" is for text: say ns, us, ms or s')
    if form.zone is not None and form.form not in (None, "iso"):
        raise TimeFormError(f"{column}: numbers since the epoch have no zone: leave the zone out")


def to_ns(column: pa.Array, form: TimeForm) -> Times:
    """Return the times of a column that `require_form` lets pass.

    What a form holds beyond nanoseconds is cut off, so that no time is later than it was; a float is rounded
    to the nearest nanosecond, since what it holds beyond them is noise.
    """
    kind = column.type
    valid = np.asarray(column.is_valid()) if column.null_count else np.ones(len(column), np.bool_)
    if form.zero_is_none and form.form not in (None, "iso") and not _is_text(kind):
        valid = valid & np.asarray(pc.not_equal(column, pa.scalar(0, kind)).fill_null(False))
    ns, state, local = np.zeros(len(column), np.int64), np.where(valid, READ, NO_TIME).astype(np.int64), None
    if pa.types.is_timestamp(kind):
        scaled = _scaled(_words(column), _NS_PER[kind.unit], ns, state)
        local = None if kind.tz is not None else scaled
    elif pa.types.is_floating(kind):
        _floats(column, _NS_PER[form.form or "ns"], ns, state)
    elif pa.types.is_integer(kind) and kind != pa.uint64():
        _scaled(_words(column), _NS_PER[form.form or "ns"], ns, state)
    else:
        local = _texts(column, form, ns, state)
    if local is not None:
        _place(local, form.zone, ns, state)
    good = valid & (state == READ)
    return Times(column, np.where(good, ns, 0), good, valid & ~good, state)


def _words(column: pa.Array) -> Int64s:
    """The values of a column of whole numbers as int64, anything where null."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp(column.type.unit)).view(pa.int64())
    filled = column.fill_null(0) if column.null_count else column
    words: Int64s = np.asarray(filled.cast(pa.int64()))
    return words


def _scaled(values: Int64s, factor: int, ns: Int64s, state: Int64s) -> Bools:
    """Write `values` times `factor`; those that do not fit are beyond.  Return which rows were read."""
    limit = (2**63 - 1) // factor
    beyond = (values > limit) | (values < -limit)
    state[beyond & (state == READ)] = BEYOND
    ns[:] = np.where(beyond, 0, values) * factor
    read: Bools = state == READ
    return read


def _floats(column: pa.Array, factor: int, ns: Int64s, state: Int64s) -> None:
    values = np.asarray(column.fill_null(0).cast(pa.float64()))
    finite = np.isfinite(values)
    state[~finite & (state == READ)] = NO_TIME
    whole = np.floor(np.where(finite, values, 0.0))
    beyond = np.abs(whole) >= _INT64 / factor
    state[beyond & finite & (state == READ)] = BEYOND
    whole = np.where(beyond, 0.0, whole)
    part = np.where(finite & ~beyond, values - whole, 0.0)
    whole_ns, part_ns = whole.astype(np.int64) * factor, np.rint(part * factor).astype(np.int64)
    last = whole_ns > _INT64_MAX - part_ns  # the second in which int64 ends
    state[last & (state == READ)] = BEYOND
    ns[:] = np.where(last, 0, whole_ns + part_ns)


def _texts(column: pa.Array, form: TimeForm, ns: Int64s, state: Int64s) -> Bools | None:
    """Read times in text; return which of them name no zone, or None where none ever does."""
    text = column.cast(pa.large_string())
    _, ends, data = text.buffers()
    bounds = np.frombuffer(ends, np.int64)[text.offset : text.offset + len(text) + 1]
    address = 0 if data is None else data.address
    if form.form != "iso":
        read_numbers(address, bounds, _DIGITS_TO_NS[form.form or "ns"], ns, state)
        return None
    local = np.zeros(len(text), np.bool_)
    read_iso(address, bounds, ns, state, local)
    return local


def _place(local: Bools, zone: str | None, ns: Int64s, state: Int64s) -> None:
    """Make moments of the times that name no zone."""
    local = local & (state == READ)
    if not local.any():
        return
    if zone is None:
        state[local] = _NO_ZONE
        return
    import polars as pl  # most streams need no zone, and a worker starts sooner without it

    wall = pl.Series(ns[local]).cast(pl.Datetime("ns"))
    moments = wall.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").to_physical()
    missing = moments.is_null().to_numpy()
    placed = moments.fill_null(0).to_numpy()
    # A clock is at most a day off; what seems more has left int64 at one end and come in at the other.
    wrapped = ~missing & ((placed < 0) != (ns[local] < 0)) & (np.abs(placed // 2) > _INT64_MAX // 4)
    ns[local] = placed
    state[np.flatnonzero(local)[missing]] = _NO_MOMENT
    state[np.flatnonzero(local)[wrapped]] = BEYOND


def _require_zone(zone: str) -> None:
    import polars as pl

    try:
        pl.Series([0]).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(zone)
    except pl.exceptions.ComputeError:
        raise TimeFormError(
            f"{zone!r} is not a time zone: write a name such as America/New_York or UTC"
        ) from None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
