"""Labels by their definitions L1 to L5, L8: for each event one walk over all rows after it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from tests.oracles.samples import sum4

SessionOf = Callable[[int], int]


class Row(NamedTuple):
    """A row as a label sees it: prices in ticks where these are whole, None for null."""

    time_ns: int
    symbol: str | None
    known_ns: int
    price: float | None
    bar: tuple[float | None, float | None, float | None] | None = None  # open, high, low
    scale: float | None = None  # sigma, or the band
    side: float | None = 1.0

    @property
    def extremes(self) -> tuple[float, float, float] | None:
        """Open, high and low; those of the price where there is no bar, None where anything is null."""
        parts = self.bar or (self.price, self.price, self.price)
        known = [value for value in (self.price, *parts) if value is not None]
        return (known[1], known[2], known[3]) if len(known) == 4 else None


class Status(NamedTuple):
    """What is said of a symbol from a moment on: whether it is halted, None for nothing."""

    time_ns: int
    symbol: str | None
    known_ns: int
    halted: bool | None


class Outcome(NamedTuple):
    """What comes of an event; `decided_at` is the row that decides, None for none."""

    decided_at: int | None
    reason: str | None = None
    label: float | None = None
    ret: float | None = None
    barrier: str | None = None
    exit_price: float | None = None
    label_end_ns: int | None = None
    info_end_ns: int | None = None
    known_ns: int | None = None
    t_value: float | None = None


def labels_slowly(
    rows: Sequence[Row], label: Label, session_of: SessionOf, complete_ns: int, *, ticks: bool = False
) -> list[Outcome | None]:
    """What comes of each row; None for one that may still wait."""
    outcomes: list[Outcome | None] = []
    for place, row in enumerate(rows):
        waiting = sum(
            other.symbol == row.symbol and (one is None or (one.decided_at or 0) > place)
            for other, one in zip(rows, outcomes, strict=False)
        )
        reason = _refused(row, label, session_of, waiting)
        if reason is not None:
            outcomes.append(Outcome(place, reason))
        else:
            outcomes.append(_walk(rows, place, label, session_of, complete_ns, ticks=ticks))
    if isinstance(label, Bins) and label.trailing is not None:
        return [_trailing(rows, outcomes, place, label) for place in range(len(rows))]
    return outcomes


def _trailing(
    rows: Sequence[Row], outcomes: Sequence[Outcome | None], place: int, label: Bins
) -> Outcome | None:
    """L4: between the quantiles of the last labels of the symbol that had ended at the event."""
    assert label.trailing is not None
    row, one = rows[place], outcomes[place]
    if one is None or one.ret is None or one.known_ns is None:
        return one
    ended = [
        (other.ret / before.scale, other.known_ns)
        for before, other in zip(rows[:place], outcomes, strict=False)
        if before.symbol == row.symbol and before.scale and other is not None
        if other.ret is not None and other.known_ns is not None
        if other.label_end_ns is not None and other.label_end_ns <= row.time_ns
    ]
    counted = [(value, known_ns) for value, known_ns in ended if math.isfinite(value)][-label.trailing :]
    if len(counted) < (label.trailing if label.min_count is None else label.min_count):
        return one._replace(reason="warming", label=None)
    ordered = sorted(value for value, _ in counted)
    assert row.scale is not None
    below = [q for q in label.q_ppm if quantile(ordered, q) < one.ret / row.scale]
    return one._replace(label=len(below), known_ns=max(one.known_ns, *(ns for _, ns in counted)))


def quantile(ordered: Sequence[float], q_ppm: int) -> float:
    """R37."""
    h = q_ppm * (len(ordered) - 1)
    lower = ordered[h // 10**6]
    if h % 10**6 == 0:
        return lower
    return lower + (ordered[h // 10**6 + 1] - lower) * ((h % 10**6) / 10**6)


def _refused(row: Row, label: Label, session_of: SessionOf, waiting: int) -> str | None:
    """Why a row can have no label, whatever comes after it."""
    if row.symbol is None:
        return "null_in"
    if waiting >= label.max_pending:
        return "full"
    if not label.across_sessions and session_of(row.time_ns) < 0:
        return "session"
    barriers = isinstance(label, TripleBarrier)
    price = row.price if not barriers or row.extremes is not None else None
    if price is None or (isinstance(label, Sign | Bins) and row.scale is None):
        return "null_in"
    if isinstance(label, TripleBarrier):
        if row.side not in (1.0, -1.0):
            return "null_in"
        if row.scale is None or row.scale <= label.min_sigma:
            return "sigma"
        if price <= 0:
            return "domain"
    return None


def _walk(
    rows: Sequence[Row], place: int, label: Label, session_of: SessionOf, complete_ns: int, *, ticks: bool
) -> Outcome | None:
    event, path = rows[place], [rows[place]]
    last_ns = event.time_ns + label.bound_ns
    wanted = label.spans[-1] - 1 if isinstance(label, TrendScan) else label.horizon_rows
    for number in range(place + 1, len(rows)):
        row = rows[number]
        if row.time_ns > last_ns:
            return _late(path, label, session_of, number)
        if row.symbol != event.symbol:
            continue
        if not label.across_sessions and session_of(row.time_ns) != session_of(event.time_ns):
            return Outcome(number, "session")
        path.append(row)
        if isinstance(label, TripleBarrier):
            touched = _touched(path, label, number, ticks=ticks)
            if touched is not None:
                return touched
        if len(path) - 1 == wanted:
            if isinstance(label, TrendScan):
                return _trend(path, label, number)
            return _closed(path, label, number, "rows", row.time_ns)
    return _late(path, label, session_of, len(rows)) if complete_ns > last_ns else None


def _late(path: Sequence[Row], label: Label, session_of: SessionOf, number: int) -> Outcome:
    """The event's time is over."""
    event = path[0]
    last_ns = event.time_ns + label.bound_ns
    if not label.across_sessions and session_of(last_ns) != session_of(event.time_ns):
        return Outcome(number, "session")
    if isinstance(label, TrendScan) or label.horizon_ns is None:
        return Outcome(number, "short")
    return _closed(path, label, number, "time", last_ns)


