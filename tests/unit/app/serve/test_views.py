"""What the page shows is what lies in the topics, to the nanosecond, and no more is read than it may."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.errors import UsageError
from app.serve import bounded, follower, looker
from app.serve.letters import LetterReader
from app.serve.looker import Looker
from app.serve.strips import HOLDERS_MAX
from app.serve.symbol import SymbolReader
from app.worker.worker import Worker
from operators.sealed import ALIGNED
from schemas.clocks import NS_PER_S
from schemas.frame import encode_frame
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

AT = 1_705_305_600 * NS_PER_S
TICK = {
    "tick": {
        "from": "aligned",
        "features": {"twice": "quote_bid * 2", "up": "price - quote_bid"},
        "out": {},
    }
}


def looks(page: Looker, count: int = 1) -> dict[str, Any]:
    """The last of some looks, without a thread."""
    for _ in range(count):
        answer = page.look()
    return answer


def page_of(market: Market) -> Looker:
    return Looker(market.settings, market.bus, market.pipeline)


def sealed(market: Market, *symbols: str) -> Worker:
    """Two trades 1 ns apart of each symbol are sealed with a quote; returns the worker, which goes on."""
    worker = market.worker()
    for symbol in symbols or ("A",):
        market.quote(AT, symbol=symbol)
        market.trade(AT + 1, AT + 2, symbol=symbol)
    market.progress(AT + NS_PER_S)
    turn_until_quiet(worker)
    worker.commit()
    return worker


def test_a_look_has_the_group_and_counts_the_rows_that_left(tmp_path: Path) -> None:
    market = Market(tmp_path)
    page = page_of(market)
    first = looks(page)
    assert first["point"]["rows"] == 0
    assert first["picture"]["tasks"][0]["verdict"] == "empty"
    sealed(market)
    second = looks(page)
    assert second["point"]["rows"] == 2
    assert second["point"]["p50"] is not None
    assert looks(page)["point"]["rows"] == 0
    history = page.history()
    assert [point["rows"] for point in history["points"]] == [0, 2, 0]
    assert history["holders"][0][0]["verdict"] == "empty"


def test_rows_of_frames_that_were_passed_over_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LOOK_NS", -1)
    monkeypatch.setattr(follower, "MESSAGES_MAX", 1)
    market = Market(tmp_path)
    page = page_of(market)
    worker = market.worker()
    rows = 0
    looks(page)
    for second in range(1, 6):
        market.quote(AT + second * NS_PER_S)
        market.trade(AT + second * NS_PER_S + 1)
        market.progress(AT + second * NS_PER_S + 2)
        turn_until_quiet(worker)
        worker.commit()
        if second in (1, 5):
            rows += looks(page)["point"]["rows"]
    assert rows + looks(page)["point"]["rows"] <= 5
    market.quote(AT + 9 * NS_PER_S)
    market.trade(AT + 9 * NS_PER_S + 1)
    market.progress(AT + 9 * NS_PER_S + 2)
    turn_until_quiet(worker)
    worker.commit()
    assert rows + looks(page)["point"]["rows"] >= 1


def test_a_broker_that_is_away_is_shown_and_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from topics.bus import BusUnavailableError

    page = page_of(Market(tmp_path))

    def refuse(*_: object) -> None:
        raise BusUnavailableError("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr(looker, "look", refuse)
        assert looks(page)["away"] == "nobody answers"
    assert looks(page)["away"] == ""


def test_who_held_a_task_is_remembered_but_not_for_ever(tmp_path: Path) -> None:
    market = Market(tmp_path)
    page = page_of(market)
    looks(page, 3)
    assert len(page.strips.holders[0]) == 1
    assert page.strips.holders[0].maxlen == HOLDERS_MAX


def test_a_symbol_has_its_rows_and_their_quotes(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=4)
    sealed(market, "A", "B")
    view = SymbolReader(market.pipeline).view("A")
    assert [row["time_ns"] for row in view["rows"]] == [AT + 1, AT + 2]
    assert {row["matched_ns"] for row in view["rows"]} == {AT}
    assert [row["age_ns"] for row in view["rows"]] == [1, 2]
    assert view["price"] == "price"
    assert SymbolReader(market.pipeline).view("C")["rows"] == []


def test_frames_before_an_offset_are_shown_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.serve.symbol.FRAMES_MAX", 1)
    market = Market(tmp_path)
    worker = sealed(market)
    market.trade(AT + 2 * NS_PER_S)
    market.progress(AT + 3 * NS_PER_S)
    turn_until_quiet(worker)
    worker.commit()
    reader = SymbolReader(market.pipeline)
    newest = reader.view("A")
    assert newest["upper"] - newest["lower"] == 1
    seen, before = [row["time_ns"] for row in newest["rows"]], newest["lower"]
    while before > newest["low"]:
        view = reader.view("A", before)
        seen += [row["time_ns"] for row in view["rows"]]
        before = view["lower"]
    assert sorted(seen) == [AT + 1, AT + 2, AT + 2 * NS_PER_S]


def test_no_more_is_read_than_a_question_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(tmp_path)
    for second in range(6):
        market.quote(AT + second)
    monkeypatch.setattr(bounded, "FRAMES_MAX", 1)
    monkeypatch.setattr(bounded, "SIZE_MAX", 1)
    from topics.block import TopicPartition

    source = TopicPartition(market.settings.topic("quote"), 0)
    stretch = bounded.stretch_before(market.bus, source, None, 4)
    assert stretch.upper - stretch.lower == 4
    read = list(bounded.read_stretch(market.bus, source, stretch, group="page"))
    assert sum(block.messages for block in read) == 1


def test_a_feature_is_shown_beside(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=TICK)
    sealed(market)
    reader = SymbolReader(market.pipeline)
    view = reader.view("A", node="tick", column="twice")
    assert view["columns"] == {"tick": ["twice", "up"]}
    assert view["feature"] == [(AT + 1, 2.0 * AT), (AT + 2, 2.0 * AT)]
    for node, column in (("tick", "size"), ("tack", "twice"), ("tick", "../etc")):
        with pytest.raises(UsageError, match="there is no output"):
            reader.view("A", node=node, column=column)


@pytest.mark.parametrize(
    "columns",
    [
        {"event_ns": pa.array([AT + 1])},
        {"symbol": ["A"], "event_ns": pa.array([1.5])},
        {"symbol": ["A"], "event_ns": pa.array([None], pa.int64())},
        {"symbol": [[1]], "event_ns": pa.array([AT + 1])},
        {"symbol": pa.array([b"\xff"]), "event_ns": pa.array([AT + 1])},
    ],
)
def test_a_frame_of_another_pipeline_is_passed_over(columns: dict[str, Any], tmp_path: Path) -> None:
    market = Market(tmp_path)
    sealed(market)
    market.send(ALIGNED, None, encode_frame(pa.record_batch(columns)))
    assert [row["time_ns"] for row in SymbolReader(market.pipeline).view("A")["rows"]] == [AT + 1, AT + 2]


@pytest.mark.parametrize("symbol", ["", "x" * 257])
def test_what_is_no_symbol_is_refused(symbol: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 to 256 characters"):
        SymbolReader(Market(tmp_path).pipeline).view(symbol)


def test_nulls_of_features_are_counted_by_reason(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=TICK)
    page = page_of(market)
    looks(page)
    worker = market.worker()
    market.trade(AT + 1)
    market.progress(AT + NS_PER_S)
    turn_until_quiet(worker)
    worker.commit()
    looks(page)
    assert page.nulls()["tick"] == {
        "rows": 1,
        "nulls": [{"feature": name, "reason": "null_in", "rows": 1} for name in ("twice", "up")],
    }


def test_late_rows_and_dead_letters_are_listed_and_shown_in_full(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = sealed(market)
    market.trade(AT + 1)
    market.send("trade", b"A", b"\x00<script>alert(1)</script>")
    turn_until_quiet(worker)
    worker.commit()
    reader = LetterReader(market.settings, market.bus)
    view = reader.view()
    assert [letter["stream"] for letter in view["late"]] == ["trade"]
    assert view["late_ns"] == [NS_PER_S - 1]
    assert sum(reason["letters"] for reason in view["dead_reasons"]) == 1
    (dead,) = view["dead"]
    whole = reader.letter("dead", dead["place"])
    assert bytes.fromhex(whole["bytes"]) == b"\x00<script>alert(1)</script>"
    assert whole["command"] == f"python -m app dead replay {dead['place']}"
    assert reader.letter("late", view["late"][0]["place"])["lateness_ns"] == NS_PER_S - 1
    json.dumps(whole)


@pytest.mark.parametrize(
    ("kind", "place"), [("dead", "0@99"), ("dead", "7@0"), ("odd", "0@0"), ("late", "0")]
)
def test_a_letter_that_is_not_there_is_refused(kind: str, place: str, tmp_path: Path) -> None:
    market = Market(tmp_path)
    with pytest.raises(UsageError):
        LetterReader(market.settings, market.bus).letter(kind, place)
