"""Labels by their definitions (L1 to L5, L8): for each event a look at all rows of its symbol after it.

A second judge, which shares no code with the node; the arrays are those of one symbol, in order.
"""

import bisect
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from schemas.batch import Bools, Int64s

Float64s: TypeAlias = npt.NDArray[np.float64]
NEVER: Final = 2**63 - 1
GRID_ERROR: Final = 1e-6  # ticks (N7)


@dataclass(frozen=True)
class Path:
    """The rows of a symbol, NaN for null: all prices of a row are NaN where one of them is.

    `number`  of each among all rows of the partition, whose times are `all_ns`, complete below `complete_ns`.
    `inside`  whether the end of an event's time is in its own session, or need not be.
    """

    number: Int64s
    time_ns: Int64s
    known_ns: Int64s
    session: Int64s
    inside: Bools
    price: Float64s
    opened: Float64s
    high: Float64s
    low: Float64s
    scale: Float64s
    side: Float64s
    all_ns: Int64s
    complete_ns: int

    def passed(self, time_ns: int) -> int:
        """The number of the row by which a time is over; `NEVER` where it is not."""
        after = int(np.searchsorted(self.all_ns, time_ns, "right"))
        return after if after < self.all_ns.size or self.complete_ns > time_ns else NEVER


class Outcome(NamedTuple):
    """What comes of an event: `decided_at` is the number of the row that decides, `NEVER` for none yet."""

    decided_at: int
    reason: str | None = None
    values: dict[str, Any] = {}  # noqa: RUF012 (never changed)


def labels_of(path: Path, label: Label, *, ticks: bool) -> list[Outcome]:
    """What comes of each row of a symbol."""
    outcomes: list[Outcome] = []
    waiting: list[int] = []  # when the events that wait are decided
    later = _later_sessions(path.session)
    walk = _trend if isinstance(label, TrendScan) else _horizon
    for event in range(path.number.size):
        while waiting and waiting[0] <= path.number[event]:
            heapq.heappop(waiting)
        reason = _refused(path, event, label, len(waiting))
        if reason is not None:
            outcomes.append(Outcome(int(path.number[event]), reason))
            continue
        one = _decided(path, event, label, later, walk, ticks=ticks)
        outcomes.append(one)
        heapq.heappush(waiting, one.decided_at)
    if isinstance(label, Bins) and label.trailing is not None:
        return _between_trailing(path, label, outcomes)
    return outcomes


