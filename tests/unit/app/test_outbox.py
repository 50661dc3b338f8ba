"""What a worker sends: frames, Avro rows, late rows and dead letters, by the policy of each."""

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from app.aligned import Frames, read_aligned
from app.audit import audit
from app.errors import RunError
from schemas.frame import FrameHeaders
from schemas.letters import DeadLetter, LateLetter
from tests.unit.app.market import Market
from tests.unit.app.test_worker import turn_until_quiet


def sealed_five(folder: Path, **worker: object) -> Market:
    """A market of five trades of two symbols, sealed and committed."""
    market = Market(folder, worker=worker)
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
    assert set(frames.frontier_ns) == {6}
    assert set(frames.newest_ns) == {5}
    assert all(latency_ns >= 0 for latency_ns in frames.latency_ns)


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
        assert worker.tasks[0].counts.rows_late == {"quote": 1}
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
