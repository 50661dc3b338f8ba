"""Outputs of a pipeline, its late rows and its dead letters are captured as its inputs are: each row once."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.errors import UsageError
from app.reading.aligned import read_output
from app.wiring.captured import captured_topics
from replay import history
from replay.capture.capture import CaptureLimits
from replay.capture.session import CaptureTarget, capture
from replay.store.places import OFFSET, PARTITION
from schemas.letters import DeadLetter, LateLetter
from tests.stage.graph_lives import SYMBOLS, live, run_on
from tests.stage.market import Market
from topics.block import TopicPartition

GRAPH: Mapping[str, Any] = {
    "tick": {"from": "aligned", "features": {"wave": "50 + abs(quote_bid - 12)"}, "out": {}},
    "bars": {
        "kind": "bars",
        "from": "tick",
        "every": {"time_ns": 4},
        "price": "wave",
        "size": "quote_bid",
        "out": {},
    },
}
OUTPUTS = ("aligned", "tick", "bars")


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path / "market", graph=GRAPH, worker={"frame_rows_max": 7}, partitions=2)


def take(market: Market, store: Path, *names: str) -> None:
    target = CaptureTarget(
        bus=market.bus,
        store=store,
        group="capture",
        zone="UTC",
        buckets=None,
        limits=CaptureLimits(),
        accepts_gaps=False,
        to_end=True,
    )
    assert capture(captured_topics(market.pipeline, names), target) == 0


def rows_of(store: Path, name: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a table by partition, in the order of their topic."""
    wanted = None if columns is None else [*columns, PARTITION, OFFSET, "_index"]
    rows = [row for batch in history.batches(name, wanted, store=store) for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: (row[PARTITION], row[OFFSET], row["_index"])) if columns else rows


def sealed(market: Market, name: str) -> Iterator[dict[str, Any]]:
    for number in range(2):
        for batch in read_output(market.pipeline, name, number, wait=False):
            yield from batch.to_pylist()


def test_sealed_rows_are_captured_as_they_were_sent_while_more_are_sealed(
    market: Market, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for lower in (1, 16):
        run_on(market, range(lower, lower + 15))
        take(market, store, *OUTPUTS)
    for name in OUTPUTS:
        expected = list(sealed(market, name))
        assert expected
        columns = list(expected[0])
        rows = [{column: row[column] for column in columns} for row in rows_of(store, name, columns)]
        assert rows == expected
    of_one = list(history.batches("tick", symbols=["A"], store=store))
    assert sum(batch.num_rows for batch in of_one) == sum(
        row["symbol"] == "A" for row in sealed(market, "tick")
    )


def test_late_rows_and_dead_letters_are_captured_with_all_that_is_said_of_them(
    market: Market, tmp_path: Path
) -> None:
    live(market, range(1, 31))
    market.send("trade", b"A", b"\x00no Avro")
    run_on(market, range(31, 41))
    market.quote(3, 4, symbol="B")
    run_on(market, range(41, 51))
    market.produce("dead", 0, b"k", b"v", [("who", b"somebody else")])
    store = tmp_path / "store"
    take(market, store, "late", "dead")
    (late,) = rows_of(store, "late")
    topic = market.settings.topic("quote")
    assert (late["source_topic"], late["stream"], late["indexes"]) == (topic, "quote", [0, 1])
    assert late["key"] == b"B"
    headers = [(entry["name"], entry["value"]) for entry in late["headers"]]
    letter = LateLetter.from_kafka(headers)
    assert (letter.lateness_ns, letter.frontier_ns) == (late["lateness_ns"], late["frontier_ns"])
    (dead,) = rows_of(store, "dead")
    assert (dead["value"], dead["source_offset"] >= 0) == (b"\x00no Avro", True)
    headers = [(entry["name"], entry["value"]) for entry in dead["headers"]]
    assert DeadLetter.from_kafka(headers).reason == dead["reason"]
    (other,) = rows_of(store, "dead_dead")
    assert other["value"] == b"v"
    assert "__connect.errors" in other["reason"]


def test_a_capture_of_outputs_that_stops_goes_on_and_doubles_nothing(market: Market, tmp_path: Path) -> None:
    run_on(market, range(1, 21))
    store = tmp_path / "store"
    take(market, store, "aligned")
    before = rows_of(store, "aligned")
    take(market, store, "aligned")
    assert rows_of(store, "aligned") == before
    places = [TopicPartition(market.settings.topic("aligned"), number) for number in range(2)]
    assert before
    assert all(log.stable for log in market.bus.admin().ranges(places).values())
    assert {row["symbol"] for row in before} == set(SYMBOLS)


def test_what_is_no_topic_of_the_pipeline_or_no_frame_is_refused_by_name(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"format": "avro"})
    with pytest.raises(
        UsageError, match="--streams tick: the pipeline reads trade, quote and writes aligned, late"
    ):
        captured_topics(market.pipeline, ["quote", "tick"])
    with pytest.raises(UsageError, match=r"--streams aligned: its rows are avro"):
        captured_topics(market.pipeline, ["aligned"])
    assert [each.stream.name for each in captured_topics(market.pipeline, None)] == ["trade", "quote"]
