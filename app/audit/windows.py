"""Functions over a window, for the audit: sums of whole numbers, and selections out of each row's slice."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from app.audit.exact import Sums, Units, ratio, root_of_ratio, units
from app.audit.past import NONE, Past, Settings, Stretches
from schemas.batch import Int64s

Slice: TypeAlias = npt.NDArray[Any]  # the values of a window that are there, oldest first

IN_ORDER_ROWS_MAX: Final = 4_096  # of a time window whose values are sorted, or gone through again and again
PPM: Final = 1_000_000
LANES: Final = 4
FLOAT: Final = pl.Float64()
INT: Final = pl.Int64()
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def stretches_of(past: Past, settings: Settings, reset: str = "none") -> Stretches:
    """The rows that see each other by the setting `reset`, or what it is where it is not said."""
    return past.stretches(by_session=settings.get("reset", reset) == "session")


def least_of(settings: Settings, least: int = 1) -> int:
    """The fewest values for a result."""
    wanted: int = settings.get("min_count", settings.get("rows", 1))
    return max(least, wanted)


def fits(value: int) -> int | None:
    """An integer, None where 64 bits do not hold it."""
    return value if _INT64_MIN <= value <= _INT64_MAX else None


class Windows:
    """The slices of one call, and sums of values over them; `counts` says how many values each has."""

    def __init__(self, past: Past, settings: Settings, *, reset: str = "none") -> None:
        self.stretches = stretches_of(past, settings, reset)
        self.first = self.stretches.windows(settings)
        self.end = self.stretches.here + 1

    def units(self, values: pl.Series) -> Units:
        """The values as they stand in the stretches."""
        return units(self.stretches.of(values))

    def sums(self, values: Units) -> list[int]:
        """The sum of each slice, in units."""
        return Sums(values).over(self.first, self.end)

    def counts(self, values: Units) -> list[int]:
        """How many values each slice has."""
        return Sums(values._replace(values=[0] * len(values.values))).counts(self.first, self.end)

    def put(self, values: Sequence[Any], kind: pl.DataType = FLOAT) -> pl.Series:
        """A value for each slice, for all rows."""
        return self.stretches.put(values, kind)


def rolling_count(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R30."""
    windows = Windows(past, settings)
    return windows.put(windows.counts(windows.units(x)), INT)


def rolling_sum(past: Past, x: pl.Series, *, reset_of: str = "none", **settings: Any) -> pl.Series:
    """R31; of integers an integer."""
    windows = Windows(past, settings, reset=reset_of)
    own = windows.units(x)
    counted = zip(windows.sums(own), windows.counts(own), strict=True)
    least = least_of(settings)
    if not x.dtype.is_float():
        return windows.put([fits(total) if n >= least else None for total, n in counted], INT)
    return windows.put([ratio(total, 1, own.exponent) if n >= least else None for total, n in counted])


def rolling_mean(past: Past, x: pl.Series, *, reset_of: str = "none", **settings: Any) -> pl.Series:
    """R32."""
    windows = Windows(past, settings, reset=reset_of)
    own = windows.units(x)
    counted = zip(windows.sums(own), windows.counts(own), strict=True)
    least = least_of(settings)
    return windows.put([ratio(total, n, own.exponent) if n >= least else None for total, n in counted])


def weighted_mean(past: Past, x: pl.Series, weight: pl.Series, **settings: Any) -> pl.Series:
    """The sum of x * weight by that of the weights above 0, of rows that have both; reset by session."""
    windows = Windows(past, settings, reset="session")
    values, weights = windows.units(x), windows.units(weight)
    traded = values.valid & weights.valid & (np.array(weights.values, dtype=object) > 0).astype(np.bool_)
    weights = weights.where(traded)
    worth = windows.sums(values.where(traded).times(weights))
    counted = zip(worth, windows.sums(weights), windows.counts(weights), strict=True)
    least = least_of(settings)
    return windows.put(
        [ratio(total, of, values.exponent) if n >= least else None for total, of, n in counted]
    )


class Moments(NamedTuple):
    """Of n pairs of whole numbers, in units of 2**unit, their sums.

    `xx`, `xy` and `yy` are n times the sum of the products, less the product of the sums.
    """

    n: int
    sx: int
    sy: int
    xx: int
    xy: int
    yy: int
    unit: int


