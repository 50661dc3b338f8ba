"""Aligned rows beside what they should be: whether they differ, and both sides in words."""

from collections.abc import Callable, Sequence

import polars as pl

from app.audit.findings import place_words
from app.audit.join import matched_row

WANTED = "wanted_"


def differ(both: pl.DataFrame, columns: Sequence[str]) -> pl.Expr:
    """Whether any of the columns is not what is wanted, a null being a value of its own."""
    checks = [pl.col(c).ne_missing(pl.col(WANTED + c).cast(both.schema[c], strict=False)) for c in columns]
    return pl.any_horizontal(checks) if checks else pl.lit(value=False)


def sides(columns: Sequence[str], right: str | None = None) -> Callable[[dict[str, object]], str]:
    """Describes an aligned row: its left row, what differs from what is wanted, and the row that gives it."""

    def describe(row: dict[str, object]) -> str:
        wrong = [
            f"{c} is {row[c]!r}, should be {row[WANTED + c]!r}" for c in columns if row[c] != row[WANTED + c]
        ]
        told = f"left row {place_words(row)}: {'; '.join(wrong)}"
        if right is not None:
            offset, index = (row[WANTED + c] for c in matched_row(right))
            told += f"; matches no {right}" if offset is None else f"; matches {right} row {offset}/{index}"
        aligned = {c: v for c, v in row.items() if not c.startswith((WANTED, "audit_"))}
        return f"{told}; aligned row {aligned}"

    return describe
