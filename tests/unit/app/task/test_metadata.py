"""What rides in a commit comes back as it was, and never needs more room than a broker gives."""

import json
from bisect import bisect_right
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RunError
from app.task.metadata import (
    METADATA_SIZE_MAX,
    Committed,
    InputReport,
    LogIds,
    from_position,
    to_position,
)
from app.task.places import decode_places, encode_places
from operators.hashing.parity import Parity
from operators.inputs.progress import InputProgress
from schemas.clocks import BEGINNING_NS, NS_PER_MS
from topics.bus import Position

PARITY = Parity(7, 2**64 - 1, 3)
PLACES = st.sets(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=60)


@given(PLACES, st.integers(0, 2**60))
def test_places_come_back_as_they_were(drawn: set[tuple[int, int]], first: int) -> None:
    places = tuple(sorted((first + offset, index) for offset, index in drawn))
    assert decode_places(encode_places(places)) == places


def test_neighbours_take_no_more_room_than_one() -> None:
    block = [(7, index) for index in range(1000)]
    assert encode_places(tuple((offset, 0) for offset in range(5, 1000))) == "5x995"
    assert encode_places((*block, (8, 0), (8, 2))) == "7:0-999 1:0,2"


def test_progress_comes_back_as_it_was() -> None:
    through = (-(2**62), -1, 2**62, 7)
    progress = InputProgress(5, 90, -3, final=True, late=((6, 0), (80, 3)), late_from=2)
    committed = Committed(progress, 77, PARITY, through=through)
    assert from_position(to_position(committed), "t[0]") == committed


def test_the_rule_and_the_marks_come_back_and_a_mark_never_says_too_much() -> None:
    rule = "event backward exact row tolerance=none columns=00000000 keys=00000000"
    marks = ((1, 0), (5 * NS_PER_MS, 7), (5 * NS_PER_MS + 1, 90))
    position = to_position(Committed(InputProgress(5, 90, -3, marks=marks), 77, rule=rule))
    read = from_position(position, "t[0]")
    assert read.rule == rule
    assert read.progress.marks == ((NS_PER_MS, 0), (5 * NS_PER_MS, 7), (6 * NS_PER_MS, 90))


def test_the_rule_and_the_worker_stay_where_late_rows_need_the_room() -> None:
    late = tuple((5 + 3 * i, 0) for i in range(10_000))
    progress = InputProgress(5, 90_000, 0, late=late)
    rule = "event backward exact row tolerance=none columns=00000000 keys=00000000"
    member = "tidemark-0@host:4711:1700000000000"
    committed = Committed(progress, 0, PARITY, report=InputReport(), rule=rule, member=member)
    position = to_position(committed)
    assert len(position.metadata) <= METADATA_SIZE_MAX
    read = from_position(position, "t[0]")
    assert (read.rule, read.member, read.report) == (rule, member, None)


def test_what_is_reported_to_people_comes_back_and_decides_nothing() -> None:
    report = InputReport(
        rows=48_211, size=2**40, paused=True, newest_ns=2**60, read_ns=1, moved_ns=2, released_ns=3, dead=4
    )
    progress = InputProgress(5, 90, -3)
    committed = Committed(progress, 77, PARITY, report=report)
    position = to_position(committed)
    assert from_position(position, "t[0]") == committed
    assert len(position.metadata) < 500


def test_late_rows_that_need_the_room_have_it_before_what_is_reported_to_people() -> None:
    late = tuple((7 * i, i % 5) for i in range(2_000))
    fits = METADATA_SIZE_MAX - 200
    late = late[: bisect_right(range(len(late)), fits, key=lambda rows: len(encode_places(late[:rows]))) - 1]
    committed = Committed(InputProgress(0, 10**6, 0, late=late), 0, report=InputReport())
    assert from_position(to_position(committed), "t[0]") == replace(committed, report=None)


def test_late_rows_that_find_no_room_are_said_to_be_missing() -> None:
    late = tuple((5 + 3 * i, 0) for i in range(10_000))
    position = to_position(Committed(InputProgress(5, 90_000, 0, late=late), 0, PARITY))
    progress = from_position(position, "t[0]").progress
    assert len(position.metadata) <= METADATA_SIZE_MAX
    assert 0 < len(progress.late) < len(late)
    assert progress.late == tuple(row for row in late if row[0] >= progress.late_from)


