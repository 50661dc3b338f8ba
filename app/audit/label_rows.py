"""From rows to the labels that a node should have given them; all rows of a partition are held for it."""

import bisect
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from app.audit.label_halts import Rows, known_of, with_halts
from app.audit.label_walk import NEVER, Float64s, Outcome, Path, labels_of
from app.audit.made import HALTED_INSIDE, LABEL_COLUMNS, MAYBE, SESSION, THERE, MadeRules
from app.audit.past import NONE, group_codes
from operators.labels.settings import Bins, FixedHorizon, Label, Sign, TripleBarrier
from operators.labels.spread_node import LaterMid
from operators.sessions.sessions import CalendarError, ids_if_known
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS

GRID_ERROR_MAX: Final = 1e-6  # ticks that a float may lie beside a whole number of them (K1)
TICKS_MAX: Final = 2.0**40
WHOLE: Final = frozenset({"label_end_ns", "info_end_ns", "label_known_ns"})


def label_frames(
    rules: MadeRules, frames: Iterable[pl.DataFrame], beside: Iterable[pl.DataFrame] | None, complete_ns: int
) -> Iterator[pl.DataFrame]:
    """All rows with their labels; from the first on that still waits they are marked by `MAYBE`.

    `beside` are the rows with the later mids of a spread, or with statuses; None where some of them are gone,
    and nobody can say what the labels were.
    """
    settings = rules.node.label
    assert settings is not None, f"{rules.node.name} makes no labels"
    rows = _held(frames, rules.on, complete_ns)
    if not rows.frame.height:
        return
    others = _held(beside or (), rules.on, complete_ns)
    found, kinds = _spreads(rules, rows, others) if settings.quotes else _labels(rules, rows)
    if settings.halts:
        found = with_halts(rules, rows, found, others)
        kinds = {**kinds, HALTED_INSIDE: pl.Boolean}
    if beside is None:
        found = [Outcome(NEVER)] * len(found)
    waits = [row for row, one in enumerate(found) if one.decided_at == NEVER]
    first = min([rows.certain, *waits])
    columns = [
        pl.Series(name, [one.values.get(name) for one in found], kinds[name], strict=False)
        for name in rules.brought
        if name != "label_reason"
    ]
    if "label_reason" in LABEL_COLUMNS[settings.key]:
        columns.append(pl.Series("label_reason", [one.reason for one in found], pl.String))
    undecided = np.array([one.decided_at == NEVER for one in found])
    maybe = np.arange(len(found)) >= first
    yield rows.frame.drop(MAYBE, strict=False).with_columns(
        *columns,
        pl.Series(MAYBE, maybe),
        *(pl.Series(THERE + column.name, ~undecided) for column in columns if undecided.any()),
    )


def _held(frames: Iterable[pl.DataFrame], on: str, complete_ns: int) -> Rows:
    frame = pl.concat([pl.DataFrame(), *frames], how="diagonal_relaxed")
    if not frame.height:
        return Rows(frame, 0, complete_ns)
    certain = frame.height
    if MAYBE in frame.columns and frame[MAYBE].any():
        certain = int(frame[MAYBE].arg_max() or 0)
        complete_ns = min(complete_ns, int(frame[on][certain]))
    last_ns = int(frame[on][certain - 1]) if certain else BEGINNING_NS
    return Rows(frame, certain, max(complete_ns, last_ns))


