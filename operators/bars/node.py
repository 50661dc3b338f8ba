"""The node of bars: it takes trades, and gives the bars that no trade which is still to come can change."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from operators.bars import words as at
from operators.bars.close_kernel import pass_time
from operators.bars.columns import KeyColumns, as_open, bar_batch, in_order
from operators.bars.planned import PlannedBars
from operators.bars.row_kernel import take_trades
from operators.bars.state import OpenBars
from operators.bars.trades import no_trades, own_columns, read_trades
from operators.bars.words import Closed, Trades
from operators.node import Context, NodeStateError
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import Entries, RowKeys, Sealed, Snapshot
from schemas.clocks import BEGINNING_NS

if TYPE_CHECKING:
    from operators.bars.grid import Cells

OF_VALUES: Final = b"v"  # in front of the keys of what its formulas remember
OF_BARS: Final = b"b"
ROOM_MIN: Final = 64  # bars


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
        self._columns = own_columns(planned)
        self._keys = KeyColumns(groups, [planned.layout.field(name) for name in planned.key])
        self._room = _room(at.COLUMNS + 2 * planned.rule.aggregates.shape[0], ROOM_MIN)
        self._nothing = no_trades()
        self._cells: Cells | None = None  # of the last rows
        with np.errstate(all="ignore"):
            self._run(self._nothing, BEGINNING_NS)  # no row has to wait for a kernel to be compiled

    @property
    def needs(self) -> Context:
        """As of its formulas: how far an open bar reaches back is no number of rows."""
        return self._values.needs

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take trades; return the bars that are closed with them, or by how far they are complete."""
        (sealed,) = upstream
        passed_ns, trades = sealed.complete_ns, self._nothing
        if sealed.rows is not None and sealed.rows.num_rows:
            trades = self._trades(sealed)
            passed_ns = max(passed_ns, int(trades.time_ns.max()))
        with np.errstate(all="ignore"):  # where kernels run as plain Python, numpy warns of every overflow
            bars = self._run(trades, passed_ns)
        self._open.taken += trades.time_ns.size
        if not bars:
            return Sealed(None, sealed.complete_ns)
        return self._sealed(in_order(self._room, bars), sealed.complete_ns)

    def open_bars(self) -> pa.RecordBatch:
        """What is summed up so far of each bar that is open: the columns of `open_fields`, in order of keys.

        Nothing is changed by it.
        """
        planned = self._planned
        opened, ends_ns = self._open.opened()
        rule, bars, wanted = planned.rule._replace(step_ns=0), 0, ends_ns.size
        closed = _room(at.COLUMNS + 2 * rule.aggregates.shape[0], max(1, ends_ns.size))
        if wanted:
            _, bars, _ = pass_time(rule, opened, len(self._groups), 0, BEGINNING_NS, closed, 0)
        assert bars == wanted, "each open bar is closed in a copy"
        closed.ints[at.REASON], closed.ints[at.END] = at.THRESHOLD, closed.ints[at.KNOWN_TIME]
        first = Closed(closed.ints[:, :bars], closed.floats[:, :bars])
        rows = bar_batch(
            planned.layout,
            self._keys.of(first.ints[at.GROUP]),
            first,
            0,
            whole=planned.rule.whole,
            sided=planned.sided,
        )
        return as_open(rows, ends_ns)

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

    def _run(self, trades: Trades, passed_ns: int) -> int:
        """Run the kernels; returns how many bars there are in the room."""
        rule, opened = self._planned.rule, self._open
        opened.make_room()
        row, used, wanted = 0, 0, 1
        while wanted:
            row, used, wanted = take_trades(rule, opened.state, trades, opened.taken, row, self._room, used)
            self._make_room(used, wanted)
        group, groups, wanted = 0, len(self._groups), 1
        while wanted:
            group, used, wanted = pass_time(rule, opened.state, groups, group, passed_ns, self._room, used)
            self._make_room(used, wanted)
        return used

    def _make_room(self, used: int, wanted: int) -> None:
        """Have room for so many bars and as many more, with the first `used` ones; 0 wants none."""
        if wanted:
            larger = _room(self._room.ints.shape[0], 2 * wanted)
            larger.ints[:, :used] = self._room.ints[:, :used]
            self._room = larger

    def _trades(self, sealed: Sealed) -> Trades:
        planned, rows = self._planned, sealed.rows
        assert sealed.keys is not None, f"node {self.name} has bars by symbol: its rows need keys"
        if self._columns is None:
            rows = self._values.take((sealed,)).rows
        assert rows is not None, "rows are rows with values"
        names = self._columns or planned.names
        trades, self._cells = read_trades(planned, rows, sealed.keys, names, self._cells)
        return trades

    def _sealed(self, closed: Closed, complete_ns: int) -> Sealed:
        planned, out = self._planned, closed.ints
        rows = bar_batch(
            planned.layout,
            self._keys.of(out[at.GROUP]),
            closed,
            planned.settings.known_after_ns,
            whole=planned.rule.whole,
            sided=planned.sided,
        )
        of_rows = RowKeys(out[at.GROUP].astype(np.int32), out[at.END].copy())
        if planned.settings.in_sessions:
            of_rows = of_rows._replace(session=out[at.OF_SESSION].copy())
        return Sealed(rows, complete_ns, keys=of_rows)


def _room(columns: int, bars: int) -> Closed:
    ints = np.empty((columns, bars), np.int64)
    return Closed(ints, ints.view(np.float64))
