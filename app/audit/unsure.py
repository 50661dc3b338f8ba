"""Matches that a right row which is gone may have been: judged as far as that goes, and counted."""

from collections.abc import Callable

import polars as pl

from app.audit.findings import Findings, place_words
from app.audit.join import Rules, matched_row, value_since
from app.audit.retained import Retained
from app.audit.sides import WANTED, differ


def judge_unsure(
    rules: Rules, name: str, both: pl.DataFrame, retained: Retained, findings: Findings
) -> pl.DataFrame:
    """Judge the rows whose match in `name` is not certain, as far as it goes; returns the others.

    `both` are aligned rows beside what they should be by the right rows that are left.  Whatever is gone, a
    row that is left and lies nearer than the match should have been it; a match that is newer than all that
    is gone has to be among what is left; and an age is that of its match.
    """
    on, then = pl.col(rules.on), f"{name}_{rules.on}"
    told, best = pl.col(then), pl.col(WANTED + then)
    offset, index = (WANTED + column for column in matched_row(name))
    # Of a match that may have been set aside nothing follows.
    doubtful = retained.doubtful(both, offset, index, WANTED + then)
    both = both.with_columns(doubtful.alias("audit_doubtful"))
    certain = both.select((_certain(rules, best, retained) & ~pl.col("audit_doubtful")).alias("certain"))
    sure = certain["certain"].fill_null(value=False)
    unsure, both = both.filter(~sure), both.filter(sure).drop("audit_doubtful")
    if not unsure.height:
        return both
    far, near = (on - told).abs(), (on - best).abs()
    nearer = best.is_not_null() & ~pl.col("audit_doubtful") & (told.is_null() | (near < far))
    invented = (told > retained.upper_ns) & (best.is_null() | (far < near))
    wrong = nearer | invented
    if rules.pipeline.tolerance_ns is not None:
        wrong |= far > rules.pipeline.tolerance_ns
    wrong = wrong.fill_null(value=False)
    age = pl.col(f"{name}_age_ns").ne_missing(on - told)
    same = told.eq_missing(best) & ~pl.col("audit_doubtful") & best.is_not_null()
    values = [f"{name}_{c}" for c in rules.columns[name]]
    changed = same & differ(unsure, values) & pl.lit(_one_of_a_time(rules, name))
    words = _words(name, then)
    findings.add("wrong match", unsure.filter(wrong), words)
    findings.add("changed right value", unsure.filter(~wrong & changed), words)
    findings.add("wrong age", unsure.filter(~wrong & age), words)
    findings.passed_over[name] += unsure.filter(~wrong & ~changed & ~age).height
    return both


def value_is_certain(rules: Rules, name: str, column: str, retained: Retained) -> pl.Expr:
    """With carry by column, whether no row that is gone can have been the last with a value in a column."""
    upper_ns = retained.values_upper_ns
    certain = pl.col(WANTED + value_since(name, column)) > upper_ns
    if rules.pipeline.tolerance_ns is not None:
        certain |= pl.col(rules.on) - rules.pipeline.tolerance_ns > upper_ns
    return certain.fill_null(value=False)


def _certain(rules: Rules, best: pl.Expr, retained: Retained) -> pl.Expr:
    """Whether no row that is gone can be a better match than the best of those that are left."""
    if not retained.gone:
        return pl.lit(value=True)
    on, upper_ns = pl.col(rules.on), retained.upper_ns
    if rules.pipeline.direction == "forward":
        return on > upper_ns
    certain = pl.lit(value=False)
    if rules.pipeline.tolerance_ns is not None:
        certain = on - rules.pipeline.tolerance_ns > upper_ns
    return certain | (best > upper_ns) if rules.pipeline.direction == "backward" else certain


def _one_of_a_time(rules: Rules, name: str) -> bool:
    """Whether of equal times a row that is left is matched and not one that is gone."""
    own = rules.pipeline
    return own.direction == "backward" and own.carry == "row" and rules.sequences[name] is None


def _words(name: str, then: str) -> Callable[[dict[str, object]], str]:
    def describe(row: dict[str, object]) -> str:
        offset, index = (row[WANTED + column] for column in matched_row(name))
        left = f"{name} row {offset}/{index} of {row[WANTED + then]!r}"
        aligned = {c: v for c, v in row.items() if not c.startswith((WANTED, "audit_"))}
        best = "no such row is left" if offset is None else f"the nearest left is {left}"
        return f"left row {place_words(row)}: {then} is {row[then]!r}, {best}; aligned row {aligned}"

    return describe
