"""Small trades and quotes for the tests of the as-of join, and seeded large ones."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def trades(event_ns: Sequence[int | None], symbol: Sequence[str | None] | None = None) -> pa.Table:
    """A left table; all trades are in the symbol A unless told."""
    rows = len(event_ns)
    return pa.table(
        {
            "event_ns": pa.array(event_ns, pa.int64()),
            "symbol": pa.array(symbol or ["A"] * rows, pa.string()),
            "price": pa.array([10.0] * rows, pa.float64()),
        }
    )


def quotes(
    event_ns: Sequence[int | None],
    symbol: Sequence[str | None] | None = None,
    bid: Sequence[float | None] | None = None,
) -> pa.Table:
    """A right table; all quotes are in the symbol A unless told."""
    rows = len(event_ns)
    return pa.table(
        {
            "event_ns": pa.array(event_ns, pa.int64()),
            "symbol": pa.array(symbol or ["A"] * rows, pa.string()),
            "bid": pa.array(bid or [9.0] * rows, pa.float64()),
        }
    )


def large_tables(rows: int, symbols: int) -> tuple[pa.Table, pa.Table]:
    """A left and a right table of `rows` rows in time order, no time twice in one table, some values null."""
    rng = np.random.default_rng(rows)
    names = np.array([f"S{number}" for number in range(symbols)])

    def times() -> pa.Array:
        return pa.array(np.sort(rng.permutation(4 * rows)[:rows]))

    left = pa.table({"event_ns": times(), "symbol": names[rng.integers(0, symbols, rows)]})
    right = pa.table(
        {
            "event_ns": times(),
            "symbol": names[rng.integers(0, symbols, rows)],
            "bid": pa.array(rng.random(rows)),
            "size": pa.array(rng.integers(0, 99, rows), mask=rng.random(rows) < 0.1),
            "venue": pa.array(
                [None if size == 0 else "v" * size for size in rng.integers(0, 9, rows).tolist()]
            ),
            "open": pa.array(rng.random(rows) < 0.5),
        }
    )
    return left, right


def bytes_of(table: pa.Table) -> list[bytes | None]:
    """Every buffer of the table, nulls' places included."""
    return [
        None if buffer is None else buffer.to_pybytes()
        for column in table.columns
        for piece in column.chunks
        for buffer in piece.buffers()
    ]
