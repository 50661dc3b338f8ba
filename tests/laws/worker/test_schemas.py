"""A stream whose schema changes while a worker runs: it is read on, or the worker stops and says why."""

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.audit.topics import audit
from app.settings.streams import StreamSettings
from app.wiring.pipeline import Pipeline
from schemas.frame import decode_frame
from schemas.letters import DeadLetter
from tests.oracles.avro_writer import varint
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.avro.header import HEADER_SIZE, message_header
from topics.registry.folder import FileRegistry
from topics.registry.unknown import WAIT_NS, UnknownIds
from topics.wire import IncompatibleSchemaError, UnknownSchemaError


def register(market: Market, subject: str, **changes: Any) -> int:
    """The id of the quotes' schema with some types changed, or fields added."""
    latest = market.pipeline.registry.latest("tidemark.quote-value")
    assert latest is not None
    schema = json.loads(latest[1])
    for field in schema["fields"]:
        if field["name"] in changes:
            field["type"] = changes.pop(field["name"])
            field.pop("default", None)
    schema["fields"] += [{"name": name, "type": kind} for name, kind in changes.items()]
    return market.pipeline.registry.register(subject, json.dumps(schema))


def quote(schema_id: int, event_ns: int, bid: bytes, tail: bytes = b"") -> bytes:
    """A quote with null for what is not its time, symbol or bid."""
    return message_header(schema_id) + varint(event_ns) + varint(1) + b"A" + bid + varint(0) * 2 + tail


BID = varint(1) + bytes(8)


def test_a_schema_that_grows_by_fields_nobody_wants_is_read_on(tmp_path: Path) -> None:
    market = Market(tmp_path)
    with closing(market.worker()) as worker:
        market.quote(1)
        market.trade(2)
        turn_until_quiet(worker)
        grown = register(market, "tidemark.quote-value", tags={"type": "map", "values": ["null", "long"]})
        tail = varint(1) + varint(1) + b"k" + varint(1) + varint(9) + varint(0)
        market.keyed("quote", "A", quote(grown, 3, BID, tail))
        market.trade(4)
        market.progress(10)
        turn_until_quiet(worker)
    assert market.aligned() == [(2, 1), (4, 3)]
    report = audit(market.pipeline)
    assert (report.violations, report.rows_dead) == ([], 0)


@pytest.mark.parametrize("blocks", [False, True])
def test_a_worker_that_starts_takes_new_fields_up_whoever_writes_them(tmp_path: Path, blocks: bool) -> None:
    market = Market(tmp_path)
    with closing(market.worker()) as worker:
        market.quote(1)
        market.trade(2)
        turn_until_quiet(worker)
    grown = register(market, "grown", last=["null", "long"])
    if blocks:
        block = {"type": "array", "items": json.loads(market.pipeline.registry.schema(grown))}
        grown = market.pipeline.registry.register("tidemark.quote-value-block", json.dumps(block))
    else:
        register(market, "tidemark.quote-value", last=["null", "long"])
    market.pipeline = market.plan(market.settings)
    with closing(market.worker()) as worker:
        row = quote(grown, 3, BID, varint(1) + varint(9))
        head, body = row[:HEADER_SIZE], row[HEADER_SIZE:]
        market.keyed("quote", "A", head + varint(1) + body + varint(0) if blocks else row)
        market.trade(4)
        market.progress(10)
        turn_until_quiet(worker)
    assert market.aligned() == [(2, 1), (4, 3)]
    newest = decode_frame(market.messages("aligned")[-1].value)
    assert newest.column("quote_last").to_pylist()[-1] == 9


def test_a_schema_of_the_stream_that_cannot_be_read_stops_the_worker_before_its_first_message(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path)
    with closing(market.worker()) as worker:
        market.quote(1)
        market.trade(2)
        turn_until_quiet(worker)
    wrong = register(market, "tidemark.quote-value", bid="string")
    market.keyed("quote", "A", quote(wrong, 3, varint(1) + b"x"))
    market.trade(4)
    market.progress(10)
    for _ in range(2):
        worker = market.worker()
        with pytest.raises(IncompatibleSchemaError, match=r"subject tidemark\.quote-value.*incompatible"):
            turn_until_quiet(worker)
        worker.close(failed=True)
    assert (4, 1) not in market.aligned()
    assert market.messages("dead") == []


