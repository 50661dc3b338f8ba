"""The node of realised spread and price impact, Q17 and Q18: each trade beside the mid some time later.

It is the join of the pipeline with the times of the trades moved ahead: of each trade the last valid mid at
or before that moment, once no other one can come.
"""

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.entries import SnapshotError
from operators.formula.meaning import digest
from operators.inputs.intake import Accepted
from operators.join.root import AsofRoot
from operators.join.settings import AsofSettings
from operators.labels.inputs import known_times, read_floats, require_new, require_numbers
from operators.labels.settings import KERNELS_VERSION, LabelError
from operators.node import Context, NodeStateError
from operators.rows.groups import NO_GROUP, Groups
from operators.sealed import Entries, Sealed, Snapshot, Statuses
from operators.sessions.sessions import DAYS_OF_UTC, OUTSIDE, Sessions, ids_if_known
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS, END_NS, KNOWN_NS, Clock, clock_column
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.reasons import DOMAIN, NULL_IN, OK
from schemas.stream import Stream

TAKEN_KEY: Final = b"n"  # of the entry that says how many rows were taken, and up to which frontier
TAKEN: Final = struct.Struct("<qq")
PLACE: Final = (LEFT_OFFSET, LEFT_INDEX)
TRADES: Final = "trades"
LATER: Final = "later"  # the quotes, and what begins the names of their columns
LATER_MID: Final = "later_mid"
REALISED_SPREAD: Final = "realised_spread"
PRICE_IMPACT: Final = "price_impact"
VALUES: Final = (REALISED_SPREAD, PRICE_IMPACT)
ENDS: Final = ("label_end_ns", "info_end_ns", "label_known_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterMid:
    """How a trade is held against the mid some time after it."""

    price: str  # of the trade
    direction: str  # of the trade: 1 a buy, -1 a sell, 0 unknown
    mid: str  # at the trade, and in the quotes; null where a quote is not valid
    horizon_ns: int
    relative: bool = False  # as fractions of the mid at the trade
    across_sessions: bool = False  # whether a mid of another session counts
    values: tuple[str, ...] = VALUES  # the columns that are wanted, in the order of `VALUES`

    def __post_init__(self) -> None:
        if not 0 < self.horizon_ns < END_NS:
            raise LabelError(f"horizon_ns is {self.horizon_ns!r}: nanoseconds, 1 at least")


def spread_meaning(settings: LaterMid, trades: str, quotes: str, sessions: Sessions) -> str:
    """16 hex digits that are equal where the same comes of the same rows, which these are the meanings of."""
    within = "" if settings.across_sessions else sessions.meaning
    return digest("later mid", KERNELS_VERSION, repr(settings), trades, quotes, within)


class Upstreams(NamedTuple):
    """The columns of trades and of quotes, and those that key each."""

    trades: pa.Schema
    quotes: pa.Schema
    key: tuple[str, ...] = ("symbol",)
    quote_key: tuple[str, ...] = ("symbol",)


def spread_fields(settings: LaterMid) -> list[pa.Field]:
    """The columns that are added to the trades, in order."""
    floats = [pa.field(name, pa.float64()) for name in (*settings.values, LATER_MID)]
    return [*floats, *(pa.field(name, pa.int64()) for name in ENDS)]


class SpreadNode:
    """Gives each trade its realised spread and price impact (`Node`); it reads trades, then quotes."""

    def __init__(
        self,
        name: str,
        upstreams: Upstreams,
        settings: LaterMid,
        groups: Groups,
        clock: Clock = "event",
        sessions: Sessions = DAYS_OF_UTC,
        meaning: str = "0" * 16,
    ) -> None:
        """Raises LabelError, and StreamError of a join, where the columns do not bear it."""
        require_numbers(upstreams.trades, (settings.price, settings.direction, settings.mid))
        require_numbers(upstreams.quotes, (settings.mid,))
        own = spread_fields(settings)
        require_new(own, upstreams.trades)
        self.name = name
        self.meaning = meaning
        self.layout = pa.schema([*upstreams.trades, *own])
        self.needs = Context(rows=1, hold_ns=settings.horizon_ns)
        self._upstreams = upstreams
        self._settings = settings
        self._groups = groups
        self._sessions = sessions
        self._join = join_of(upstreams, settings, clock)
        self._root = AsofRoot(self._join, groups, name)
        self._taken = _Taken()

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        """Take trades and quotes; return the trades whose later mid is final."""
        trades, quotes = upstream
        horizon_ns = self._settings.horizon_ns
        if trades.rows is not None and trades.rows.num_rows:
            batch = self._batch(trades, self._join.left, horizon_ns)
            self._root.take(TRADES, Accepted(batch))
        if quotes.rows is not None and quotes.rows.num_rows:
            mids = self._batch(quotes, self._join.rights[0], 0, mid=self._settings.mid)
            self._root.take(LATER, Accepted(mids))
        taken = self._taken
        taken.trades_ns = max(taken.trades_ns, trades.complete_ns)
        taken.quotes_ns = max(taken.quotes_ns, quotes.complete_ns)
        ahead_ns = min(_moved(taken.trades_ns, horizon_ns), taken.quotes_ns)
        taken.frontier_ns = max(taken.frontier_ns, ahead_ns)
        return self._labelled(self._root.seal(taken.frontier_ns))

    def snapshot(self) -> Snapshot:
        """Return what changed: trades that wait, and the last mids of each symbol."""
        changed = self._root.snapshot()
        entry = TAKEN.pack(self._taken.count, self._taken.frontier_ns)
        return Snapshot([*changed.puts, (TAKEN_KEY, entry)], changed.deletes)

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots held; raises NodeStateError where it is damaged."""
        held = dict(entries)
        if not held:
            return
        entry = held.pop(TAKEN_KEY, b"")
        if len(entry) != TAKEN.size:
            raise NodeStateError(f"node {self.name}: how many rows it took is not kept")
        self._taken.count, self._taken.frontier_ns = TAKEN.unpack(entry)
        try:
            self._root.restore(held.items())
        except SnapshotError as damaged:
            raise NodeStateError(f"node {self.name}: {damaged}") from None

    def _batch(self, sealed: Sealed, stream: Stream, ahead_ns: int, mid: str | None = None) -> Batch:
        """Sealed rows as an input of the join has them, so far ahead; with `mid` those that have one."""
        rows, keys = sealed.rows, sealed.keys
        assert rows is not None
        assert keys is not None, f"node {self.name} joins by symbol: its rows need keys"
        codes = np.unique(keys.group[keys.group != NO_GROUP])
        key_code = np.searchsorted(codes, keys.group).astype(np.int32)
        key_code[keys.group == NO_GROUP] = NO_GROUP
        first = self._taken.count
        self._taken.count += rows.num_rows
        number = np.arange(first, self._taken.count, dtype=np.int64)
        placed = all(name in rows.schema.names for name in PLACE)
        offset, index = (rows.column(name).to_numpy() for name in PLACE) if placed else (number, 0 * number)
        batch = Batch(
            columns=rows.select(stream.schema.names),
            time_ns=keys.time_ns + ahead_ns,
            sequence=number,
            offset=np.asarray(offset, np.int64),
            index=np.asarray(index, np.int32),
            key_code=key_code,
            keys=self._groups.keys(codes.astype(np.int32)),
        )
        return batch if mid is None else batch.where(~np.isnan(read_floats(rows.column(mid))))

    def _labelled(self, joined: Sealed) -> Sealed:
        """Joined rows as trades with their labels, at their own times."""
        complete_ns = _moved(joined.complete_ns, -self._settings.horizon_ns)
        if joined.rows is None or joined.keys is None:
            return Sealed(None, complete_ns)
        keys = joined.keys._replace(time_ns=joined.keys.time_ns - self._settings.horizon_ns)
        rows = joined.rows
        values, statuses, later = self._values(rows, keys.time_ns)
        columns = [rows.column(name) for name in self._upstreams.trades.names]
        columns += [pa.array(one, mask=status != OK) for one, status in zip(values, statuses, strict=True)]
        ends = self._ends(rows, keys.time_ns)
        columns += [pa.array(later, mask=np.isnan(later))]
        columns += [pa.array(one, mask=statuses[0] != OK) for one in ends]
        reasons = {name: one for name, one in zip(self._settings.values, statuses, strict=True) if one.any()}
        return Sealed(
            pa.RecordBatch.from_arrays(columns, schema=self.layout), complete_ns, keys=keys, reasons=reasons
        )

    def _values(
        self, rows: pa.RecordBatch, time_ns: Int64s
    ) -> tuple[list[npt.NDArray[np.float64]], list[Statuses], npt.NDArray[np.float64]]:
        """What is wanted of each trade, why it is null, and the later mid."""
        settings = self._settings
        price, side, mid = (
            read_floats(rows.column(name)) for name in (settings.price, settings.direction, settings.mid)
        )
        later = read_floats(rows.column(f"{LATER}_{settings.mid}"))
        later[~self._counts(rows, time_ns)] = np.nan
        with np.errstate(all="ignore"):
            realised = 2.0 * side * (price - later)
            impact = 2.0 * side * (later - mid)
            if settings.relative:
                realised, impact = realised / mid, impact / mid
        known = ~np.isnan(price) & ~np.isnan(side)
        valid = np.isin(side, (-1.0, 0.0, 1.0)) & ~np.isnan(later)
        of_mid = ~np.isnan(mid)
        answers, statuses = [], []
        made = {
            REALISED_SPREAD: (realised, known & of_mid if settings.relative else known),
            PRICE_IMPACT: (impact, known & of_mid),
        }
        for value, inputs in (made[name] for name in settings.values):
            status = np.where(valid & np.isfinite(value), OK, DOMAIN).astype(np.uint8)
            status[~inputs] = NULL_IN
            answers.append(value + 0.0)
            statuses.append(status)
        return answers, statuses, later

    def _counts(self, rows: pa.RecordBatch, time_ns: Int64s) -> Bools:
        """Which trades have a later mid that counts: it is there, and all of it in one session."""
        matched = rows.column(f"{LATER}_{self._on}")
        there = np.asarray(matched.is_valid().to_numpy(zero_copy_only=False), np.bool_)
        if self._settings.across_sessions:
            return there
        mid_ns = np.where(there, _whole(matched, 0), time_ns)
        ends_ns = time_ns + self._settings.horizon_ns
        session, of_mid, at_end = (ids_if_known(self._sessions.ids, ns) for ns in (time_ns, mid_ns, ends_ns))
        counts: Bools = there & (session != OUTSIDE) & (of_mid == session) & (at_end == session)
        return counts

    def _ends(self, rows: pa.RecordBatch, time_ns: Int64s) -> tuple[Int64s, Int64s, Int64s]:
        """When the label ends, up to when it hangs on rows, and when it could be known."""
        end_ns = time_ns + self._settings.horizon_ns
        name = f"{LATER}_{KNOWN_NS}"
        of_mid = rows.column(name if name in rows.schema.names else f"{LATER}_{self._on}")
        known_ns = np.maximum(known_times(rows, time_ns), _whole(of_mid, BEGINNING_NS))
        return end_ns, end_ns, np.maximum(known_ns, end_ns)

    @property
    def _on(self) -> str:
        return clock_column(self._join.clock)


class _Taken:
    """How many rows were taken, and how far each upstream is complete; the frontier is the join's."""

    def __init__(self) -> None:
        self.count = 0
        self.trades_ns = BEGINNING_NS
        self.quotes_ns = BEGINNING_NS
        self.frontier_ns = BEGINNING_NS


def join_of(upstreams: Upstreams, settings: LaterMid, clock: Clock) -> AsofSettings:
    """Trades beside the last mid; where rows stand in their log is no column there.

    Raises StreamError and SettingsError where the columns do not bear it.
    """
    on = clock_column(clock)
    trades = [field for field in upstreams.trades if field.name not in PLACE]
    wanted = {*upstreams.quote_key, on, settings.mid, KNOWN_NS}
    quotes = [field for field in upstreams.quotes if field.name in wanted]
    return AsofSettings(
        left=Stream(name=TRADES, schema=pa.schema(trades), key=upstreams.key),
        rights=(Stream(name=LATER, schema=pa.schema(quotes), key=upstreams.quote_key),),
        clock=clock,
    )


def _moved(moment_ns: int, by_ns: int) -> int:
    """A bound moved by some time; without evidence it is where it was."""
    return moment_ns if moment_ns == BEGINNING_NS else min(moment_ns + by_ns, END_NS)


def _whole(column: pa.Array, null: int) -> Int64s:
    return np.asarray(column.fill_null(null).to_numpy(zero_copy_only=False), np.int64)
