"""A graph of row formulas behind the join: its rows have a topic of their own and are as exact."""

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.audit.topics import audit
from app.config import Settings, load_settings
from app.errors import RunError, UsageError
from app.process import failpoints
from app.reading.aligned import read_output
from app.reading.tasks import task_record
from app.task.record import TaskRecord, decode_record, encode_record
from app.wiring.pipeline import topic_specs
from operators.hashing.parity import Parity, sealed_hashes
from schemas.frame import FrameHeaders, decode_frame
from tests.stage.deaths import Death, buried, die_at
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

TICK: Mapping[str, Any] = {
    "name": "equities",
    "tick": {
        "from": "aligned",
        "features": {"twice": "quote_bid * 2", "old": "quote_age_ns > 1", "side": "sign(quote_bid - 3)"},
        "out": {},
    },
}


def market_of(folder: Path, graph: Mapping[str, Any] = TICK, **settings: Any) -> Market:
    return Market(folder, graph=graph, **settings)


def rows_of(market: Market, name: str = "tick") -> list[dict[str, Any]]:
    return [row for batch in read_output(market.pipeline, name, 0) for row in batch.to_pylist()]


def parity_of(market: Market, name: str = "tick") -> Parity:
    parity = Parity()
    for batch in read_output(market.pipeline, name, 0):
        parity = parity.roll(sealed_hashes(batch))
    return parity


def live(market: Market, times_ns: range) -> None:
    for time_ns in times_ns:
        market.quote(time_ns)
        market.trade(time_ns)
    market.progress(times_ns.stop)


