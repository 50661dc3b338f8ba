"""What a worker sends: frames, Avro rows, late rows and dead letters, by the policy of each."""

from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from app.audit.topics import audit
from app.errors import RunError
from app.reading.aligned import Frames, read_aligned, read_output
from schemas.frame import NULLS, FrameError, FrameHeaders, decode_frame
from schemas.letters import DeadLetter, LateLetter
from schemas.reasons import REASONS
from schemas.rule import Rule, parse_rule
from schemas.stream import message_keys
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def sealed_five(folder: Path, graph: Mapping[str, object] | None = None, **worker: object) -> Market:
    """A market of five trades of two symbols, sealed and committed."""
    market = Market(folder, worker=worker, graph=graph)
    market.trade(1, 2, 3)
    market.trade(4, 5, symbol="B")
    market.progress(6)
    joined = market.worker()
    turn_until_quiet(joined)
    joined.close()
    return market


def test_a_seal_is_cut_into_frames_of_the_size_that_is_set(tmp_path: Path) -> None:
    market = sealed_five(tmp_path, frame_rows_max=2)
    frames = Frames()
    rows = pa.Table.from_batches(read_aligned(market.pipeline, 0, frames))
    assert rows.column("event_ns").to_pylist() == [1, 2, 3, 4, 5]
    assert frames.rows == [2, 2, 1]
    assert frames.complete_ns == [3, 5, 6]  # of each but the last the time of the next row
    assert set(frames.newest_ns) == {5}
    assert all(latency_ns >= 0 for latency_ns in frames.latency_ns)


def test_each_frame_of_a_node_counts_the_nulls_of_its_own_rows(tmp_path: Path) -> None:
    graph = {
        "tick": {
            "from": "aligned",
            "features": {
                "before": "lag(event_ns, rows=2)",
                "bid": "quote_bid + 0",
                "none": "log(0 - event_ns)",
                "cut": "rolling_count(event_ns, '9ns', max_rows=1)",
            },
            "out": {"status": "column"},
        }
    }
    market = sealed_five(tmp_path, graph=graph, frame_rows_max=2)
    nulls = [FrameHeaders.from_kafka(frame.headers).nulls for frame in market.messages("tick")]
    assert [counts["before"] for counts in nulls if counts and "before" in counts] == [
        {"warming": 2},
        {"warming": 1},
        {"warming": 1},
    ]
    for frame, counts in zip(market.messages("tick"), nulls, strict=True):
        rows = decode_frame(frame.value)
        for name in ("before", "bid", "none", "cut"):
            told = [REASONS[code] for code in rows.column(f"{name}_status").to_pylist()]
            there = [reason in ("ok", "truncated") for reason in told]
            assert there == rows.column(name).is_valid().to_pylist()
            found = {reason: told.count(reason) for reason in REASONS[1:] if reason in told}
            assert (counts or {}).get(name, {}) == found
    assert [counts["cut"] for counts in nulls if counts and "cut" in counts] == [
        {"truncated": 1},
        {"truncated": 1},
        {"truncated": 1},
    ]
    assert all(FrameHeaders.from_kafka(frame.headers).nulls is None for frame in market.messages("aligned"))
    assert audit(market.pipeline).violations == []


def test_a_frame_that_counts_other_nulls_than_it_has_is_no_frame(tmp_path: Path) -> None:
    graph = {"tick": {"from": "aligned", "features": {"before": "lag(event_ns, rows=2)"}, "out": {}}}
    market = sealed_five(tmp_path, graph=graph)
    (frame,) = market.messages("tick")
    headers = [
        *((name, value) for name, value in frame.headers if name != NULLS),
        (NULLS, b'{"before":{"domain":1}}'),
    ]
    market.produce("tick", 0, None, frame.value, headers)
    with pytest.raises(FrameError, match="its header says 1 nulls of before, it has 4"):
        list(read_output(market.pipeline, "tick", 0))


def test_frames_of_one_layout_say_so(tmp_path: Path) -> None:
    market = sealed_five(tmp_path, frame_rows_max=2)
    layouts = {FrameHeaders.from_kafka(frame.headers).layout for frame in market.messages("aligned")}
    assert len(layouts) == 1


def test_avro_rows_are_one_message_each_keyed_by_symbol(tmp_path: Path) -> None:
    market = sealed_five(tmp_path, format="avro")
    assert [row.key for row in market.messages("aligned")] == [b"A", b"A", b"A", b"B", b"B"]
    rows = pa.Table.from_batches(read_aligned(market.pipeline, 0))
    assert rows.column("event_ns").to_pylist() == [1, 2, 3, 4, 5]
    assert audit(market.pipeline).violations == []