def _between_trailing(path: Path, label: Bins, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """L4: the interval between the quantiles of the last labels that had ended at each event."""
    assert label.trailing is not None, "the edges of these bins are fixed"
    found = []
    ends_ns: list[int] = []  # of the labels so far, which end in the order of their events
    before: list[tuple[float, int]] = []  # what they came to, and when that was known
    for event, one in enumerate(outcomes):
        if "ret" not in one.values:
            found.append(one)
            continue
        value, known_ns = one.values["ret"] / float(path.scale[event]), one.values["label_known_ns"]
        ended = bisect.bisect_right(ends_ns, int(path.time_ns[event]))
        counted = before[max(ended - label.trailing, 0) : ended]
        if len(counted) < label.least:
            found.append(one._replace(reason="warming", values={**one.values, "label": None}))
        else:
            ordered = sorted(other for other, _ in counted)
            below = sum(_quantile(ordered, q) < value for q in label.q_ppm)
            latest_ns = max(known_ns, *(other for _, other in counted))
            found.append(one._replace(values={**one.values, "label": below, "label_known_ns": latest_ns}))
        if math.isfinite(value):
            ends_ns.append(one.values["label_end_ns"])
            before.append((value, known_ns))
    return found


def _quantile(ordered: Sequence[float], q_ppm: int) -> float:
    """R37: on a straight line between the two values next to it."""
    whole, part = divmod(q_ppm * (len(ordered) - 1), 1_000_000)
    if part == 0:
        return ordered[whole]
    return ordered[whole] + (ordered[whole + 1] - ordered[whole]) * (part / 1_000_000)


def _later_sessions(session: Int64s) -> Int64s:
    """Of each row the first one after it that is of another session."""
    later = np.full(session.size, session.size, np.int64)
    for row in range(session.size - 2, -1, -1):
        later[row] = row + 1 if session[row + 1] != session[row] else later[row + 1]
    return later


def _refused(path: Path, event: int, label: Label, waiting: int) -> str | None:
    """Why a row can have no label, whatever comes after it."""
    if waiting >= label.max_pending:
        return "full"
    if not label.across_sessions and path.session[event] < 0:
        return "session"
    price, scale = path.price[event], path.scale[event]
    if math.isnan(price) or (isinstance(label, Sign | Bins) and math.isnan(scale)):
        return "null_in"
    if isinstance(label, TripleBarrier):
        if path.side[event] not in (1.0, -1.0):
            return "null_in"
        if not scale > label.min_sigma:
            return "sigma"
        if price <= 0:
            return "domain"
    return None


Walk: TypeAlias = Callable[..., Outcome]


def _decided(path: Path, event: int, label: Label, later: Int64s, walk: Walk, *, ticks: bool) -> Outcome:
    """The first of what can end an event: a barrier, rows, another session, time."""
    last_ns = int(path.time_ns[event]) + label.bound_ns
    beyond = int(np.searchsorted(path.time_ns, last_ns, "right"))
    rows = label.spans[-1] - 1 if isinstance(label, TrendScan) else label.horizon_rows
    end = beyond if label.across_sessions else min(beyond, int(later[event]))
    counted = event + rows if rows is not None and event + rows < end else None
    if isinstance(label, TripleBarrier):
        upper, lower = _levels(path, event, label, ticks=ticks)
        behind = end if counted is None else counted + 1
        hit = (path.high[event + 1 : behind] >= upper) | (path.low[event + 1 : behind] <= lower)
        if hit.any():
            return _touched(path, event, event + 1 + int(hit.argmax()), label, (upper, lower))
    if counted is not None:
        return walk(
            path, event, counted, label, "rows", int(path.time_ns[counted]), int(path.number[counted])
        )
    if end < beyond:
        return Outcome(int(path.number[end]), "session")
    decided_at = path.passed(last_ns)
    if decided_at == NEVER:
        return Outcome(NEVER)
    if not label.across_sessions and not path.inside[event]:
        return Outcome(decided_at, "session")
    if isinstance(label, TrendScan) or label.horizon_ns is None:
        return Outcome(decided_at, "short")
    return walk(path, event, end - 1, label, "time", last_ns, decided_at)


def _return(price: float, base: float, label: Label) -> float | None:
    if base == 0:
        return None
    ratio = price / base
    if label.returns == "log":
        return math.log(ratio) if 0 < ratio < math.inf else None
    return ratio - 1.0 if math.isfinite(ratio) else None


def _horizon(
    path: Path, event: int, last: int, label: Label, barrier: str, end_ns: int, decided_at: int
) -> Outcome:
    """The event ends with the last price so far."""
    priced = event + int(np.flatnonzero(~np.isnan(path.price[event : last + 1]))[-1])
    price = float(path.price[priced])
    ret = _return(price, float(path.price[event]), label)
    if ret is None:
        return Outcome(decided_at, "domain")
    of_barriers = isinstance(label, TripleBarrier)
    used = path.known_ns[event : last + 1] if of_barriers else path.known_ns[[event, priced]]
    known_ns = int(used.max())
    known_ns = max(known_ns, end_ns) if barrier == "time" else known_ns
    value: float = ret
    if isinstance(label, Sign):
        band = float(path.scale[event])
        value = (ret > band) - (ret < -band)
    if isinstance(label, Bins):
        value = sum(edge < ret / float(path.scale[event]) for edge in label.edges)
    if isinstance(label, TripleBarrier):
        value = ((ret > 0) - (ret < 0)) if label.vertical == "sign" else 0
    values = {"label": value, "ret": ret + 0.0, "barrier": barrier, "exit_price": price}
    return _finished(path, event, label, values, (end_ns, end_ns, known_ns), decided_at)


def _levels(path: Path, event: int, label: TripleBarrier, *, ticks: bool) -> tuple[float, float]:
    """The barriers of an event, infinite where one is switched off."""
    price, sigma = float(path.price[event]), float(path.scale[event])
    levels = []
    for way, multiple in ((1, label.up), (-1, label.down)):
        width = multiple * sigma
        level = price * (1.0 + way * width) if label.returns == "simple" else price * math.exp(way * width)
        if multiple == 0:
            level = way * math.inf
        elif ticks:
            level = float(math.ceil(level - GRID_ERROR) if way > 0 else math.floor(level + GRID_ERROR))
        levels.append(level)
    return levels[0], levels[1]


def _touched(path: Path, event: int, row: int, label: TripleBarrier, levels: tuple[float, float]) -> Outcome:
    """What comes of an event of which a row reaches a barrier."""
    (upper, lower), opened, decided_at = levels, float(path.opened[row]), int(path.number[row])
    up, down = bool(path.high[row] >= upper), bool(path.low[row] <= lower)
    if opened >= upper or opened <= lower:
        way, price = ("up" if opened >= upper else "down"), opened
    elif up and down and label.both == "null":
        return Outcome(decided_at, "both")
    else:
        stopped = path.side[event] == 1.0 if up and down else down
        way, price = ("down", lower) if stopped else ("up", upper)
    ret = _return(price, float(path.price[event]), label)
    if ret is None:
        return Outcome(decided_at, "domain")
    end_ns, known_ns = int(path.time_ns[row]), int(path.known_ns[event : row + 1].max())
    values = {"label": 1 if way == "up" else -1, "ret": ret + 0.0, "barrier": way, "exit_price": price}
    return _finished(path, event, label, values, (end_ns, end_ns, known_ns), decided_at)


def _finished(
    path: Path,
    event: int,
    label: Label,
    values: dict[str, Any],
    ends: tuple[int, int, int],
    decided_at: int,
) -> Outcome:
    """With the side's part of a barrier label, and with the meta label where that is the one."""
    if isinstance(label, TripleBarrier):
        side = float(path.side[event])
        values["side_ret"] = side * values["ret"] + 0.0
        values["exit_price"] = values["exit_price"] / max(label.scale, 1)
        if isinstance(label, Meta):
            earns = side * values["ret"] > label.cost
            profit = "up" if side > 0 else "down"
            values["label"] = int(earns and (not label.need_barrier or values["barrier"] == profit))
    if isinstance(label, FixedHorizon):
        values["label"] = values["ret"]
    named = dict(zip(("label_end_ns", "info_end_ns", "label_known_ns"), ends, strict=True))
    return Outcome(decided_at, None, {**values, **named})


def _trend(
    path: Path, event: int, last: int, label: TrendScan, _barrier: str, _end_ns: int, decided_at: int
) -> Outcome:
    """L5: the span whose line is steepest by its t-value, the shortest of equal ones."""
    best: tuple[float, int, float] | None = None
    for span in label.spans:
        t = _t_value(path.price[event : event + span].tolist())
        if t is not None and (best is None or abs(t) > best[0]):
            best = abs(t), span, t
    if best is None:
        return Outcome(decided_at, "domain")
    _, span, t = best
    end = event + span - 1
    ret = _return(float(path.price[end]), float(path.price[event]), label)
    if ret is None:
        return Outcome(decided_at, "domain")
    value = 0 if abs(t) < label.t_min else (t > 0) - (t < 0)
    ends = int(path.time_ns[end]), int(path.time_ns[last]), int(path.known_ns[event : last + 1].max())
    values = {"label": value, "t_value": t + 0.0, "ret": ret + 0.0}
    return _finished(path, event, label, values, ends, decided_at)


def _t_value(prices: Sequence[float]) -> float | None:
    """Of the slope of a line through prices; None where it has none."""
    n = len(prices)
    if any(map(math.isnan, prices)):
        return None
    mean = prices[0] + _sum4([price - prices[0] for price in prices]) / n
    dy = [price - mean for price in prices]
    dx = [place - (n - 1) / 2 for place in range(n)]
    above = _sum4(dy)
    syy = max(0.0, _sum4([d * d for d in dy]) - above * above / n)
    sxy = _sum4([a * b for a, b in zip(dx, dy, strict=True)])
    sxx = n * (n * n - 1) / 12
    slope = sxy / sxx
    sse = max(0.0, syy - slope * sxy)
    return None if sse == 0 else slope / math.sqrt(sse / (n - 2) / sxx)


def _sum4(values: Sequence[float]) -> float:
    """Four lanes, each added in order (0.6)."""
    lanes = [0.0] * 4
    for place, value in enumerate(values):
        lanes[place % 4] += value
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
