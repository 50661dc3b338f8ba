"""The node of bars: it takes trades, and gives the bars that no trade which is still to come can change."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.bars import words as at
from operators.bars.close_kernel import pass_time, take_trades
from operators.bars.columns import bar_batch, bar_parts, in_order, key_columns
from operators.bars.grid import cells
from operators.bars.settings import BarSettings
from operators.bars.state import OpenBars
from operators.bars.words import Closed, Rule, Trades
from operators.formula.features import Features
from operators.node import Context, NodeStateError
from operators.nodes.formula import FormulaNode
from operators.rows.groups import NO_GROUP, Groups
from operators.sealed import Entries, RowKeys, Sealed, Snapshot
from operators.sessions.sessions import Sessions
from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS, Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

OF_VALUES: Final = b"v"  # in front of the keys of what its formulas remember
OF_BARS: Final = b"b"
ROOM_MIN: Final = 64  # bars


class ValueNames(NamedTuple):
    """The columns that the formulas of a node of bars make; empty for one that is not said."""

    price: str
    size: str
    direction: str
    where: str


class PlannedBars(NamedTuple):
    """What a node of bars computes.

    `values`   the columns of the input, and behind them those that its formulas make, by `names`.
    `rule`     for the kernel.
    `layout`   of the bars; the columns of the key come first, what formulas sum up last.
    `values_of` the columns of `values` that are summed up, as `rule` numbers them.
    `sided`    whether it is known which trades were buys.
    """

    settings: BarSettings
    sessions: Sessions
    clock: Clock
    values: Features
    names: ValueNames
    rule: Rule
    layout: pa.Schema
    key: tuple[str, ...]
    values_of: tuple[str, ...] = ()
    sided: bool = False


class BarsNode:
    """Sums up trades in bars (`Node`).

    A bar closes with the trade that reaches its threshold, or once the rows are complete up to its end.  Bars
    come in order of their end, and of the row that closed them: for a bar that no trade closes its last one.
    """

    def __init__(self, name: str, meaning: str, planned: PlannedBars, groups: Groups) -> None:
        self.name = name
        self.meaning = meaning
        self.layout = planned.layout
        self._planned = planned
        self._groups = groups
        self._values = FormulaNode(name, planned.values, groups)
        self._open = OpenBars(groups, planned.rule)
        self._key_fields = [planned.layout.field(name) for name in planned.key]
        with np.errstate(all="ignore"):
            self._run(_nothing(), BEGINNING_NS)  # no row has to wait for a kernel to be compiled

    @property
    def needs(self) -> Context:
        """As of its formulas: how far an open bar reaches back is no number of rows."""
        return self._values.needs

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take trades; return the bars that are closed with them, or by how far they are complete."""
        (sealed,) = upstream
        passed_ns, trades = sealed.complete_ns, _nothing()
        if sealed.rows is not None and sealed.rows.num_rows:
            trades = self._trades(sealed)
            passed_ns = max(passed_ns, int(trades.time_ns.max()))
        with np.errstate(all="ignore"):  # where kernels run as plain Python, numpy warns of every overflow
            closed, bars = self._run(trades, passed_ns)
        self._open.taken += trades.time_ns.size
        if not bars:
            return Sealed(None, sealed.complete_ns)
        return self._sealed(in_order(closed, bars), sealed.complete_ns)

    def snapshot(self) -> Snapshot:
        """What changed: open bars, and what its formulas remember."""
        parts = ((OF_VALUES, self._values.snapshot()), (OF_BARS, self._open.snapshot()))
        return Snapshot(
            [(prefix + key, value) for prefix, part in parts for key, value in part.puts],
            [prefix + key for prefix, part in parts for key in part.deletes],
        )

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        held = dict(entries)
        own = {key[1:]: value for key, value in held.items() if key[:1] == OF_BARS}
        values = {key[1:]: value for key, value in held.items() if key[:1] == OF_VALUES}
        if len(own) + len(values) != len(held):
            raise NodeStateError(f"node {self.name}: there is an entry that is none of its bars or values")
        self._values.restore(values.items())
        self._open.restore(self.name, own.items())

    def _run(self, trades: Trades, passed_ns: int) -> tuple[Closed, int]:
        """Run the kernels; returns bars, and how many they are."""
        rule, opened = self._planned.rule, self._open
        opened.make_room()
        columns = at.COLUMNS + 2 * rule.aggregates.shape[0]
        closed, used, row, wanted = _room(columns, ROOM_MIN), 0, 0, 1
        while wanted:
            row, used, wanted = take_trades(rule, opened.state, trades, opened.taken, row, closed, used)
            closed = _with_room(closed, used, wanted)
        group, groups, wanted = 0, len(self._groups), 1
        while wanted:
            group, used, wanted = pass_time(rule, opened.state, groups, group, passed_ns, closed, used)
            closed = _with_room(closed, used, wanted)
        return closed, used

    def _trades(self, sealed: Sealed) -> Trades:
        planned, keys = self._planned, sealed.keys
        assert keys is not None, f"node {self.name} has bars by symbol: its rows need keys"
        rows = self._values.take((sealed,)).rows
        assert rows is not None, "rows are rows with values"
        of_bars = planned.rule.of_bars
        time_ns = _instants(rows, "start_ns", keys.time_ns) if of_bars else keys.time_ns
        where = cells(planned.settings, planned.sessions, time_ns)
        price, size = (self._numbers(rows, name) for name in planned.names[:2])
        counts = where.inside & (keys.group != NO_GROUP) & price.valid & size.valid
        if of_bars:  # one without trades is none of this bar, and one whose sums are too large is
            counts = where.inside & (keys.group != NO_GROUP)
            counts &= np.asarray(_filled(rows.column("count"), 0), np.int64) > 0
        else:
            counts &= (size.values if planned.rule.whole else size.values.view(np.float64)) > 0
        if planned.names.where:
            counts &= _true(rows.column(planned.names.where))
        direction = np.zeros(keys.time_ns.size, np.int8)
        if planned.names.direction:
            direction = np.sign(_filled(rows.column(planned.names.direction), 0)).astype(np.int8)
        values = np.zeros((len(planned.values_of), keys.time_ns.size))
        there = np.zeros(values.shape, np.bool_)
        for number, name in enumerate(planned.values_of):
            values[number] = _filled(rows.column(name), 0)
            there[number] = rows.column(name).is_valid().to_numpy(zero_copy_only=False)
        event_ns = _instants(rows, "last_event_ns" if of_bars else EVENT_NS, keys.time_ns)
        parts = bar_parts(rows, whole=planned.rule.whole) if of_bars else np.empty((0, 0), np.int64)
        return Trades(
            group=_own(keys.group, np.int32),
            counts=_own(counts, np.bool_),
            time_ns=_own(time_ns),
            session=_own(keys.session if where.session is None else where.session),
            session_end=_own(where.session_end),
            begin=_own(where.begin),
            bound=_own(where.bound),
            cut=_own(where.cut, np.int8),
            event_ns=_own(event_ns),
            known_ns=_own(_instants(rows, KNOWN_NS, event_ns)),
            offset=_own(_instants(rows, LEFT_OFFSET, event_ns)),
            row=_own(_instants(rows, LEFT_INDEX, event_ns)),
            price=price.values,
            price_float=price.values.view(np.float64),
            size=size.values,
            size_float=size.values.view(np.float64),
            direction=direction,
            values=values,
            there=there,
            parts=parts,
            parts_float=parts.view(np.float64),
        )

    def _numbers(self, rows: pa.RecordBatch, name: str) -> "_Numbers":
        """A column as whole numbers, or as the bits of floats."""
        column = rows.column(name)
        valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        if self._planned.rule.whole:
            return _Numbers(np.array(_filled(column, 0), np.int64), valid)
        floats = np.array(_filled(column, 0), np.float64) + 0.0  # -0.0 is 0.0
        valid &= np.isfinite(floats)
        return _Numbers(floats.view(np.int64), valid)

    def _sealed(self, closed: Closed, complete_ns: int) -> Sealed:
        planned, out = self._planned, closed.ints
        groups, place = np.unique(out[at.GROUP], return_inverse=True)
        keys = key_columns(self._groups.keys(groups.astype(np.int32)), self._key_fields)
        rows = bar_batch(
            planned.layout,
            [column.take(pa.array(place)) for column in keys],
            closed,
            planned.settings.known_after_ns,
            whole=planned.rule.whole,
            sided=planned.sided,
        )
        of_rows = RowKeys(out[at.GROUP].astype(np.int32), out[at.END].copy())
        if planned.settings.in_sessions:
            of_rows = of_rows._replace(session=out[at.OF_SESSION].copy())
        return Sealed(rows, complete_ns, keys=of_rows)


