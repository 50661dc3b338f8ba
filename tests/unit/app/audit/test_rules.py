"""Every kind of fault, planted one at a time in rows that are right."""

import polars as pl
import pyarrow as pa
import pytest

from app.audit.findings import Findings, Violation
from app.audit.join import INDEX, OFFSET, Rules, expected_rows
from app.audit.rules import PARTITION, Layout, check_order, check_tile
from app.settings.pipeline import PipelineSettings
from tests.stage.audit_faults import PLANTED, Plant, another, first
from topics.partitioner import partition_of


def rules(**settings: object) -> Rules:
    return Rules(
        pipeline=PipelineSettings(**settings),  # type: ignore[arg-type]
        keys={"trade": ["symbol"], "quote": ["symbol"]},
        sequences={"trade": None, "quote": None},
        columns={"quote": ["bid", "ask"]},
        left_key=pa.schema([("symbol", pa.string())]),
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


LATE = pl.DataFrame({OFFSET: [77], INDEX: [0]}, schema_overrides={INDEX: pl.Int32})


def found(rows: pl.DataFrame, *, by_place: bool = True, **settings: object) -> list[Violation]:
    findings = Findings()
    layout = Layout(by_place=by_place, partitions=2, late=LATE)
    check_order(rules(**settings), rows, None, findings)
    check_tile([rules(**settings)], layout, TRADES, [{"quote": QUOTES}], rows, findings)
    return list(findings.violations())


def right(**settings: object) -> pl.DataFrame:
    rows = expected_rows(rules(**settings), TRADES, {"quote": QUOTES})
    return rows.select(pl.exclude("^audit_.*$"), pl.lit(0, pl.Int32).alias(PARTITION))


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


SETTINGS: list[dict[str, object]] = [
    {},
    {"carry": "column"},
    {"tolerance_ns": 4},
    {"allow_exact": False},
    {"direction": "forward", "tolerance_ns": 5},
    {"direction": "nearest", "tolerance_ns": 5, "allow_exact": False},
]


@pytest.mark.parametrize("by_place", [True, False])
@pytest.mark.parametrize("settings", SETTINGS)
def test_right_rows_have_no_violation(settings: dict[str, object], by_place: bool) -> None:
    assert found(right(**settings), by_place=by_place, **settings) == []


ELSEWHERE = next(key for key in ("A", "B", "C", "D", "E") if partition_of(key.encode(), 2) == 1)
HERE: dict[str, Plant] = {
    **PLANTED,
    "late row was sealed too": lambda rows: another(rows, left_offset=77),
    "row of another partition": lambda rows: another(rows, symbol=ELSEWHERE),
}


@pytest.mark.parametrize("kind", HERE)
def test_a_planted_fault_is_named_with_its_first_row(kind: str) -> None:
    violations = {violation.kind: violation for violation in found(HERE[kind](right()))}
    assert kind in violations
    assert violations[kind].rows >= 1
    assert violations[kind].examples


@pytest.mark.parametrize("kind", PLANTED)
def test_a_fault_is_found_where_left_rows_have_no_place(kind: str) -> None:
    assert kind in {violation.kind for violation in found(PLANTED[kind](right()), by_place=False)}


def test_a_value_carried_from_another_row_is_named() -> None:
    rows = right(carry="column")
    (violation,) = found(first(rows, quote_bid=0.75), carry="column")
    assert (violation.kind, violation.rows) == ("wrong carried value", 1)


def test_a_row_whose_time_was_changed_is_one_fault() -> None:
    rows = right()
    last = rows.tail(1).with_columns(event_ns=pl.lit(31, pl.Int64))
    (violation,) = found(pl.concat([rows.head(3), last]))
    assert (violation.kind, violation.rows) == ("changed left row", 1)


def test_a_wrong_match_shows_both_sides() -> None:
    (violation,) = found(right().with_columns(quote_ask=pl.lit(7.0)))
    assert (violation.kind, violation.rows) == ("changed right value", 4)
    assert "quote_ask is 7.0, should be 1.5; matches quote row 0/0" in violation.examples[0]