def test_each_message_of_a_seal_carries_the_rule_of_its_rows(tmp_path: Path) -> None:
    framed = sealed_five(tmp_path / "frame", frame_rows_max=2)
    rules = [FrameHeaders.from_kafka(frame.headers).rule for frame in framed.messages("aligned")]
    assert rules == [str(framed.pipeline.rule)] * 3
    rows = sealed_five(tmp_path / "avro", format="avro")
    last = dict(rows.messages("aligned")[-1].headers)
    assert parse_rule((last["tidemark-rule"] or b"").decode()) == rows.pipeline.rule


def test_the_rows_of_a_node_carry_its_formulas_too_and_the_joined_rows_do_not(tmp_path: Path) -> None:
    def rule_of(output: str, formula: str, **pipeline: object) -> Rule:
        market = Market(
            tmp_path / f"{output}{len(formula)}{len(pipeline)}",
            pipeline=pipeline,
            graph={"tick": {"from": "aligned", "features": {"half": formula}, "out": {}}},
        )
        return parse_rule(market.pipeline.sinks(0)[output].rule)

    assert rule_of("aligned", "price / 2").differences(rule_of("aligned", "price * 0.5")) == ()
    node = rule_of("tick", "price / 2")
    assert node.differences(rule_of("tick", "price * 0.5")) == ("formulas changed",)
    assert node.differences(rule_of("tick", "price / 2", tolerance_ns=5)) == ("tolerance none -> 5 ns",)


def late_market(folder: Path, policy: str) -> Market:
    """A market sealed up to 10, in which then a quote of 2 comes, with one of 13 in the same message."""
    market = Market(folder, worker={"late": policy})
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    market.quote(2, 13)
    return market


def test_a_late_row_goes_to_its_topic_with_the_whole_message(tmp_path: Path) -> None:
    market = late_market(tmp_path, "side")
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    (letter,) = market.messages("late")
    assert (letter.key, letter.value) == (b"A", market.block("quote", [2, 13]))
    headers = LateLetter.from_kafka(letter.headers)
    assert (headers.stream, headers.offset, headers.indexes) == ("quote", 1, (0,))
    assert (headers.lateness_ns, headers.frontier_ns) == (8, 10)
    assert audit(market.pipeline).violations == []


def test_a_late_row_that_is_dropped_is_counted(tmp_path: Path) -> None:
    market = late_market(tmp_path, "drop")
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        assert worker.tasks[0].readings["tidemark.quote"].rows_late == 1
    assert market.messages("late") == []


def test_a_late_row_that_fails_the_run_is_named_and_met_again(tmp_path: Path) -> None:
    market = late_market(tmp_path, "fail")
    for _ in range(2):
        worker = market.worker()
        with pytest.raises(RunError, match=r'tidemark\.quote\[0\]@1 is late: .*worker\.late = "fail" stops'):
            turn_until_quiet(worker)
        worker.close(failed=True)


def dead_market(folder: Path, policy: str) -> Market:
    """A market with a trade, three messages that cannot be read, and another trade."""
    market = Market(folder, worker={"dead": policy})
    market.trade(1)
    market.send("trade", b"A", b"garbage")
    market.send("trade", None, market.block("trade", [2]))
    market.send("trade", b"A", b"\x00\x7f\xff\xff\xff" + market.block("trade", [3])[5:])
    market.trade(4)
    market.progress(9)
    return market


def test_a_message_that_cannot_be_read_goes_to_the_dead_letters_byte_for_byte(tmp_path: Path) -> None:
    market = dead_market(tmp_path, "side")
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    letters = market.messages("dead")
    assert [letter.value for letter in letters] == [
        b"garbage",
        market.block("trade", [2]),
        b"\x00\x7f\xff\xff\xff" + market.block("trade", [3])[5:],
    ]
    headers = [DeadLetter.from_kafka(letter.headers) for letter in letters]
    assert [told.offset for told in headers] == [1, 2, 3]
    assert all(told.reason for told in headers)
    assert market.aligned() == [(1, None), (4, None)]
    assert audit(market.pipeline).violations == []


def test_a_dead_letter_that_is_dropped_is_counted(tmp_path: Path) -> None:
    market = dead_market(tmp_path, "drop")
    worker = market.worker()
    turn_until_quiet(worker)
    assert worker.tasks[0].counts.dead == 3
    worker.close()
    assert market.messages("dead") == []
    assert market.aligned() == [(1, None), (4, None)]


