"""A short storm of faults under 20,000 rows/s, what it is made of, and what its verifier sees."""

import io
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import polars as pl
import pytest

from tests.broker.chaos.feed import QUOTE, TRADE
from tests.broker.chaos.storm import blocks, verifier
from tests.broker.chaos.storm.captured import Found, capture_under_load
from tests.broker.chaos.storm.captured import compare as compare_captured
from tests.broker.chaos.storm.changed import change_under_load
from tests.broker.chaos.storm.driver import Sample, Story
from tests.broker.chaos.storm.events import ELDER, GUEST, MORTAL, Event, drawn
from tests.broker.chaos.storm.market import ROWS_PER_STEP, STEP_MS, Market
from tests.broker.chaos.storm.play import storm
from tests.broker.chaos.storm.report import Report
from tests.broker.chaos.storm.watcher import rises
from tests.broker.chaos.verifier import Figures
from tests.stage.kafka_process import SCRIPT

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(100)]

NOW_NS = 1_800_000_000_000_000_000
SHORT = (
    Event(kind="worker killed", slot=MORTAL, wiped=True, failpoint="commit-end:3"),
    Event(kind="broker stands still", lasts_s=2.0, calm=False),
    Event(kind="stranger", slot=MORTAL),
)


@pytest.mark.broker
def test_a_graph_changed_under_load_has_the_past_in_what_is_new_and_every_bit_in_the_rest(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    if not (SCRIPT.parents[2] / "build/kafka").exists():
        pytest.skip(f"the broker at {kafka_bootstrap} was not started here, so none of our own is")
    found = change_under_load(tmp_path, seconds=4.0)
    assert found.wrong == []
    assert 0 < found.rows_behind < found.rows


@pytest.mark.broker
def test_a_short_storm_loses_doubles_and_changes_nothing(kafka_bootstrap: str, tmp_path: Path) -> None:
    if not (SCRIPT.parents[2] / "build/kafka").exists():
        pytest.skip(f"the broker at {kafka_bootstrap} was not started here, so none of our own is")
    report = storm(tmp_path, 1, list(SHORT), seconds=60)
    assert report.failed == ""
    assert report.figures.clean, report.figures
    assert report.figures.rows > ROWS_PER_STEP
    struck = [one.event.kind for one in report.story.struck]
    assert sorted(struck) == sorted([*(event.kind for event in SHORT), "worker died"])
    assert all(one.recovered_s is not None for one in report.story.struck)


@pytest.mark.broker
def test_captures_that_die_under_load_have_each_row_once(kafka_bootstrap: str, tmp_path: Path) -> None:
    if not (SCRIPT.parents[2] / "build/kafka").exists():
        pytest.skip(f"the broker at {kafka_bootstrap} was not started here, so none of our own is")
    found = capture_under_load(tmp_path, seconds=8.0, act_s=1.0)
    assert found.clean, found
    assert found.rows > ROWS_PER_STEP
    for what in ("killed", "broker restarts", "stood still and woke", "compactions"):
        assert found.story[what] > 0, found


def test_fastavro_reads_the_blocks_of_the_feed() -> None:
    rows = Market(NOW_NS, seed=1).step()
    for name, record in (("trade", TRADE), ("quote", QUOTE)):
        schema = fastavro.parse_schema(blocks.block_schema(record))
        messages = blocks.encoded(7, rows[name])
        for number, message in enumerate(messages):
            assert message[:5] == b"\x00\x00\x00\x00\x07"
            body = io.BytesIO(message[5:])
            found: Any = fastavro.schemaless_reader(body, schema, None)
            assert body.read() == b""
            assert [row["event_ns"] for row in found] == rows[name].event_ns[number].tolist()
            assert [row["number"] for row in found] == rows[name].number[number].tolist()
            symbol = blocks.symbol_name(int(rows[name].symbol[number])).decode()
            assert {row["symbol"] for row in found} == {symbol}
            price = "price" if name == "trade" else "bid"
            assert [row[price] for row in found] == rows[name].price[number].tolist()
    asks = rows["quote"].asks
    assert asks is not None
    assert 0 < asks.sum() < asks.size


def test_a_market_has_20_000_rows_a_second_and_none_behind_its_step() -> None:
    assert ROWS_PER_STEP * 1_000 // STEP_MS == 20_000
    assert sum(rows.event_ns.size for rows in Market(NOW_NS, seed=1).step().values()) == ROWS_PER_STEP
    assert sum(rows.event_ns.size for rows in Market(NOW_NS, seed=1, thin=4).step().values()) == 480
    market = Market(NOW_NS, seed=1)
    market.step()
    begin_ns = market.now_ns
    for rows in market.step().values():
        assert begin_ns <= rows.event_ns.min() <= rows.event_ns.max() < market.now_ns


def test_a_seed_draws_the_same_events_again() -> None:
    assert drawn(3, 200) == drawn(3, 200) != drawn(4, 200)
    assert drawn(3, 200)[:50] == drawn(3, 50)
    guests = [event.kind for event in drawn(3, 200) if event.slot == GUEST]
    assert guests[:4] == ["member joins", "member leaves"] * 2
    elder = {event.kind for event in drawn(3, 200) if event.slot == ELDER}
    assert elder == {"worker stands still", "answers lost"}


def rows_of(numbers: list[int], **columns: Any) -> pl.DataFrame:
    made = {"event_ns": numbers, "symbol": [1] * len(numbers), "left_offset": numbers, "left_index": 0}
    return pl.DataFrame(made | columns)


def test_the_join_takes_the_last_of_equal_quotes_and_none_beyond_the_tolerance() -> None:
    quotes = rows_of([1, 5, 5], number=[1, 2, 3], bid=[1.0, 2.0, 3.0], ask=[None, 2.5, None])
    quotes = quotes.with_columns(left_offset=pl.Series([1, 2, 3]))
    found = verifier.join(rows_of([3, 5, 8], number=[7, 8, 9], price=1.0), quotes, 2)
    assert found["quote_number"].to_list() == [1, 3, None]
    assert found["quote_age_ns"].to_list() == [2, 0, None]
    assert verifier.join(rows_of([8], number=9, price=1.0), quotes, None)["quote_number"].to_list() == [3]


@pytest.mark.parametrize(
    ("aligned", "wrong"),
    [
        (rows_of([1, 2, 3], number=[1, 2, 3]), {}),
        (rows_of([1, 3], number=[1, 3]), {"lost": 1}),
        (rows_of([1, 2, 2, 3], number=[1, 2, 2, 3]), {"duplicated": 1}),
        (rows_of([1, 2, 3], number=[1, None, 3]), {"changed": 1}),
        (rows_of([1, 2, 3, 4], number=[1, 2, 3, 4]), {"changed": 1}),
        (rows_of([2, 1, 3], number=[2, 1, 3]), {"out_of_order": 2}),
    ],
)
def test_the_verifier_sees_what_is_wrong(aligned: pl.DataFrame, wrong: dict[str, int]) -> None:
    figures = Figures()
    verifier.compare(rows_of([1, 2, 3], number=[1, 2, 3]), aligned, figures)
    assert figures == Figures(rows=3, **wrong)
    assert figures.clean == (wrong == {})


@pytest.mark.parametrize(
    ("kept", "wrong"),
    [([1, 2, 3], {}), ([1, 3], {"lost": 1}), ([1, 2, 2, 3], {"doubled": 1}), ([1, 2, 3, 4], {"changed": 1})],
)
def test_what_is_wrong_with_captured_rows_is_seen(kept: list[int], wrong: dict[str, int]) -> None:
    def rows(numbers: list[int]) -> pl.DataFrame:
        places = {"_partition": [0] * len(numbers), "_offset": numbers, "_index": [0] * len(numbers)}
        return pl.DataFrame({"number": numbers, "symbol": ["S0001"] * len(numbers), **places})

    found = Found()
    compare_captured(rows([1, 2, 3]), rows(kept), found)
    assert (found.rows, len(found.faults)) == (3, int(bool(wrong)))
    assert {what: getattr(found, what) for what in wrong} == wrong
    assert found.clean == (not wrong)


def test_a_captured_value_that_changed_is_seen() -> None:
    places = {"_partition": [0], "_offset": [1], "_index": [0]}
    found = Found()
    sent, kept = (pl.DataFrame({"number": [n], "symbol": ["S0001"], **places}) for n in (1, 2))
    compare_captured(sent, kept, found)
    assert (found.changed, found.lost, len(found.faults)) == (1, 0, 1)


def test_rows_that_come_again_or_too_late_do_not_rise() -> None:
    event, left, index = (
        np.array(column) for column in ([1, 1, 1, 2, 1, 2], [1, 1, 2, 1, 9, 1], [0, 1, 0, 5, 0, 5])
    )
    assert rises([event, left, index]).tolist() == [True, True, True, False, True]


def test_a_storm_of_any_length_has_a_report() -> None:
    story = Story(seconds=1)
    for size, threads, expected in ((0, 0, "0 and 0"), (90 << 20, 7, "0 and 7"), (80 << 20, 5, "7 and 5")):
        if size:
            story.samples.append(Sample(1, ELDER, size, size, threads))
        (line,) = (line for line in Report(1, story).lines() if line.startswith("threads"))
        assert f"at most {expected}," in line


def test_memory_that_grows_is_no_clean_storm() -> None:
    story = Story(seconds=1_000)
    report = Report(1, story)
    assert report.memory is None
    story.samples += [Sample(at_s, ELDER, 100 << 20, 90 << 20, 40) for at_s in range(0, 700, 10)]
    story.samples += [Sample(at_s, ELDER, 120 << 20, 90 << 20, 40) for at_s in range(700, 1_000, 10)]
    assert report.clean
    story.samples.append(Sample(999, ELDER, 400 << 20, 90 << 20, 40))
    assert not report.flat
    assert not report.clean
