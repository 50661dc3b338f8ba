"""Make a day that never was: trades and quotes of a synthetic market, the same ones for the same seed."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from replay.dates import NEW_YORK, parse_date
from replay.errors import HistoryError
from replay.market.model import EXCHANGES, Floats, Market, Quotes, Trades, session_instants
from replay.store.day import BATCH_ROWS, Day
from replay.store.days import HistoryStore
from replay.zones import local_instant_ns
from schemas.batch import Int32s, Int64s
from schemas.stream import Stream

# Large enough for a telling picture, small enough to be made and replayed in a few seconds.
SYMBOLS: Final = 200
TRADES: Final = 40_000
QUOTES: Final = 250_000

_SLICE_ROWS: Final = 500_000  # rows made at once: memory stays the same however large the day is
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TICK: Final = 0.01

_CLOCKS = [
    pa.field("event_ns", pa.int64(), nullable=False),
    pa.field("known_ns", pa.int64(), nullable=False),
    pa.field("symbol", pa.string(), nullable=False),
]
TRADE: Final = Stream(
    name="trade",
    schema=pa.schema(
        [
            *_CLOCKS,
            pa.field("price", pa.float64(), nullable=False),
            pa.field("size", pa.float64(), nullable=False),
            pa.field("exchange", pa.string(), nullable=False),
        ]
    ),
)
QUOTE: Final = Stream(
    name="quote",
    schema=pa.schema(
        [
            *_CLOCKS,
            pa.field("bid_price", pa.float64(), nullable=False),
            pa.field("bid_size", pa.float64(), nullable=False),
            pa.field("ask_price", pa.float64(), nullable=False),
            pa.field("ask_size", pa.float64(), nullable=False),
            pa.field("exchange", pa.string(), nullable=False),
        ]
    ),
)


def generate_day(
    store: HistoryStore,
    date: str,
    *,
    symbols: int = SYMBOLS,
    trades: int = TRADES,
    quotes: int = QUOTES,
    seed: int | None = None,
) -> list[Day]:
    """Write the streams `trade` and `quote` of `date` and return them; a day made before is left as it is.

    The session is 09:30 to 16:00 in New York.  `seed` is by default the date's eight digits.  Raises
    HistoryError for sizes below one and for a day that was imported: that one is not replaced.
    """
    day = parse_date(date)
    for name, count in (("symbols", symbols), ("trades", trades), ("quotes", quotes)):
        if count < 1:
            raise HistoryError(f"a day needs at least one of each: {name} is {count}")
    seed = int(f"{day:%Y%m%d}") if seed is None else seed
    if seed < 0:
        raise HistoryError(f"seed {seed} must be 0 or more")
    made = {"by": "generate", "symbols": symbols, "trades": trades, "quotes": quotes, "seed": seed}
    recipe = {name: str(value) for name, value in made.items()}
    for stream in (TRADE, QUOTE):
        if store.has(stream.name, date) and store.day(stream.name, date).summary.made.get("by") != "generate":
            raise HistoryError(
                f"the history at {store.root} has an imported {stream.name} day {date}, "
                f"which a synthetic one does not replace: name another store or date"
            )
    slices = _Slices(date, symbols=symbols, trades=trades, quotes=quotes, seed=seed)
    return [
        _keep(store, date, stream, rows, recipe)
        for stream, rows in ((TRADE, slices.trades()), (QUOTE, slices.quotes()))
    ]


def _keep(
    store: HistoryStore, date: str, stream: Stream, rows: Iterator[pa.RecordBatch], recipe: dict[str, str]
) -> Day:
    if store.has(stream.name, date):
        before = store.day(stream.name, date)
        if before.summary.made == recipe:
            return before
    return store.write(stream, date, rows, order="known", made=recipe)


class _Slices:
    """The day cut by volume; quotes are made again for the trades, which costs less than keeping them."""

    def __init__(self, date: str, *, symbols: int, trades: int, quotes: int, seed: int) -> None:
        day = parse_date(date)
        self._symbols, self._trades, self._quotes, self._seed = symbols, trades, quotes, seed
        # At least 64, so that the volume is U-shaped; no more than the quotes: each needs one to trade on.
        self._count = min(max(64, -(-max(trades, quotes) // _SLICE_ROWS)), quotes)
        opens, closes = (local_instant_ns(day, *at, NEW_YORK) for at in ((9, 30), (16, 0)))
        self._bounds = session_instants(np.linspace(0.0, 1.0, self._count + 1), opens, closes)
        self._names = pa.array([_symbol_name(number) for number in range(symbols)])
        self._exchanges = pa.array(EXCHANGES)

    def quotes(self) -> Iterator[pa.RecordBatch]:
        """Yield the quotes in publish order."""
        return self._in_publish_order(self._quote_rows)

    def trades(self) -> Iterator[pa.RecordBatch]:
        """Yield the trades in publish order."""
        return self._in_publish_order(self._trade_rows)

    def _in_publish_order(
        self, rows_of: Callable[[Quotes, int, np.random.Generator], pa.Table]
    ) -> Iterator[pa.RecordBatch]:
        """Sort by the receiver's clock; what it puts behind a slice's end waits for the next slice."""
        market = Market(self._symbols, np.random.default_rng([self._seed, 0]))
        waiting: list[pa.Table] = []
        for number in range(self._count):
            lower_ns, upper_ns = (int(bound) for bound in self._bounds[number : number + 2])
            count = _share(self._quotes, self._count, number)
            made = market.quotes(np.random.default_rng([self._seed, 1, number]), count, lower_ns, upper_ns)
            rows = pa.concat_tables(
                [*waiting, rows_of(made, number, np.random.default_rng([self._seed, 2, number]))]
            )
            known_ns = rows.column("known_ns").to_numpy()
            order = np.argsort(known_ns, kind="stable")
            ready = order.size if number == self._count - 1 else np.searchsorted(known_ns[order], upper_ns)
            rows = rows.take(pa.array(order))
            yield from rows.slice(0, ready).combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
            waiting = [rows.slice(ready)]

    def _quote_rows(self, made: Quotes, number: int, draw: np.random.Generator) -> pa.Table:
        bid, ask = (np.round(ticks * _TICK, 2) for ticks in (made.bid_ticks, made.ask_ticks))
        values = [bid, made.bid_size, ask, made.ask_size]
        return self._table(QUOTE, made, values)

    def _trade_rows(self, made: Quotes, number: int, draw: np.random.Generator) -> pa.Table:
        count = _share(self._trades, self._count, number)
        trades = Market.trades(draw, count, made, int(self._bounds[number + 1]))
        return self._table(TRADE, trades, [trades.price, trades.size])

    def _table(
        self, stream: Stream, made: Quotes | Trades, values: list[Floats | Int32s | Int64s]
    ) -> pa.Table:
        columns = [
            made.event_ns,
            made.known_ns,
            self._names.take(pa.array(made.symbol)),
            *values,
            self._exchanges.take(pa.array(made.exchange)),
        ]
        typed = [
            pa.array(column).cast(kind) for column, kind in zip(columns, stream.schema.types, strict=True)
        ]
        return pa.Table.from_arrays(typed, schema=stream.schema)


def _share(total: int, slices: int, number: int) -> int:
    """How many of `total` rows fall to a slice: they add up, and differ by one at most."""
    return total * (number + 1) // slices - total * number // slices


def _symbol_name(number: int) -> str:
    """AAA, AAB, ... and on to four letters when those are used up."""
    name = ""
    while number or len(name) < 3:
        number, letter = divmod(number, len(_LETTERS))
        name = _LETTERS[letter] + name
    return name