def _labels(rules: MadeRules, rows: Rows) -> tuple[list[Outcome], Mapping[str, Any]]:
    """What comes of each row, and the types of the columns."""
    settings, frame = rules.node.label, rows.frame
    assert settings is not None, f"{rules.node.name} makes no labels"
    label = settings.label(frame.columns, rules.upstream.scales)
    group = group_codes(frame, rules.key).copy()
    group[rows.certain :] = NONE
    found = [Outcome(place, "null_in") for place in range(rows.certain)]
    found += [Outcome(NEVER)] * (frame.height - rows.certain)
    for symbol in np.unique(group[group != NONE]):
        own = np.flatnonzero(group == symbol)
        path = _path(rules, label, rows, own)
        for place, one in zip(own.tolist(), labels_of(path, label, ticks=_ticks(label, frame)), strict=True):
            found[place] = one
    kinds: dict[str, Any] = dict.fromkeys(WHOLE, pl.Int64)
    kinds |= {"label": pl.Float64 if isinstance(label, FixedHorizon) else pl.Int8, "barrier": pl.String}
    floats = ("ret", "side_ret", "exit_price", "t_value")
    return found, {**kinds, **dict.fromkeys(floats, pl.Float64)}


def _path(rules: MadeRules, label: Label, rows: Rows, own: Int64s) -> Path:
    frame = rows.frame[own]
    time_ns = frame[rules.on].cast(pl.Int64).to_numpy()
    session = frame[SESSION].to_numpy() if SESSION in frame.columns else ids_if_known(rules.sessions, time_ns)
    price = _prices(frame, label, label.price)
    bars = [price] * 3
    scale, side = np.ones(own.size), np.ones(own.size)
    if isinstance(label, TripleBarrier):
        bars = [_prices(frame, label, name) for name in label.ohlc or [label.price] * 3]
        lacking = np.isnan([price, *bars]).any(axis=0)
        price = np.where(lacking, np.nan, price)
        bars = [np.where(lacking, np.nan, one) for one in bars]
        scale = _floats(frame[label.sigma])
        side = _floats(frame[label.side]) if isinstance(label.side, str) else np.full(own.size, label.side)
    elif isinstance(label, Sign):
        band = np.ones(own.size) if label.band_column is None else _floats(frame[label.band_column])
        scale = np.where(np.isfinite(label.band * band), label.band * band, np.nan)
    elif isinstance(label, Bins) and label.sigma is not None:
        sigma = _floats(frame[label.sigma])
        scale = np.where(sigma > 0, sigma, np.nan)
    inside = np.ones(own.size, np.bool_)
    if not label.across_sessions:
        inside = _sessions_of(rules, time_ns + label.bound_ns) == session
    return Path(
        own,
        time_ns,
        known_of(frame, time_ns),
        session,
        inside,
        price,
        bars[0],
        bars[1],
        bars[2],
        scale,
        np.asarray(side, np.float64),
        rows.frame[rules.on].cast(pl.Int64).to_numpy()[: rows.certain],
        rows.complete_ns,
    )


def _sessions_of(rules: MadeRules, moments: Int64s) -> Int64s:
    """The session of each moment; of one that no calendar knows none that there is."""
    try:
        return np.asarray(rules.sessions(moments), np.int64)
    except CalendarError:
        return np.array([_session_of(rules, moment) for moment in moments], np.int64)


def _session_of(rules: MadeRules, moment: np.int64) -> int:
    try:
        return int(rules.sessions(np.array([moment]))[0])
    except CalendarError:
        return -(2**62)


def _ticks(label: Label, frame: pl.DataFrame) -> bool:
    return label.scale > 0 or frame[label.price].dtype.is_integer()


def _prices(frame: pl.DataFrame, label: Label, name: str) -> Float64s:
    """Prices as floats, in whole ticks where they are scaled; NaN where one is no whole number of them."""
    floats = _floats(frame[name])
    if not label.scale:
        return floats
    with np.errstate(over="ignore", invalid="ignore"):
        ticks = floats * label.scale
        whole = np.rint(ticks)
        near = (np.abs(ticks - whole) <= GRID_ERROR_MAX) & (np.abs(whole) < TICKS_MAX)
    return np.where(near, whole, np.nan)


def _floats(column: pl.Series) -> Float64s:
    floats = np.array(column.cast(pl.Float64).to_numpy(), np.float64) + 0.0
    return np.where(np.isfinite(floats), floats, np.nan)


