"""Local state is wiped when a task would read other rows, and only then."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.stream import Stream
from tests.stage.foreign import ForeignMarket
from tests.stage.market import Market
from topics.avro.schema import avro_schema
from topics.bus import LogId


def _identity(folder: Path, **rules: Any) -> str:
    pipeline = Market(folder, streams={"quote": {"rules": rules}}).pipeline
    return pipeline.identity(0, {topic: LogId("cluster", topic) for topic in pipeline.input_topics})


def test_what_becomes_of_a_row_that_breaks_a_rule_does_not_wipe_local_state(tmp_path: Path) -> None:
    dead = _identity(tmp_path, positive={"columns": ["bid"], "policy": "dead"})
    assert _identity(tmp_path, positive={"columns": ["bid"], "policy": "drop"}) == dead
    assert _identity(tmp_path, positive={"columns": ["bid"]}, null_key="fail") == dead


def test_another_column_under_a_rule_wipes_local_state(tmp_path: Path) -> None:
    one = _identity(tmp_path, positive=["bid"])
    assert _identity(tmp_path, positive=["ask"]) != one
    assert _identity(tmp_path, non_negative=["bid"]) != one


def test_a_schema_file_that_has_changed_makes_another_identity(tmp_path: Path) -> None:
    file = tmp_path / "quote.avsc"
    fields = [pa.field("event_ns", pa.int64()), ("symbol", pa.string()), ("bid", pa.float64())]
    identities = []
    for order in ((0, 1, 2), (0, 1, 2), (0, 2, 1)):
        schema = pa.schema([fields[place] for place in order])
        file.write_text(avro_schema(Stream(name="quote", schema=schema)))
        raw = {"format": "json", "fields": {"symbol": "string"}, "event_time": {"record": True}}
        market = ForeignMarket(tmp_path, {"trade": raw, "quote": {"schema_file": str(file)}})
        pipeline = market.pipeline()
        identities.append(pipeline.identity(0, {t: LogId("cluster", t) for t in pipeline.input_topics}))
    assert identities[0] == identities[1]
    assert identities[0] != identities[2]