def moments(
    past: Past,
    x: pl.Series,
    y: pl.Series,
    of: Callable[[Moments], float | None],
    least: int,
    *,
    reset_of: str = "none",
    **settings: Any,
) -> pl.Series:
    """`of` the pairs of each slice that has enough of them."""
    windows = Windows(past, settings, reset=reset_of)
    one, other = windows.units(x), windows.units(y)
    both = one.valid & other.valid
    unit = min(one.exponent, other.exponent)
    one, other = one.where(both).at(unit), other.where(both).at(unit)
    sums = [windows.sums(each) for each in (one, other)]
    squares = [windows.sums(a.times(b)) for a, b in ((one, one), (one, other), (other, other))]
    fewest = least_of(settings, least)
    values: list[float | None] = []
    for n, sx, sy, xx, xy, yy in zip(windows.counts(one), *sums, *squares, strict=True):
        pairs = Moments(n, sx, sy, n * xx - sx * sx, n * xy - sx * sy, n * yy - sy * sy, unit)
        values.append(of(pairs) if n >= fewest else None)
    return windows.put(values)


def rolling_var(past: Past, x: pl.Series, *, ddof: int = 1, **settings: Any) -> pl.Series:
    """R33."""

    def of(m: Moments) -> float | None:
        return ratio(m.xx, m.n * (m.n - ddof), 2 * m.unit)

    return moments(past, x, x, of, ddof + 1, **settings)