def test_incompatible_messages_are_dead_letters_where_the_settings_say_so(tmp_path: Path) -> None:
    market = Market(tmp_path, streams={"quote": {"incompatible": "dead"}})
    wrong = register(market, "tidemark.quote-value", bid="string")
    market.quote(1)
    market.keyed("quote", "A", quote(wrong, 3, varint(1) + b"x"))
    market.trade(4)
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(4, 1)]
    (letter,) = market.messages("dead")
    assert (
        f"schema id {wrong}: field bid is written as string" in DeadLetter.from_kafka(letter.headers).reason
    )


def test_a_message_of_a_strangers_schema_is_a_dead_letter_and_the_worker_goes_on(tmp_path: Path) -> None:
    market = Market(tmp_path)
    foreign = register(market, "orders-value", bid="string")
    market.keyed("quote", "A", quote(foreign, 1, varint(1) + b"x"))
    market.quote(3)
    market.trade(4)
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(4, 3)]
    assert len(market.messages("dead")) == 1


class CountingRegistry(FileRegistry):
    """Counts the ids it is asked for."""

    asked: ClassVar[Counter[int]] = Counter()

    def schema(self, schema_id: int) -> str:
        self.asked[schema_id] += 1
        return super().schema(schema_id)


class StillClock:
    """A clock that only goes while somebody waits."""

    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns

    def pause(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def test_an_id_that_nobody_knows_is_asked_for_a_few_times_whatever_the_messages(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=4)
    registry, clock = CountingRegistry(tmp_path / "schemas"), StillClock()
    unknown = UnknownIds(registry, clock, clock.pause)
    market.pipeline = Pipeline(market.settings, market.bus, unknown, market.pipeline.formats)
    for partition in range(4):
        for _ in range(20):
            market.produce("quote", partition, b"A", quote(1, 1, BID))
    market.trade(4)
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert len(market.messages("dead")) == 80
    assert registry.asked[1] == 5
    assert clock.now_ns == WAIT_NS


class LaggingRegistry(FileRegistry):
    """Knows an id from the third question on, as one that follows another registry."""

    asked: ClassVar[Counter[int]] = Counter()

    def schema(self, schema_id: int) -> str:
        self.asked[schema_id] += 1
        if self.asked[schema_id] < 3:
            raise UnknownSchemaError("not yet")
        return super().schema(schema_id)


def test_no_row_is_set_aside_where_a_registry_lags(tmp_path: Path) -> None:
    market = Market(tmp_path)
    registry = LaggingRegistry(tmp_path / "schemas")
    market.pipeline = Pipeline(market.settings, market.bus, registry, market.pipeline.formats)
    market.quote(3)
    market.trade(4)
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(4, 3)]
    assert market.messages("dead") == []
    assert registry.asked


def test_the_leaf_of_an_optional_record_is_joined_as_a_column(tmp_path: Path) -> None:
    market = Market(tmp_path)
    size = {"type": "record", "name": "Depth", "fields": [{"name": "size", "type": "long"}]}
    with_depth = register(market, "tidemark.quote-value", depth=["null", size])
    columns = StreamSettings(columns=("bid", "depth.size"))
    market.settings = market.settings.model_copy(update={"streams": {"quote": columns}})
    market.pipeline = market.plan(market.settings)
    market.keyed("quote", "A", quote(with_depth, 1, BID, varint(1) + varint(700)))
    market.trade(2)
    market.keyed("quote", "A", quote(with_depth, 3, BID, varint(0)))
    market.trade(4)
    market.quote(5)  # of the schema before, which has no depth
    market.trade(6)
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    frames = [decode_frame(frame.value) for frame in market.messages("aligned")]
    rows = [row for frame in frames for row in frame.to_pylist()]
    assert [(row["event_ns"], row["quote_depth_size"]) for row in rows] == [(2, 700), (4, None), (6, None)]
    assert "quote_ask" not in rows[0]
    assert audit(market.pipeline).violations == []
