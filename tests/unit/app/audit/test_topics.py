"""Faults planted in the topics of a run that was right: each is caught by its name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from app.audit.topics import audit, rules_of
from app.config import Settings
from app.reading.aligned import read_aligned
from app.wiring.pipeline import topic_specs
from schemas.frame import FrameHeaders, encode_frame, layout_fingerprint
from schemas.letters import DeadLetter, LateLetter
from schemas.stream import Stream
from tests.stage.audit_faults import PLANTED, Plant, another, first
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import Original

HERE, ELSEWHERE = "A", "D"  # symbols of partition 0 and of partition 1


def honest(folder: Path, **pipeline: object) -> Market:
    """Two partitions sealed up to 20, though the quotes are complete to 30; then a late trade and quote."""
    market = Market(folder, partitions=2, pipeline=pipeline)
    for symbol in (HERE, ELSEWHERE):
        market.quote(5, 9, symbol=symbol)
        market.trade(7, 9, 12, symbol=symbol)
    market.progress(20, "trade")
    market.progress(30, "quote")
    worker = market.worker()
    turn_until_quiet(worker)
    market.trade(6, symbol=HERE)
    market.quote(8, symbol=HERE)
    turn_until_quiet(worker)
    worker.close()
    return market


def rewrite(market: Market, kind: str, messages: list[Original]) -> None:
    """Put these messages in place of those of partition 0; partition 1 is left empty."""
    admin = market.bus.admin()
    topic = market.settings.topic(kind)
    (spec,) = [spec for spec in topic_specs(market.settings) if spec.name == topic]
    admin.delete([topic])
    admin.create([spec])
    producer = market.bus.producer()
    for message in messages:
        producer.produce(topic, partition=0, key=message.key, value=message.value, headers=message.headers)


def frame_of(market: Market, rows: pl.DataFrame, parity: str = "") -> Original:
    schema = market.pipeline.asof.aligned_schema()
    (batch,) = rows.to_arrow().cast(schema).combine_chunks().to_batches()
    told = FrameHeaders(
        layout=layout_fingerprint(schema),
        complete_ns=20,
        rows=batch.num_rows,
        released_ns=0,
        sealed_ns=0,
        newest_ns=0,
        parity=parity,
    )
    return Original(None, encode_frame(batch), told.to_kafka(), 0)


def sealed(market: Market, partition: int = 0) -> pl.DataFrame:
    rows = pl.from_arrow(pa.Table.from_batches(list(read_aligned(market.pipeline, partition))))
    assert isinstance(rows, pl.DataFrame)
    return rows


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
