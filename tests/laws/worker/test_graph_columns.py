"""Scales, aliases and moments of a graph through a whole worker: topics, Parquet, audit and client agree."""

from contextlib import closing
from pathlib import Path

import pytest

from app.audit.topics import audit
from app.errors import UsageError
from app.reading.aligned import read_output
from schemas.reasons import REASONS
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

GRAPH = {
    "tick": {
        "from": "aligned",
        "features": {"twice": "quote_offer * 2", "off": "quote_offer - lag(quote_offer, rows=1)"},
        "out": {"status": "column", "available": True},
    }
}
STREAMS = {"quote": {"scales": {"bid": 2}, "aliases": {"bid": "offer"}}}


def ran(folder: Path, **settings: object) -> Market:
    market = Market(folder, graph=GRAPH, streams=STREAMS, **settings)  # type: ignore[arg-type]
    for time_ns in range(1, 9):
        market.quote(time_ns)
        market.trade(time_ns)
    market.progress(9)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    return market


def test_a_scaled_column_is_whole_under_its_new_name_and_the_audit_agrees(tmp_path: Path) -> None:
    market = ran(tmp_path)
    rows = [row for batch in read_output(market.pipeline, "tick", 0) for row in batch.to_pylist()]
    assert [row["twice"] for row in rows] == [4 * at for at in range(1, 9)]
    assert [row["off"] for row in rows] == [None, *[2] * 7]
    assert REASONS[rows[0]["off_status"]] == "warming"
    assert [row["quote_offer"] for row in rows] == [float(at) for at in range(1, 9)]  # as it came
    assert "quote_bid" not in rows[0]
    joined = next(iter(read_output(market.pipeline, "aligned", 0)))
    assert "quote_bid" in joined.schema.names
    assert "quote_offer" not in joined.schema.names
    assert audit(market.pipeline).violations == []


def test_each_row_says_when_it_could_be_read_as_the_logs_say(tmp_path: Path) -> None:
    market = ran(tmp_path)
    rows = [row for batch in read_output(market.pipeline, "tick", 0) for row in batch.to_pylist()]
    # The next row of both, and of the last one the progress record.
    assert [row["available_ns"] for row in rows] == list(range(2, 10))


def test_a_join_that_looks_ahead_gives_no_moment(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"graph\.tick\.out\.available: a join that looks ahead"):
        ran(tmp_path, pipeline={"direction": "forward", "tolerance_ns": 1})
