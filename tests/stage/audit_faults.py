"""Every fault that aligned rows can have, as a change to rows that are right."""

from collections.abc import Callable

import polars as pl

Plant = Callable[[pl.DataFrame], pl.DataFrame]


def first(rows: pl.DataFrame, **values: pl.Expr | float) -> pl.DataFrame:
    """`rows` with other values in the first one."""
    changed = [
        (value if isinstance(value, pl.Expr) else pl.lit(value)).cast(rows.schema[name]).alias(name)
        for name, value in values.items()
    ]
    return pl.concat([rows.head(1).with_columns(changed), rows.slice(1)])


def another(rows: pl.DataFrame, **values: object) -> pl.DataFrame:
    """`rows` with the last one again, with other values."""
    changed = [pl.lit(value).cast(rows.schema[name]).alias(name) for name, value in values.items()]
    return pl.concat([rows, rows.tail(1).with_columns(changed)])


# The first row of what is changed here has a match.
PLANTED: dict[str, Plant] = {
    "missing": lambda rows: rows.slice(1),
    "duplicated": lambda rows: pl.concat([rows.head(1), rows]),
    "unexpected": lambda rows: another(rows, left_offset=99, event_ns=1_000),
    "out of order": lambda rows: rows.reverse(),
    "changed left row": lambda rows: first(rows, price=77.0),
    "wrong match": lambda rows: first(rows, quote_event_ns=pl.col("quote_event_ns") - 1),
    "changed right value": lambda rows: first(rows, quote_bid=0.75),
    "wrong age": lambda rows: first(rows, quote_age_ns=pl.col("quote_age_ns") + 1),
    "look-ahead": lambda rows: first(rows, quote_event_ns=pl.col("event_ns") + 1),
}
