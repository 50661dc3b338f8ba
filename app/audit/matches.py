"""Aligned rows beside what they should be: which match, which values, and both sides in words."""

from collections.abc import Callable, Sequence

import polars as pl

from app.audit.findings import Findings, place_words
from app.audit.join import Rules, matched_row

WANTED = "wanted_"


def compare(rules: Rules, both: pl.DataFrame, findings: Findings) -> None:
    """Compare what was looked up for aligned rows with what it should be, column by column."""
    for name in rules.pipeline.right:
        then, age = f"{name}_{rules.on}", f"{name}_age_ns"
        values = [f"{name}_{c}" for c in rules.columns[name]]
        all_of_it = sides([*values, then, age], name)
        another = differ(both, [then])
        findings.add("wrong match", both.filter(another), all_of_it)
        kind = "wrong carried value" if rules.pipeline.carry == "column" else "changed right value"
        findings.add(kind, both.filter(differ(both, values) & ~another), all_of_it)
        findings.add("wrong age", both.filter(differ(both, [age]) & ~another), all_of_it)


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
