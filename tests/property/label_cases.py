"""Rows and settings for label nodes, and a node fed in cuts, with restarts between them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from operators.labels.node import LabelNode
from operators.labels.settings import Bins, FixedHorizon, Label, Meta, Sign, TrendScan, TripleBarrier
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from operators.sessions.sessions import Spans
from schemas.batch import Int64s
from tests.oracles.labels import Row, Status

SESSION_NS: Final = 20
OPEN_NS: Final = 14  # of each session's time; the rest is outside
LAST_NS: Final = 60


class ShortDays:
    """Sessions of 14 ns every 20 ns."""

    meaning: Final = "0" * 16
    _spans: Final = Spans(np.arange(0, 400, SESSION_NS), np.arange(0, 400, SESSION_NS) + OPEN_NS)

    def describe(self) -> str:
        """As of `Sessions`."""
        return "short days"

    def ids(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`."""
        return self._spans.ids(time_ns)

    def ends(self, time_ns: Int64s) -> Int64s:
        """As of `Sessions`."""
        return self._spans.ends(time_ns)


def session_of(time_ns: int) -> int:
    """The session of one moment, -1 for none."""
    start = time_ns - time_ns % SESSION_NS
    return start if time_ns - start < OPEN_NS else -1


UPSTREAM: Final = pa.schema(
    [
        pa.field("event_ns", pa.int64()),
        pa.field("known_ns", pa.int64()),
        pa.field("symbol", pa.string()),
        pa.field("open", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("low", pa.float64()),
        pa.field("price", pa.float64()),
        pa.field("sigma", pa.float64()),
        pa.field("side", pa.int8()),
        pa.field("note", pa.dictionary(pa.int32(), pa.string())),
    ]
)

STATUSES: Final = pa.schema(
    [
        pa.field("event_ns", pa.int64()),
        pa.field("known_ns", pa.int64()),
        pa.field("symbol", pa.string()),
        pa.field("halted", pa.bool_()),
    ]
)

prices = st.one_of(st.none(), st.integers(96, 104).map(float), st.sampled_from([0.0, -3.0, 1e300]))


@st.composite
def bars(draw: st.DrawFn) -> Row:
    """A row with a bar around its price."""
    close = draw(prices)
    opened = draw(prices)
    known = [value for value in (close, opened) if value is not None]
    high = max(known) + draw(st.integers(0, 2)) if known else None
    low = min(known) - draw(st.integers(0, 2)) if known else None
    time_ns = draw(st.integers(0, LAST_NS))
    return Row(
        time_ns,
        draw(st.sampled_from(["A", "A", "A", "B", None])),
        time_ns + draw(st.integers(-2, 5)),
        close,
        (opened, high, low),
        draw(st.one_of(st.none(), st.sampled_from([0.0, 0.01, 0.02]))),
        draw(st.sampled_from([None, 0.0, 1.0, 1.0, -1.0])),
    )


rows_in_order = st.lists(bars(), max_size=30).map(lambda rows: sorted(rows, key=lambda row: row.time_ns))

statuses_in_order = st.lists(
    st.builds(
        Status,
        st.integers(0, LAST_NS + 20),
        st.sampled_from(["A", "A", "A", "B", "C", None]),
        st.integers(0, LAST_NS + 30),
        st.sampled_from([True, True, False, False, None]),
    ),
    max_size=25,
).map(lambda statuses: sorted(statuses, key=lambda one: one.time_ns))

common: Mapping[str, st.SearchStrategy[Any]] = {
    "price": st.just("price"),
    "returns": st.sampled_from(["simple", "log"]),
    "across_sessions": st.booleans(),
    "max_pending": st.sampled_from([1, 2, 100]),
}
horizons = st.one_of(
    st.fixed_dictionaries({"horizon_ns": st.integers(1, 25)}),
    st.fixed_dictionaries({"horizon_rows": st.integers(1, 4), "max_ns": st.integers(1, 25)}),
    st.fixed_dictionaries({"horizon_rows": st.integers(1, 4), "horizon_ns": st.integers(1, 25)}),
)
of_barriers: Mapping[str, st.SearchStrategy[Any]] = {
    "scale": st.sampled_from([0, 1, 2]),
    "sigma": st.just("sigma"),
    "up": st.sampled_from([0.0, 1.0, 2.5]),
    "down": st.sampled_from([0.0, 1.0, 1.5]),
    "side": st.sampled_from(["side", 1, -1]),
    "ohlc": st.sampled_from([None, ("open", "high", "low")]),
    "both": st.sampled_from(["stop", "null"]),
    "vertical": st.sampled_from(["zero", "sign"]),
    "min_sigma": st.sampled_from([0.0, 0.01]),
}
of_kinds: Mapping[type[Label], Mapping[str, st.SearchStrategy[Any]]] = {
    FixedHorizon: {},
    Sign: {"band": st.sampled_from([0.0, 0.01, 1.0]), "band_column": st.sampled_from([None, "sigma"])},
    Bins: {"sigma": st.sampled_from([None, "sigma"])},
    TripleBarrier: of_barriers,
    Meta: {**of_barriers, "cost": st.sampled_from([0.0, 0.01]), "need_barrier": st.booleans()},
}


edges = st.one_of(
    st.fixed_dictionaries({"edges": st.sampled_from([(0.0,), (-0.01, 0.0, 0.01), (-2.0, 2.0)])}),
    st.fixed_dictionaries({"trailing": st.integers(1, 4), "q_ppm": st.sampled_from([(500_000,), (1, 2)])}),
    st.just({"trailing": 3, "min_count": 1, "q_ppm": (333_333, 900_000)}),
)


def settings_of(kind: type[Label]) -> st.SearchStrategy[Any]:
    """Settings of a kind of label."""
    if kind is TrendScan:
        own = {"shortest": st.integers(3, 4), "longest": st.integers(4, 7), "step": st.integers(1, 2)}
        more = {"t_min": st.sampled_from([0.0, 2.0]), "max_ns": st.integers(1, 40)}
        return st.builds(TrendScan, **common, **own, **more)
    of_kind = st.fixed_dictionaries({**common, **of_kinds[kind]})
    of_edges: st.SearchStrategy[Any] = edges if kind is Bins else st.just({})
    parts: st.SearchStrategy[Any] = st.tuples(of_kind, horizons, of_edges)
    return parts.map(lambda three: kind(**three[0], **three[1], **three[2]))


def as_read(rows: Sequence[Row], label: Label) -> list[Row]:
    """Rows as the settings have them read: what is not a setting's column is a constant."""
    scale = label.scale or 1
    read = []
    for row in rows:
        bar, width, side = None, row.scale, row.side
        if isinstance(label, TripleBarrier):
            bar = row.bar if label.ohlc else None
            side = row.side if isinstance(label.side, str) else float(label.side)
        if isinstance(label, Sign):
            width = label.band if label.band_column is None else row.scale
            width = width if width is None or label.band_column is None else label.band * width
        if isinstance(label, Bins):
            width = 1.0 if label.sigma is None else row.scale or None
        bar = None if bar is None else tuple(_ticks(value, scale, label) for value in bar)  # type: ignore[assignment]
        read.append(row._replace(price=_ticks(row.price, scale, label), bar=bar, scale=width, side=side))
    return read


def _ticks(price: float | None, scale: int, label: Label) -> float | None:
    if price is None or label.scale == 0:
        return price
    return price * scale if abs(price * scale) < 2.0**40 else None


def batch_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as a node's input has them."""
    bars_of = [row.bar or (None, None, None) for row in rows]
    columns = [
        [row.time_ns for row in rows],
        [row.known_ns for row in rows],
        [row.symbol for row in rows],
        *([bar[part] for bar in bars_of] for part in range(3)),
        [row.price for row in rows],
        [row.scale for row in rows],
        [None if row.side is None else int(row.side) for row in rows],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, UPSTREAM, strict=False)]
    notes = pa.array([f"note {row.time_ns % 3}" for row in rows], pa.string()).dictionary_encode()
    return pa.RecordBatch.from_arrays([*arrays, notes], schema=UPSTREAM)