class _Numbers(NamedTuple):
    values: Int64s
    valid: Bools


def _nothing() -> Trades:
    """No rows."""
    int64s = np.empty(0, np.int64)
    floats, bytes_ = np.empty(0, np.float64), np.empty(0, np.int8)
    return Trades(
        group=np.empty(0, np.int32),
        counts=np.empty(0, np.bool_),
        time_ns=int64s,
        session=int64s,
        session_end=int64s,
        begin=int64s,
        bound=int64s,
        cut=bytes_,
        event_ns=int64s,
        known_ns=int64s,
        offset=int64s,
        row=int64s,
        price=int64s,
        price_float=floats,
        size=int64s,
        size_float=floats,
        direction=bytes_,
        values=floats.reshape(0, 0),
        there=np.empty((0, 0), np.bool_),
        parts=np.empty((0, 0), np.int64),
        parts_float=np.empty((0, 0), np.float64),
    )


def _room(columns: int, bars: int) -> Closed:
    ints = np.zeros((columns, bars), np.int64)
    return Closed(ints, ints.view(np.float64))


def _with_room(closed: Closed, used: int, wanted: int) -> Closed:
    """Room for so many bars and as many more, with the first `used` ones; 0 wants none."""
    if not wanted:
        return closed
    larger = _room(closed.ints.shape[0], 2 * wanted)
    larger.ints[:, :used] = closed.ints[:, :used]
    return larger


def _own(values: npt.NDArray[np.generic], dtype: npt.DTypeLike = np.int64) -> npt.NDArray[Any]:
    """Values as kernels are compiled for them: side by side, and not those of somebody else's buffer."""
    return np.require(values, dtype, ["C", "W"])


def _filled(column: pa.Array, value: int) -> npt.NDArray[np.generic]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    filled = column.fill_null(value) if column.null_count else column
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _true(column: pa.Array) -> Bools:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _instants(rows: pa.RecordBatch, name: str, otherwise: Int64s) -> Int64s:
    """A column of whole numbers; another one where it is not there, or null."""
    if name not in rows.schema.names:
        return otherwise
    column = rows.column(name).cast(pa.int64())
    values = np.array(column.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    if column.null_count:
        null = np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
        values[null] = otherwise[null]
    return values
