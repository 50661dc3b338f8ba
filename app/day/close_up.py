"""A few moments of a day, close enough to see each trade and the quote that it matched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.config import Settings
from replay.store.day import Day
from schemas.batch import Int64s
from schemas.clocks import clock_column

Float64s: TypeAlias = npt.NDArray[np.float64]

TRADES: Final = 12  # fewer show little, and are all that a small day has; more cannot be told apart
TRADES_MIN: Final = 2
FAR: Final = 0.06  # of the span: a match that far from its trade can be seen well
MARGIN: Final = 0.04  # of the span, at either end
PRICES: Final = ("price", "px", "trade_price", "last", "last_price")
BID_ASK: Final = (
    ("bid_price", "ask_price"),
    ("bid", "ask"),
    ("bid_px", "ask_px"),
    ("bid_px_00", "ask_px_00"),
)


@dataclass(frozen=True, slots=True)
class CloseUp:
    """Consecutive trades of one key, and the quotes of that key around them.

    Times are int64 ns on the pipeline's clock, prices float64 and NaN where there is none.  `bid` and `ask`
    are the last values up to each quote; `match_ns` and `match_price` are of the quote that a trade matched,
    on the side that is nearer to the trade's price.
    """

    key: str
    trade_ns: Int64s
    price: Float64s
    match_ns: Int64s
    match_price: Float64s
    quote_ns: Int64s
    bid: Float64s
    ask: Float64s

    @property
    def span_ns(self) -> tuple[int, int]:
        """From the earliest row shown to the latest, with a margin."""
        times = np.concatenate([self.trade_ns, self.match_ns])
        margin = int((times.max() - times.min()) * MARGIN) + 1
        return int(times.min()) - margin, int(times.max()) + margin

    def standing(self, times_ns: Int64s) -> tuple[Float64s, Float64s]:
        """The bid and the ask at each of these times, NaN before the first quote."""
        at = np.searchsorted(self.quote_ns, times_ns, side="right") - 1
        before = at < 0
        return np.where(before, np.nan, self.bid[at]), np.where(before, np.nan, self.ask[at])


def close_up(rows: pa.Table, settings: Settings, days: Sequence[Day]) -> CloseUp | None:
    """Pick the moments of the busiest key in which most matches can be seen.

    `rows` are the aligned rows, those of a key in order.  Returns None where the day has no trade prices, no
    stream with a bid and an ask, or no key with enough trades that matched.
    """
    on, left = clock_column(settings.pipeline.clock), settings.stream(settings.pipeline.left)
    quoted = _quoted(rows, settings.pipeline.right)
    traded = next((column for column in PRICES if _is_number(rows, column)), None)
    if quoted is None or traded is None:
        return None
    name, bid, ask = quoted
    rows = rows.filter(pc.is_valid(rows.column(f"{name}_{on}")))
    if rows.num_rows == 0:
        return None
    counts = rows.group_by(left.key).aggregate([([], "count_all")]).sort_by([("count_all", "descending")])
    key = {column: counts.column(column)[0].as_py() for column in left.key}
    mine = rows.filter(_of_key(rows, key))
    times, matches = _ints(mine.column(on)), _ints(mine.column(f"{name}_{on}"))
    price = _floats(mine.column(traded))
    first = most_visible(times, matches, price)
    if first is None:
        return None
    shown = slice(first, first + TRADES)
    quotes = _quotes(next(day for day in days if day.stream.name == name), on, key, (bid, ask))
    price = price[shown]
    return CloseUp(
        key=":".join(map(str, key.values())),
        trade_ns=times[shown],
        price=price,
        match_ns=matches[shown],
        match_price=nearer(price, *(_floats(mine.column(f"{name}_{side}"))[shown] for side in (bid, ask))),
        **quotes,
    )


def most_visible(times_ns: Int64s, match_ns: Int64s, price: Float64s) -> int | None:
    """The first of `TRADES` consecutive rows, or all where there are fewer, that show the join best.

    None where there are less than `TRADES_MIN`.

    All arrays are ordered by row.  Each match counts by its distance from its row, as a share of the span and
    up to `FAR`; the sum counts once for each change of the match, and of the price.
    """
    if times_ns.size < TRADES_MIN:
        return None
    shown = min(TRADES, times_ns.size)
    times, matches, prices = (
        np.lib.stride_tricks.sliding_window_view(values, shown) for values in (times_ns, match_ns, price)
    )
    span = np.maximum(times[:, -1] - times[:, 0], 1)
    distance = np.minimum(np.abs(times - matches) / span[:, None], FAR).sum(axis=1)
    changes = 1 + (np.diff(matches, axis=1) != 0).sum(axis=1)
    moves = 1 + (np.diff(prices, axis=1) != 0).sum(axis=1)
    return int((distance * changes * moves).argmax())


def nearer(price: Float64s, bid: Float64s, ask: Float64s) -> Float64s:
    """Of the bid and the ask the one nearer to the price, the other where one is NaN."""
    to_bid = np.where(np.isnan(bid), np.inf, np.abs(price - bid))
    to_ask = np.where(np.isnan(ask), np.inf, np.abs(price - ask))
    return np.where(to_bid <= to_ask, bid, ask)


def _quoted(rows: pa.Table, rights: Sequence[str]) -> tuple[str, str, str] | None:
    """The first right stream with a bid and an ask, and their names."""
    for name in rights:
        for bid, ask in BID_ASK:
            if _is_number(rows, f"{name}_{bid}") and _is_number(rows, f"{name}_{ask}"):
                return name, bid, ask
    return None


def _is_number(rows: pa.Table, column: str) -> bool:
    """Whether the rows have this column once, and it can be drawn."""
    if rows.column_names.count(column) != 1:
        return False
    kind = rows.schema.field(column).type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _quotes(day: Day, on: str, key: dict[str, object], sides: tuple[str, str]) -> dict[str, Any]:
    """Time, bid and ask of a key's quotes in the order of time, each side carried over nulls."""
    columns = list(dict.fromkeys([on, *key, *sides]))
    batches = [batch.filter(_of_key(batch, key)) for batch in day.batches(columns=columns)]
    found = pa.Table.from_batches(batches)
    found = found.filter(pc.is_valid(found.column(on)))
    order = np.argsort(_ints(found.column(on)), kind="stable")
    found = found.take(pa.array(order))
    bid, ask = (_floats(pc.fill_null_forward(found.column(side))) for side in sides)
    return {"quote_ns": _ints(found.column(on)), "bid": bid, "ask": ask}


def _of_key(rows: pa.Table | pa.RecordBatch, key: dict[str, object]) -> pa.ChunkedArray | pa.Array:
    mask = None
    for column, value in key.items():
        equal = pc.equal(rows.column(column), pa.scalar(value, rows.schema.field(column).type))
        mask = equal if mask is None else pc.and_(mask, equal)
    return mask


def _ints(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _floats(column: pa.ChunkedArray) -> Float64s:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