def _spreads(rules: MadeRules, rows: Rows, quotes: Rows) -> tuple[list[Outcome], Mapping[str, Any]]:
    """Q17 and Q18: each trade beside the last mid no later than the horizon after it."""
    settings, frame = rules.node.label, rows.frame
    assert settings is not None, f"{rules.node.name} makes no labels"
    what = settings.later_mid(frame.columns)
    mids = _mids(rules, what, quotes)
    keys = frame.select(rules.key).rows()
    time_ns = frame[rules.on].cast(pl.Int64).to_numpy()
    columns = [_floats(frame[name]).tolist() for name in (what.price, what.direction, what.mid)]
    known_ns = known_of(frame, time_ns).tolist()
    found = []
    for place, values in enumerate(zip(*columns, strict=True)):
        at_ns = int(time_ns[place])
        end_ns = at_ns + what.horizon_ns
        if place >= rows.certain or quotes.complete_ns <= end_ns or rows.complete_ns < at_ns:
            found.append(Outcome(NEVER))
            continue
        moments, ones = mids.get(tuple(map(str, keys[place])), ([], []))
        last = bisect.bisect_right(moments, end_ns) - 1
        mid, then_ns, mid_known_ns = ones[last] if last >= 0 else (math.nan, None, BEGINNING_NS)
        if then_ns is not None and not what.across_sessions and not _in_one(rules, at_ns, then_ns, end_ns):
            mid = math.nan
        value = _spread(what, settings.key, values, mid)
        named: dict[str, Any] = {settings.key: value, "later_mid": None if math.isnan(mid) else mid}
        if value is not None:
            label_known_ns = max(known_ns[place], mid_known_ns, end_ns)
            named |= {"label_end_ns": end_ns, "info_end_ns": end_ns, "label_known_ns": label_known_ns}
        found.append(Outcome(place, None, named))
    kinds: dict[str, Any] = dict.fromkeys(WHOLE, pl.Int64)
    return found, {**kinds, settings.key: pl.Float64, "later_mid": pl.Float64}


Mids = dict[tuple[str, ...], tuple[list[int], list[tuple[float, int, int]]]]


def _mids(rules: MadeRules, what: LaterMid, quotes: Rows) -> Mids:
    """By key the times of the quotes that have a mid, and of each the mid, its time, when it was known."""
    mids: Mids = {}
    assert rules.beside is not None, "a spread reads quotes"
    frame = quotes.frame.head(quotes.certain)
    if not frame.height:
        return mids
    time_ns = frame[rules.on].cast(pl.Int64).to_numpy()
    values = _floats(frame[what.mid]).tolist()
    known = known_of(frame, time_ns).tolist()
    for key, at_ns, mid, known_ns in zip(
        frame.select(rules.beside.key).rows(), time_ns.tolist(), values, known, strict=True
    ):
        if not math.isnan(mid) and None not in key:
            moments, ones = mids.setdefault(tuple(map(str, key)), ([], []))
            moments.append(at_ns)
            ones.append((mid, at_ns, known_ns))
    return mids


def _in_one(rules: MadeRules, *moments: int) -> bool:
    """Whether all of these moments are in one session."""
    sessions = _sessions_of(rules, np.array(moments, np.int64)).tolist()
    return sessions[0] != NONE and len(set(sessions)) == 1


def _spread(what: LaterMid, key: str, values: tuple[float, float, float], later: float) -> float | None:
    price, side, mid = values
    of_spread = key == "realised_spread"
    value = 2.0 * side * (price - later if of_spread else later - mid)
    if what.relative:
        value = value / mid if mid else math.nan
    needed = (price, side, mid) if what.relative or not of_spread else (price, side)
    known = not any(map(math.isnan, needed))
    return value + 0.0 if known and side in (-1.0, 0.0, 1.0) and math.isfinite(value) else None
