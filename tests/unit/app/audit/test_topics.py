"""Faults planted in the topics of a run that was right: each is caught by its name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from app.audit.topics import audit, rules_of
from app.config import Settings
from schemas.letters import DeadLetter, LateLetter
from schemas.stream import Stream
from tests.stage.audit_faults import PLANTED, Plant, another, first
from tests.stage.audit_market import ELSEWHERE, frame_of, honest, rewrite, sealed
from tests.stage.market import Market
from topics.block import Original


def kinds(market: Market) -> dict[str, str]:
    """What the audit finds in partition 0, each kind with its first example."""
    return {v.kind: v.examples[0] for number, v in audit(market.pipeline).violations if number == 0}


def test_a_run_with_late_rows_is_clean(tmp_path: Path) -> None:
    report = audit(honest(tmp_path).pipeline)
    assert report.violations == []
    assert (report.rows_aligned, report.rows_late) == (6, {"trade": 1, "quote": 1})


MORE: dict[str, Plant] = {
    **PLANTED,
    "late row was sealed too": lambda rows: another(rows, left_offset=2, left_index=0, event_ns=6),
    "row of another partition": lambda rows: another(rows, symbol=ELSEWHERE),
}


@pytest.mark.parametrize("kind", MORE)
def test_a_fault_in_the_aligned_topic_is_named(kind: str, tmp_path: Path) -> None:
    market = honest(tmp_path)
    planted = MORE[kind](sealed(market))
    rewrite(market, "aligned", [frame_of(market, planted)])
    assert kind in kinds(market)


def test_a_value_carried_from_nowhere_is_named(tmp_path: Path) -> None:
    market = honest(tmp_path, carry="column")
    rewrite(market, "aligned", [frame_of(market, first(sealed(market), quote_bid=0.75))])
    assert list(kinds(market)) == ["wrong carried value"]


def test_a_frame_whose_parity_is_not_that_of_its_rows_is_named(tmp_path: Path) -> None:
    market = honest(tmp_path)
    rewrite(market, "aligned", [frame_of(market, sealed(market), parity="3-" + "0" * 32)])
    assert list(kinds(market)) == ["wrong parity"]


LETTERS: dict[str, tuple[str, Callable[[LateLetter], LateLetter]]] = {
    "another lateness": (
        "the oldest row is 12 ns below it",
        lambda told: replace(told, lateness_ns=told.lateness_ns + 1),
    ),
    "a frontier that its own input had not reached": (
        "quote held before lets it come to 30",
        lambda told: replace(told, frontier_ns=31, lateness_ns=23),
    ),
    "a frontier that another input never reached": (
        "trade never came further than 20",
        lambda told: replace(told, frontier_ns=25, lateness_ns=17),
    ),
    "a row that is not there": ("no such row", lambda told: replace(told, indexes=(0, 7))),
    "a message that is not there": ("no such row", lambda told: replace(told, offset=1_000)),
    "another message": ("not the one in the input", lambda told: replace(told, offset=0)),
    "a row above the frontier": (
        "is not below it",
        lambda told: replace(told, frontier_ns=8, lateness_ns=0),
    ),
    "another partition": ("no input of partition 0", lambda told: replace(told, partition=1)),
}


@pytest.mark.parametrize("fault", LETTERS)
def test_a_row_that_is_late_without_reason_is_named(fault: str, tmp_path: Path) -> None:
    market = honest(tmp_path)
    reason, plant = LETTERS[fault]
    trade, quote = sorted(
        market.messages("late"), key=lambda m: LateLetter.from_kafka(m.headers).stream, reverse=True
    )
    told = LateLetter.from_kafka(quote.headers)
    assert (told.stream, told.frontier_ns, told.lateness_ns) == ("quote", 20, 12)
    rewrite(market, "late", [trade, quote._replace(headers=plant(told).to_kafka())])
    found = kinds(market)
    assert reason in found["unjustified late"]


def test_a_row_that_is_late_twice_is_named(tmp_path: Path) -> None:
    market = honest(tmp_path)
    letters = market.messages("late")
    rewrite(market, "late", [*letters, letters[0]])
    assert list(kinds(market)) == ["late twice"]


def test_rows_of_dead_letters_are_not_accepted(tmp_path: Path) -> None:
    market = honest(tmp_path)
    told = DeadLetter(
        topic=market.settings.topic("quote"), partition=0, offset=0, reason="", error="", indexes=(1,)
    )
    rewrite(market, "dead", [Original(b"A", b"", told.to_kafka(), 0)])
    found = kinds(market)
    assert "should be 5" in found["wrong match"]


def test_columns_from_within_records_are_checked_like_others() -> None:
    values = [("bid_price", pa.float64()), ("n", pa.int64())]
    schema = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), *values])
    streams = {name: Stream(name=name, schema=schema) for name in ("trade", "quote")}
    chosen = Settings.model_validate({"streams": {"quote": {"columns": ["bid.price"]}}})
    assert rules_of(chosen, streams).columns == {"quote": ["bid_price"]}
    assert rules_of(Settings(), streams).columns == {"quote": ["bid_price", "n"]}