def test_a_dead_letter_that_fails_the_run_is_named_and_nothing_is_committed(tmp_path: Path) -> None:
    market = dead_market(tmp_path, "fail")
    for _ in range(2):
        worker = market.worker()
        with pytest.raises(RunError, match=r'tidemark\.trade\[0\]@1 is dead: .*worker\.dead = "fail" stops'):
            turn_until_quiet(worker)
        worker.close(failed=True)
    assert market.aligned() == []
    assert market.messages("dead") == []


def test_late_rows_follow_the_policy_of_their_stream(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"late": "fail"}, streams={"quote": {"late": "side"}})
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    market.quote(2)
    worker = market.worker()
    turn_until_quiet(worker)
    market.trade(3)
    with pytest.raises(RunError, match=r'trade\[0\]@1 is late: .*worker\.late = "fail" stops'):
        turn_until_quiet(worker)
    worker.close(failed=True)
    strict = Market(tmp_path / "strict", streams={"quote": {"late": "fail"}})
    strict.progress(10)
    strict.quote(2)
    worker = strict.worker()
    turn_until_quiet(worker)
    strict.quote(3)
    with pytest.raises(RunError, match=r'streams\.quote\.late = "fail" stops'):
        turn_until_quiet(worker)
    worker.close(failed=True)


@pytest.mark.parametrize("written", ["frame", "avro"])
def test_rows_sealed_without_an_idle_input_are_flagged_in_their_messages(
    tmp_path: Path, written: str
) -> None:
    market = Market(tmp_path, pipeline={"idle_after_ms": 1}, worker={"frame_rows_max": 2, "format": written})
    worker = market.worker()
    market.trade(1, 2, 3, 4, 5, 9)
    market.quote(2)
    turn_until_quiet(worker)
    market.trade(10)
    market.elapsed_ns += 1_000_000
    market.quote(3)  # not silent: held
    turn_until_quiet(worker)
    market.trade(11)
    market.elapsed_ns += 1_000_000
    turn_until_quiet(worker)
    worker.commit()
    flags = [dict(message.headers).get("tidemark-assumed-rows") for message in market.messages("aligned")]
    rows = [b"0", b"0", b"2", b"2", b"1"] if written == "frame" else [None] * 2 + [b"1"] * 5
    assert flags == rows


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("size", [1, 2, 16_384])
def test_every_row_below_the_bound_in_a_frame_header_is_out_with_that_frame(
    tmp_path: Path, direction: str, size: int
) -> None:
    tolerance = {} if direction == "backward" else {"tolerance_ns": 4}
    market = Market(tmp_path, pipeline={"direction": direction, **tolerance}, worker={"frame_rows_max": size})
    trades = [3, 3, 5, 8, 9, 9, 12, 15]
    worker = market.worker()
    for lower, upper in pairwise([0, 4, 6, 9, 12, 14, 30]):
        market.trade(*(ns for ns in trades if lower <= ns < upper))
        if lower % 4 == 0:
            market.quote(lower)
        market.progress(upper)
        turn_until_quiet(worker)
        worker.commit()
    worker.close()
    out: list[int] = []
    bounds: list[int] = []
    for frame in market.messages("aligned"):
        out += decode_frame(frame.value).column("event_ns").to_pylist()
        bounds.append(FrameHeaders.from_kafka(frame.headers).complete_ns)
        assert [ns for ns in trades if ns < bounds[-1]] == [ns for ns in out if ns < bounds[-1]]
    assert out == trades
    assert bounds == sorted(bounds)


@pytest.mark.parametrize(
    ("kind", "values"),
    [(pa.float64(), [1.0, 0.5, -0.0]), (pa.bool_(), [True, False, True]), (pa.int64(), [1, 2, 3])],
    ids=["float", "bool", "int"],
)
def test_avro_rows_have_the_key_of_the_input_row_whatever_its_type(
    tmp_path: Path, kind: pa.DataType, values: list[object]
) -> None:
    keyed = pa.field("lot", kind)
    market = Market(tmp_path, partitions=4, worker={"format": "avro"})
    market.add_column("trade", keyed)
    market.add_column("quote", keyed)
    market.key_by("lot")
    keys = message_keys(pa.RecordBatch.from_arrays([pa.array(values, kind)], ["lot"]), ("lot",)).to_pylist()
    for number, (value, key) in enumerate(zip(values, keys, strict=True)):
        market.keyed("trade", key.decode(), market.block("trade", [number + 1], columns={"lot": [value]}))
    market.progress(9)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert sorted(row.key or b"" for row in market.messages("aligned")) == sorted(keys)
    assert audit(market.pipeline).violations == []