def _return(price: float, base: float, label: Label) -> float | None:
    if base == 0:
        return None
    ratio = price / base
    if label.returns == "log":
        return math.log(ratio) if ratio > 0 else None
    return ratio - 1.0


def _closed(path: Sequence[Row], label: Label, number: int, barrier: str, end_ns: int) -> Outcome:
    """The event ends with the last price so far."""
    whole = isinstance(label, TripleBarrier)
    last = [row for row in path if row.price is not None and (not whole or row.extremes is not None)][-1]
    assert last.price is not None
    assert path[0].price is not None
    ret = _return(last.price, path[0].price, label)
    if ret is None:
        return Outcome(number, "domain")
    used = path if whole else [path[0], last]
    known_ns = max(row.known_ns for row in used)
    if barrier == "time":
        known_ns = max(known_ns, end_ns)
    value: float = ret
    if isinstance(label, Sign):
        assert path[0].scale is not None
        value = (ret > path[0].scale) - (ret < -path[0].scale)
    if isinstance(label, Bins):
        assert path[0].scale is not None
        value = len([edge for edge in label.edges if edge < ret / path[0].scale])
    if isinstance(label, TripleBarrier):
        value = ((ret > 0) - (ret < 0)) if label.vertical == "sign" else 0
    outcome = Outcome(number, None, value, ret, barrier, last.price, end_ns, end_ns, known_ns)
    return _meta(outcome, path[0], label)


def levels_of(event: Row, label: TripleBarrier, *, ticks: bool) -> tuple[float, float]:
    """The barriers of an event, infinite where one is switched off."""
    assert event.price is not None
    assert event.scale is not None
    levels = []
    for way, multiple in ((1, label.up), (-1, label.down)):
        width = multiple * event.scale
        level = event.price * (1.0 + way * width)
        if label.returns == "log":
            level = event.price * math.exp(way * width)
        if multiple == 0:
            level = way * math.inf
        elif ticks:
            level = math.ceil(level - 1e-6) if way > 0 else math.floor(level + 1e-6)
        levels.append(level)
    return levels[0], levels[1]


def _touched(path: Sequence[Row], label: TripleBarrier, number: int, *, ticks: bool) -> Outcome | None:
    """What comes of an event if the last row of its path reaches a barrier."""
    event, row = path[0], path[-1]
    if row.extremes is None:
        return None
    opened, high, low = row.extremes
    upper, lower = levels_of(event, label, ticks=ticks)
    if not (high >= upper or low <= lower):
        return None
    if opened >= upper:
        way, price = "up", opened
    elif opened <= lower:
        way, price = "down", opened
    elif high >= upper and low <= lower:
        if label.both == "null":
            return Outcome(number, "both")
        way, price = ("down", lower) if event.side == 1.0 else ("up", upper)
    else:
        way, price = ("up", upper) if high >= upper else ("down", lower)
    assert event.price is not None
    ret = _return(price, event.price, label)
    if ret is None:
        return Outcome(number, "domain")
    known_ns = max(one.known_ns for one in path)
    value = 1 if way == "up" else -1
    outcome = Outcome(number, None, value, ret, way, price, row.time_ns, row.time_ns, known_ns)
    return _meta(outcome, event, label)