def test_each_joined_row_has_its_features_in_the_topic_of_the_node(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    live(market, range(1, 5))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    joined = rows_of(market, "aligned")
    assert rows_of(market) == [
        {**row, "twice": row["quote_bid"] * 2, "old": False, "side": side}
        for row, side in zip(joined, (-1, -1, 0, 1), strict=True)
    ]


def test_without_a_graph_there_is_no_topic_and_no_record_more(tmp_path: Path) -> None:
    plain, graph = Market(tmp_path / "plain"), market_of(tmp_path / "graph")
    names = {spec.name for spec in topic_specs(plain.settings)}
    assert {spec.name for spec in topic_specs(graph.settings)} - names == {"tidemark.tick", "tidemark.tasks"}
    inner = {**TICK, "tick": {k: v for k, v in TICK["tick"].items() if k != "out"}}
    silent = market_of(tmp_path / "silent", inner)
    assert {spec.name for spec in topic_specs(silent.settings)} == names


def test_the_join_is_the_same_with_and_without_a_graph(tmp_path: Path) -> None:
    plain, graph = Market(tmp_path / "plain"), market_of(tmp_path / "graph")
    for market in (plain, graph):
        live(market, range(1, 20))
        with closing(market.worker()) as worker:
            turn_until_quiet(worker)
    assert rows_of(plain, "aligned") == rows_of(graph, "aligned")
    assert parity_of(plain, "aligned") == parity_of(graph, "aligned")


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_the_parity_of_a_node_goes_on_over_restarts(tmp_path: Path, guarantee: str) -> None:
    market = market_of(tmp_path, worker={"guarantee": guarantee, "frame_rows_max": 3})
    for lower in (1, 11, 21):
        live(market, range(lower, lower + 10))
        with closing(market.worker()) as worker:
            turn_until_quiet(worker)
    frames = market.messages("tick")
    assert sum(decode_frame(frame.value).num_rows for frame in frames) == 30
    assert FrameHeaders.from_kafka(frames[-1].headers).parity == str(parity_of(market))
    record = task_record(market.pipeline, 0, group="test")
    assert record is not None
    assert record.parities == {"tick": parity_of(market)}


@pytest.mark.parametrize(("guarantee", "frames"), [("exactly_once", 1), ("at_least_once", 4)])
def test_nodes_take_rows_of_many_seals_at_once_where_nobody_sees_them_before_their_commit(
    tmp_path: Path, guarantee: str, frames: int
) -> None:
    market = market_of(tmp_path, worker={"guarantee": guarantee})
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        worker.commit()
        for time_ns in range(1, 5):
            market.wall_ns = time_ns
            live(market, range(time_ns, time_ns + 1))
            worker.turn()
        market.pass_commit_interval()
        worker.turn()
        worker.commit()
    joined, mine = (market.messages(name) for name in ("aligned", "tick"))
    assert (len(joined), len(mine)) == (4, frames)
    assert [row["event_ns"] for row in rows_of(market)] == [1, 2, 3, 4]
    first, last = (FrameHeaders.from_kafka(messages[0].headers) for messages in (joined, mine))
    assert first.released_ns == last.released_ns == 1, "a frame says since when its first row could be out"
    assert FrameHeaders.from_kafka(mine[-1].headers).complete_ns == 5


@pytest.mark.parametrize("point", [failpoints.COMMIT_OFFSETS, failpoints.COMMIT_END, failpoints.COMMIT_STATE])
def test_a_crash_between_any_steps_of_a_commit_loses_and_doubles_no_row_of_a_node(
    tmp_path: Path, point: str
) -> None:
    market = market_of(tmp_path)
    live(market, range(1, 10))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    live(market, range(10, 20))
    doomed = market.worker()
    turn_until_quiet(doomed)
    failpoints.arm(partial(die_at, point))
    try:
        with pytest.raises(Death):
            doomed.commit()
    finally:
        failpoints.arm(None)
    buried(market, doomed)
    live(market, range(20, 30))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert [row["event_ns"] for row in rows_of(market)] == list(range(1, 30))
    assert FrameHeaders.from_kafka(market.messages("tick")[-1].headers).parity == str(parity_of(market))


def test_the_audit_computes_the_rows_of_a_node_again_and_names_one_that_is_wrong(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    live(market, range(1, 10))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    report = audit(market.pipeline)
    assert (report.violations, report.rows_out) == ([], {"tick": 9})
    frame = market.messages("tick")[0]
    market.produce("tick", 0, None, frame.value, frame.headers)
    kinds = {violation.kind for _, violation in audit(market.pipeline).violations}
    assert "unexpected node row" in kinds


def test_a_node_that_is_added_begins_with_the_rows_sealed_from_then_on(tmp_path: Path) -> None:
    market = Market(tmp_path)
    live(market, range(1, 5))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    market.add_graph(TICK)
    live(market, range(5, 9))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert [row["event_ns"] for row in rows_of(market)] == [5, 6, 7, 8]
    assert [row["event_ns"] for row in rows_of(market, "aligned")] == list(range(1, 9))


def test_a_graph_that_was_away_goes_on_and_the_audit_names_the_rows_sealed_without_it(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    for lower, graph in ((1, TICK), (4, {}), (7, TICK)):
        market.add_graph(graph)
        live(market, range(lower, lower + 3))
        with closing(market.worker()) as worker:
            turn_until_quiet(worker)
    assert [row["event_ns"] for row in rows_of(market)] == [1, 2, 3, 7, 8, 9]
    assert FrameHeaders.from_kafka(market.messages("tick")[-1].headers).parity == str(parity_of(market))
    ((_, violation),) = audit(market.pipeline).violations
    assert (violation.kind, violation.rows) == ("missing node row", 3)


def test_offsets_set_back_by_hand_are_not_taken_for_those_of_the_record(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    live(market, range(1, 5))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    record = TaskRecord(next_offsets={"trade": 99, "quote": 99}, parities={"tick": Parity()})
    market.produce("tasks", 0, b"task", encode_record(record))
    worker = market.worker()
    with pytest.raises(RunError, match=r"tidemark\.tasks\[0\]: .* belongs to quote 99, trade 99"):
        turn_until_quiet(worker)
    worker.close(failed=True)


def test_what_a_later_version_adds_to_a_record_is_passed_over_and_its_version_is_named() -> None:
    record = TaskRecord(next_offsets={"trade": 7}, parities={"tick": Parity(3, 4, 5)})
    value = encode_record(record)
    assert decode_record(value.replace(b'{"v":1', b'{"colour":"red","v":1'), "here") == record
    with pytest.raises(RunError, match=r"here: the task's record is of version 2, .* update this one"):
        decode_record(value.replace(b'{"v":1', b'{"v":2'), "here")
    for foreign in (b"{}", b'{"v":1e999}', b"[" * 5_000):
        with pytest.raises(RunError, match="here: the task's record was not written by this program"):
            decode_record(foreign, "here")


BAD = """\
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid + quote_asks) / 2"
far = "lead(mid)"
[graph.tick.out]
"""


def test_every_error_of_a_graph_is_told_with_file_line_and_caret(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(BAD)
    settings = load_settings(file)
    market = Market(tmp_path)
    with pytest.raises(UsageError) as refused:
        market.plan(settings)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"{file}:4  tick.mid: ")
    assert "quote_ask?" in lines[0]
    assert lines[1] == '    mid = "(quote_bid + quote_asks) / 2"'
    assert lines[2] == " " * lines[1].index("quote_asks") + "^" * len("quote_asks")
    assert lines[3].startswith(f"{file}:5  tick.far: ")


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"late": {"from": "aligned", "features": {"x": "1.0"}}}, "late names something else"),
        ({"trade": {"from": "aligned", "features": {"x": "1.0"}}}, "trade is a stream"),
        ({"tick": {"from": "aligned", "features": {}, "out": {"topic": "tidemark.late"}}}, "are one topic"),
        ({"tick": {"from": "aligned", "features": {}, "kind": "bars"}}, "kind"),
        ({"tick": {"from": "aligned", "features": {"x": ""}}}, "features.x"),
        ({"tick": {"features": {"x": "1.0"}}}, "from"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_with_its_key(graph: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"graph": graph})


def test_a_node_carries_the_columns_that_are_chosen_and_what_names_the_row(tmp_path: Path) -> None:
    graph = {"tick": {**TICK["tick"], "out": {"columns": ["twice"]}}}
    market = market_of(tmp_path, graph)
    live(market, range(1, 3))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    (schema,) = {batch.schema for batch in read_output(market.pipeline, "tick", 0)}
    assert schema.names == ["event_ns", "symbol", "left_offset", "left_index", "twice"]
    assert schema.field("twice").type == pa.float64()