def sealed_of(rows: Sequence[Row | Status], complete_ns: int, groups: Groups) -> Sealed:
    """Rows as a node takes them."""
    names = sorted({row.symbol for row in rows if row.symbol is not None})
    codes = [-1 if row.symbol is None else names.index(row.symbol) for row in rows]
    group = groups.codes(pa.array(names, pa.string()).cast(pa.binary()), np.array(codes, np.int32))
    keys = RowKeys(group, np.array([row.time_ns for row in rows], np.int64))
    return Sealed(columns_of(rows) if rows else None, complete_ns, keys=keys)


def columns_of(rows: Sequence[Row | Status]) -> pa.RecordBatch:
    """Rows, or statuses, as a node's input has them."""
    statuses = [row for row in rows if isinstance(row, Status)]
    if not statuses:
        return batch_of([row for row in rows if isinstance(row, Row)])
    return pa.RecordBatch.from_pylist(
        [{"event_ns": one.time_ns, **one._asdict()} for one in statuses], schema=STATUSES
    )


class Cut(NamedTuple):
    """How many rows come, and how much of the time to the next one is complete; what happens then.

    The node writes down what changed, and then it dies, and comes back as it was written down last.
    """

    rows: int
    share: float
    dies: bool
    keeps: bool
    statuses: int = 0