def rolling_std(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R34: the root of R33."""
    return rolling_var(past, x, **settings).sqrt()


def rolling_cov(past: Past, a: pl.Series, b: pl.Series, **settings: Any) -> pl.Series:
    """R41."""
    return moments(past, a, b, lambda m: ratio(m.xy, m.n * (m.n - 1), 2 * m.unit), 2, **settings)


def rolling_corr(past: Past, a: pl.Series, b: pl.Series, **settings: Any) -> pl.Series:
    """R42."""
    return moments(past, a, b, lambda m: root_of_ratio(m.xy * m.xy, m.xx * m.yy, m.xy), 2, **settings)


def rolling_beta(
    past: Past, y: pl.Series, x: pl.Series, *, output: str = "beta", **settings: Any
) -> pl.Series:
    """R43, y on x."""

    def of(m: Moments) -> float | None:
        if output != "intercept":
            return ratio(m.xy, m.xx)
        return ratio(m.sy * m.xx - m.xy * m.sx, m.n * m.xx, m.unit)

    return moments(past, x, y, of, 2, **settings)


def rolling_zscore(
    past: Past, x: pl.Series, *, ddof: int = 1, exclude_current: bool = False, **settings: Any
) -> pl.Series:
    """R44."""
    windows = Windows(past, settings)
    first, end = windows.first, windows.end
    if exclude_current:
        end = windows.stretches.here
        if "rows" in settings:
            first = np.maximum(windows.stretches.begin, end - settings["rows"])
    own = windows.units(x)
    sums, squares = (Sums(each).over(first, end) for each in (own, own.times(own)))
    counts = Sums(own).counts(first, end)
    least = least_of(settings, max(2, ddof + 1))
    values: list[float | None] = []
    for now, here, n, sx, sxx in zip(own.values, own.valid.tolist(), counts, sums, squares, strict=True):
        apart = n * now - sx
        enough = here and n >= least
        values.append(
            root_of_ratio(apart * apart * (n - ddof), n * (n * sxx - sx * sx), apart) if enough else None
        )
    return windows.put(values)


def newest_extreme(x: pl.Series, first: Int64s, *, largest: bool) -> Int64s:
    """Of each row the place of the newest extreme value from `first` up to it; `NONE` without a value.

    By halves: the extreme of 2**k rows is that of two extremes of half as many.
    """
    valid = x.is_not_null().to_numpy().astype(np.bool_)
    values = x.fill_null(0).to_numpy()
    places = np.where(valid, np.arange(values.size), NONE)

    def newer(one: Int64s, other: Int64s) -> Int64s:
        better = values[other] >= values[one] if largest else values[other] <= values[one]
        return np.where((other != NONE) & ((one == NONE) | better), other, one)

    here = np.arange(values.size)
    length = here + 1 - first
    found = np.full(values.size, NONE, np.int64)
    width = 1
    while width <= length.max(initial=0):
        rows = np.flatnonzero((length >= width) & (length < 2 * width))
        found[rows] = newer(places[first[rows]], places[here[rows] + 1 - width])
        reach = places.size - width
        places = newer(places[:reach], places[width:]) if reach > 0 else places[:0]
        width *= 2
    return found


def extreme(past: Past, x: pl.Series, *, largest: bool, back: bool, **settings: Any) -> pl.Series:
    """R35, or with `back` R45."""
    windows = Windows(past, settings)
    own = windows.stretches.of(x)
    found = newest_extreme(own, windows.first, largest=largest)
    counts = np.asarray(windows.counts(units(own)))
    found = np.where(counts >= least_of(settings), found, NONE)
    if not back:
        return windows.stretches.pick(own, found)
    here = windows.stretches.here
    return windows.stretches.pick(pl.Series(here - found), np.where(found == NONE, NONE, here))


def by_slice(
    past: Past, x: pl.Series, of: Callable[[Slice, Any], float | None], least: int = 1, **settings: Any
) -> pl.Series:
    """`of(the values of a slice, the row's own value)` for each that has enough values."""
    stretches = stretches_of(past, settings)
    first = stretches.windows(settings, IN_ORDER_ROWS_MAX)
    own = stretches.of(x)
    now = own.to_list()
    kept = own.drop_nulls().to_numpy()
    until = np.concatenate([[0], np.cumsum(own.is_not_null().to_numpy())])
    fewest = least_of(settings, least)
    values: list[float | None] = []
    for i, (a, b) in enumerate(zip(until[first].tolist(), until[stretches.here + 1].tolist(), strict=True)):
        values.append(of(kept[a:b], now[i]) if b - a >= fewest else None)
    return stretches.put(values, FLOAT)


def rolling_quantile(past: Past, x: pl.Series, *, q_ppm: int, **settings: Any) -> pl.Series:
    """R37."""

    def of(v: Slice, _: Any) -> float | None:
        k, ppm = divmod(q_ppm * (v.size - 1), PPM)
        s = np.sort(v)
        below = float(s[k])
        value = below + (float(s[k + 1]) - below) * (ppm / PPM) if ppm else below
        return value if math.isfinite(value) else None

    return by_slice(past, x.cast(pl.Float64), of, **settings)


def rolling_median(past: Past, x: pl.Series, **settings: Any) -> pl.Series:
    """R36."""
    return rolling_quantile(past, x, q_ppm=PPM // 2, **settings)


def rolling_rank(past: Past, x: pl.Series, *, pct: bool = False, **settings: Any) -> pl.Series:
    """R38."""

    def of(v: Slice, now: Any) -> float | None:
        if now is None:
            return None
        rank = int((v < now).sum()) + (int((v == now).sum()) + 1) / 2
        return rank / v.size if pct else rank

    return by_slice(past, x, of, **settings)


def sum4(values: Slice) -> float:
    """Four lanes, value i in lane i mod 4, each added in order; (l0 + l1) + (l2 + l3)."""
    padded = np.zeros(-(-values.size // LANES) * LANES)
    padded[: values.size] = values
    lanes = (
        [0.0, 0.0, 0.0, 0.0] if not values.size else np.add.accumulate(padded.reshape(-1, LANES))[-1].tolist()
    )
    return float((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))


def shape(past: Past, x: pl.Series, power: int, *, bias: bool = False, **settings: Any) -> pl.Series:
    """R39 for a power of 3, R40 for 4."""

    def of(v: Slice, _: Any) -> float | None:
        n = v.size
        d = v - (v[0] + sum4(v - v[0]) / n)
        squares = d * d
        m2 = sum4(squares) / n
        if power == 3:
            m, scale = sum4(squares * d) / n, m2 * math.sqrt(m2)
        else:
            m, scale = sum4(squares * squares) / n, m2 * m2
        if not scale > 0:
            return None
        if power == 3:
            value = m / scale if bias else math.sqrt(n * (n - 1)) / (n - 2) * m / scale
        else:
            value = (
                m / scale - 3 if bias else (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * m / scale - 3 * (n - 1))
            )
        return value if math.isfinite(value) else None

    with np.errstate(all="ignore"):
        return by_slice(past, x.cast(pl.Float64), of, power, **settings)