@pytest.mark.parametrize(
    "progress",
    [
        InputProgress(needed_offset=0, next_offset=0, watermark_ns=BEGINNING_NS),
        InputProgress(needed_offset=7, next_offset=2**62, watermark_ns=2**62, final=True, idle=True),
    ],
)
def test_progress_comes_back_as_it_was_committed(progress: InputProgress) -> None:
    committed = Committed(progress, -(2**62), PARITY)
    position = to_position(committed)
    assert position.offset == progress.needed_offset
    assert len(position.metadata) < 4_096
    assert from_position(position, "t[0]") == committed


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "null",
        "[]",
        "17",
        "written by another program",
        '{"v": 3, "frontier_ns": 1}',
        '{"v": 3, "frontier_ns": 1, "parity": "7", "next_offset": 3, "watermark_ns": 4, "late": ""}',
        '{"v": 3, "frontier_ns": 1, "late": "", "next_offset": 3, "watermark_ns": 4}',
        '{"v": 3, "frontier_ns": 1, "late": "", "next_offset": 3, "sealed_through": [1, 2]}',
        '{"frontier_ns": 1}',
        '{"v": 1e999}',
        '{"v": Infinity}',
        '{"v": 3, "frontier_ns": 9223372036854775808}',
        "[" * 4_000,
        '{"v": 3, "frontier_ns": 1, "late": "", "sealed_through": null, "next_offset": 3, "colour": "red"}',
    ],
)
def test_foreign_metadata_is_refused_in_one_line_that_says_where_and_what_to_do(metadata: str) -> None:
    with pytest.raises(RunError) as refused:
        from_position(Position(5, metadata), "tidemark.trade[3]")
    told = str(refused.value)
    assert told.startswith("tidemark.trade[3]: the committed offset 5 was not written by this program")
    assert "choose another pipeline.prefix or delete the group" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "text", ["0x99999999999", "5:0-99999999999", "5x4096:0-9999", "5:0-99999999,99999999-0"]
)
def test_places_that_no_worker_can_hold_are_refused_before_they_are_made(text: str) -> None:
    with pytest.raises(ValueError, match="more than 16,777,216 places"):
        decode_places(text)


def test_a_report_with_figures_that_are_none_is_as_good_as_absent() -> None:
    committed = Committed(InputProgress(5, 90, -3), 77, PARITY, report=InputReport(rows=2))
    fields = json.loads(to_position(committed).metadata)
    for other in ("2", None, [2], 2.5):
        changed = Position(5, json.dumps(fields | {"told": {"rows": other}}))
        assert from_position(changed, "t[0]") == replace(committed, report=None)


def test_keys_that_a_later_version_adds_are_passed_over() -> None:
    committed = Committed(InputProgress(5, 90, -3), 77, PARITY, report=InputReport(rows=2))
    position = to_position(committed)
    fields = json.loads(position.metadata)
    fields |= {"colour": "red"}
    fields["told"] |= {"mood": "calm"}
    assert from_position(Position(position.offset, json.dumps(fields)), "t[0]") == committed


def test_what_the_version_before_wrote_is_read() -> None:
    metadata = (
        f'{{"v":3,"frontier_ns":77,"parity":"{PARITY}","complete":false,'
        '"next_offset":90,"watermark_ns":-3,"final":true,"idle":false,"late":"6","late_from":2,'
        '"sealed_through":[1,0,4,0],"told":{"rows":2,"size":9,"paused":false,"newest_ns":5,"read_ns":6,'
        '"moved_ns":7,"told_ns":8,"late":0,"dead":1}}'
    )
    read = from_position(Position(5, metadata), "t[0]")
    assert read.progress == InputProgress(5, 90, -3, final=True, late=((6, 0),), late_from=2)
    assert (read.frontier_ns, read.through) == (77, (1, 0, 4, 0))
    assert read.report == InputReport(
        rows=2, size=9, newest_ns=5, read_ns=6, moved_ns=7, released_ns=8, dead=1
    )


@pytest.mark.parametrize(
    ("version", "advice"), [(2, "let that version finish"), (4, "update this one"), (17, "update this one")]
)
def test_another_version_is_named_with_what_to_do(version: int, advice: str) -> None:
    fields = json.loads(to_position(Committed(InputProgress(5, 90, -3), 77, PARITY)).metadata)
    fields["v"] = version
    with pytest.raises(RunError) as refused:
        from_position(Position(5, json.dumps(fields)), "tidemark.trade[3]")
    assert f"committed by version {version}, this one reads 3" in str(refused.value)
    assert advice in str(refused.value)


def test_the_ids_of_the_log_come_back_and_what_is_no_id_is_as_good_as_none() -> None:
    committed = Committed(
        InputProgress(5, 90, -3), 77, PARITY, log=LogIds("MkU3OEVBNTcwNTJENDM2Qk", "x" * 22, "y" * 22)
    )
    position = to_position(committed)
    assert from_position(position, "t[0]") == committed
    fields = json.loads(position.metadata)
    for other in (None, [], ["a"], {"cluster": "a"}, ["a", 1, "b"], "abc"):
        changed = Position(5, json.dumps(fields | {"log": other}))
        assert from_position(changed, "t[0]") == replace(committed, log=None)