parts = st.integers(0, 5), st.floats(0, 1), st.booleans(), st.booleans()
cuts = st.lists(st.builds(Cut, *parts), max_size=20)
cuts_of_both = st.lists(st.builds(Cut, *parts, st.integers(0, 3)), max_size=20)


class Fed(NamedTuple):
    """What a node gave: its rows, and how far its output was complete after each cut."""

    rows: list[dict[str, Any]]
    complete_ns: list[tuple[int, int]]


def feed(
    label: Label,
    rows: Sequence[Row],
    of_cuts: Sequence[Cut],
    complete_ns: int,
    statuses: Sequence[Status] = (),
    statuses_ns: int = 0,
) -> Fed:
    """Give rows to a node in cuts, the rest at once; it dies and comes back as these say.

    Where labels have halts, statuses come with them, complete below a time of their own.
    """
    node = new_node(label)
    entries: dict[bytes, bytes] = {}
    fed = Fed([], [])
    taken, kept_at, kept_rows = (0, 0), (0, 0), 0
    for cut in [*of_cuts, Cut(len(rows), 1.0, False, False, len(statuses))]:
        upper = min(taken[0] + cut.rows, len(rows)), min(taken[1] + cut.statuses, len(statuses))
        parts = [sealed_of(rows[taken[0] : upper[0]], bound(rows, upper[0], cut, complete_ns), node[1])]
        if label.halted is not None:
            ns = bound(statuses, upper[1], cut, statuses_ns)
            parts.append(sealed_of(statuses[taken[1] : upper[1]], ns, node[1]))
        sealed = node[0].take(tuple(parts))
        taken = upper
        if sealed.rows is not None:
            fed.rows.extend(sealed.rows.to_pylist())
        fed.complete_ns.append((len(fed.rows), sealed.complete_ns))
        if cut.keeps:
            snapshot = node[0].snapshot()
            entries.update(snapshot.puts)
            for key in snapshot.deletes:
                entries.pop(key, None)
            kept_at, kept_rows = taken, len(fed.rows)
        if cut.dies:
            node = new_node(label)
            node[0].restore(entries.items())
            taken = kept_at
            del fed.rows[kept_rows:]
    return fed


def bound(rows: Sequence[Row | Status], upper: int, cut: Cut, complete_ns: int) -> int:
    """How far rows are complete of which so many came."""
    ends_ns = rows[upper].time_ns if upper < len(rows) else complete_ns
    begins_ns = rows[upper - 1].time_ns if upper else 0
    return begins_ns + int(cut.share * max(ends_ns - begins_ns, 0))


def new_node(label: Label) -> tuple[LabelNode, Groups]:
    """A node with symbols of its own, numbered in another order than by its rows."""
    groups = Groups()
    groups.codes(pa.array([b"Z", b"B"], pa.binary()), np.arange(2, dtype=np.int32))
    return LabelNode("outcome", "0" * 16, UPSTREAM, label, groups, ShortDays()), groups