def _meta(outcome: Outcome, event: Row, label: Label) -> Outcome:
    """L8, where that is the label."""
    if not isinstance(label, Meta):
        return outcome
    assert outcome.ret is not None
    assert event.side is not None
    earns = event.side * outcome.ret > label.cost
    if label.need_barrier:
        earns = earns and outcome.barrier == ("up" if event.side == 1.0 else "down")
    return outcome._replace(label=int(earns))


def trend_slowly(prices: Sequence[float | None]) -> float | None:
    """The t-value of the slope of a line through prices, None where it has none."""
    known = [price for price in prices if price is not None]
    n = len(prices)
    if len(known) < n:
        return None
    mean = known[0] + sum4([price - known[0] for price in known]) / n
    dy = [price - mean for price in known]
    dx = [number - (n - 1) / 2 for number in range(n)]
    e = sum4(dy)
    syy = max(0.0, sum4([d * d for d in dy]) - e * e / n)
    sxy = sum4([a * b for a, b in zip(dx, dy, strict=True)])
    sxx = n * (n * n - 1) / 12
    sse = max(0.0, syy - sxy / sxx * sxy)
    return None if sse == 0 else sxy / sxx / math.sqrt(sse / (n - 2) / sxx)


def _trend(path: Sequence[Row], label: TrendScan, number: int) -> Outcome:
    trends: list[tuple[int, float]] = []
    for span in label.spans:
        t = trend_slowly([row.price for row in path[:span]])
        if t is not None:
            trends.append((span, t))
    if not trends:
        return Outcome(number, "domain")
    span, t = max(trends, key=lambda one: (abs(one[1]), -one[0]))
    last, base = path[span - 1].price, path[0].price
    assert last is not None
    assert base is not None
    ret = _return(last, base, label)
    if ret is None:
        return Outcome(number, "domain")
    value = 0 if abs(t) < label.t_min else (t > 0) - (t < 0)
    known_ns = max(row.known_ns for row in path)
    ends = path[span - 1].time_ns, path[-1].time_ns
    return Outcome(number, None, value, ret, None, None, *ends, known_ns, t)


def halted_slowly(row: Row, one: Outcome | None, statuses: Sequence[Status]) -> tuple[bool | None, int]:
    """Whether the symbol was halted in a nanosecond of the label, and when that could be known."""
    if one is None or one.label_end_ns is None:
        return None, 0
    own = [said for said in statuses if said.symbol == row.symbol and said.halted is not None]
    inside = False
    for ns in range(row.time_ns, one.label_end_ns + 1):
        by_then = [said.halted for said in own if said.time_ns <= ns]
        inside = inside or (by_then[-1:] == [True])
    before = [False, *(said.halted for said in own)]
    changes = [said for said, state in zip(own, before, strict=False) if said.halted != state]
    until = [said for said in changes if said.time_ns <= row.time_ns][-1:]
    used = [said for said in changes if row.time_ns < said.time_ns <= one.label_end_ns]
    return inside, max([said.known_ns for said in (*until, *used)], default=0)


def columns_slowly(outcomes: Sequence[Outcome | None], label: Label, scale: int) -> list[dict[str, Any]]:
    """The columns of the events that come out: those before the first that waits."""
    rows: list[dict[str, Any]] = []
    for one in outcomes:
        if one is None:
            break
        row: dict[str, Any] = {"label": one.label}
        if not isinstance(label, FixedHorizon):
            row["ret"] = one.ret
        if isinstance(label, TripleBarrier):
            row["barrier"] = one.barrier
            row["exit_price"] = None if one.exit_price is None else one.exit_price / scale
        if isinstance(label, TrendScan):
            row["t_value"] = one.t_value
        ends = {"label_end_ns": one.label_end_ns, "info_end_ns": one.info_end_ns}
        rows.append({**row, **ends, "label_known_ns": one.known_ns, "label_reason": one.reason})
    return rows
