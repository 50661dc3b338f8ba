"""Every kind of fault, planted one at a time in rows that are right."""

from collections.abc import Callable

import polars as pl
import pytest

from app.audit_rules import INDEX, OFFSET, Rules, Violation, expected_rows, find_violations
from app.config import PipelineSettings


def rules(**settings: object) -> Rules:
    return Rules(
        pipeline=PipelineSettings(**settings),  # type: ignore[arg-type]
        keys={"trade": ["symbol"], "quote": ["symbol"]},
        sequences={"trade": None, "quote": None},
        columns={"quote": ["bid", "ask"]},
    )


def placed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias(OFFSET), pl.lit(0, dtype=pl.Int32).alias(INDEX)
    )


TRADES = placed(
    pl.DataFrame(
        {"event_ns": [10, 20, 20, 30], "symbol": ["A", "A", "B", "A"], "price": [1.0, 2.0, 3.0, None]}
    )
)
QUOTES = placed(
    pl.DataFrame(
        {
            "event_ns": [5, 20, 20, 25],
            "symbol": ["A", "A", "A", "A"],
            "bid": [0.5, 1.5, None, None],
            "ask": [1.5, None, 2.5, 3.5],
        }
    )
)


def found(rows: pl.DataFrame, **settings: object) -> list[Violation]:
    return list(find_violations(rules(**settings), TRADES, {"quote": QUOTES}, rows))


def right(**settings: object) -> pl.DataFrame:
    return expected_rows(rules(**settings), TRADES, {"quote": QUOTES})


def test_the_last_quote_of_equal_times_stands_and_nulls_stay_nulls() -> None:
    rows = right()
    assert rows["quote_event_ns"].to_list() == [5, 20, None, 25]
    assert rows["quote_bid"].to_list() == [0.5, None, None, None]
    assert rows["quote_age_ns"].to_list() == [5, 0, None, 5]


def test_carry_by_column_takes_the_last_value_that_was_not_null() -> None:
    rows = right(carry="column")
    assert rows["quote_bid"].to_list() == [0.5, 1.5, None, 1.5]
    assert rows["quote_ask"].to_list() == [1.5, 2.5, None, 3.5]


def test_a_tolerance_binds_each_column_by_the_row_it_came_from() -> None:
    rows = right(carry="column", tolerance_ns=5)
    assert rows["quote_bid"].to_list() == [0.5, 1.5, None, None]
    assert rows["quote_event_ns"].to_list() == [5, 20, None, 25]


def test_strict_does_not_match_an_equal_time() -> None:
    assert right(allow_exact=False)["quote_event_ns"].to_list() == [5, 5, None, 25]


@pytest.mark.parametrize("settings", [{}, {"carry": "column"}, {"tolerance_ns": 4}, {"allow_exact": False}])
def test_right_rows_have_no_violation(settings: dict[str, object]) -> None:
    assert found(right(**settings), **settings) == []


PLANTED: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "missing": lambda rows: rows.slice(1),
    "duplicated": lambda rows: pl.concat([rows, rows.head(1)]),
    "unexpected": lambda rows: pl.concat([rows, rows.head(1).with_columns(left_offset=pl.lit(99, pl.Int64))]),
    "out of order": lambda rows: rows.reverse(),
    "changed left row": lambda rows: rows.with_columns(price=pl.col("price").fill_null(0.0)),
    "wrong match": lambda rows: rows.with_columns(quote_bid=pl.col("quote_bid").fill_null(0.0)),
    "look-ahead": lambda rows: rows.with_columns(quote_event_ns=pl.col("quote_event_ns") + 1),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_named_with_its_first_row(kind: str) -> None:
    violations = {violation.kind: violation for violation in found(PLANTED[kind](right()))}
    assert kind in violations
    assert violations[kind].rows >= 1
    assert violations[kind].examples


def test_a_wrong_match_shows_both_sides() -> None:
    (violation,) = found(right().with_columns(quote_ask=pl.lit(7.0)))
    assert violation.rows == 4
    assert "quote_ask is 7.0, should be 1.5" in violation.examples[0]
