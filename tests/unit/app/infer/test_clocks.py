"""The time is found by types, by the size of numbers, and by names where several would do."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stage.proposals import Topic

MS = 1_705_311_000_000
NS = MS * 1_000_000


def time_of(folder: Path, row: dict[str, Any], timestamp_ms: int | None = None) -> dict[str, Any]:
    """The proposed `event_time` of a topic with this row."""
    topic = Topic(folder, [(b"A", json.dumps(row).encode())], timestamp_ms=timestamp_ms)
    return dict(topic.table().get("event_time", {}))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (MS // 1_000, "s"),
        (MS / 1_000 + 0.25, "s"),
        (MS, "ms"),
        (MS * 1_000, "us"),
        (NS, "ns"),
        (str(MS), "ms"),
        (str(NS), "ns"),
        (f"{MS // 1_000}.123456789", "s"),
        ("2024-01-15T09:30:00.123456789Z", "iso"),
        ("2024-01-15 09:30:00+01:00", "iso"),
    ],
)
def test_the_form_is_that_in_which_the_value_is_a_time_of_our_days(
    tmp_path: Path, value: object, form: str
) -> None:
    assert time_of(tmp_path, {"x": value, "v": "a"}) == {"field": "x", "form": form}


@pytest.mark.parametrize("value", [5, 1.5, "soon", 10**9 // 2, 10**15 * 9, True, None, "", [MS], "2024"])
def test_what_is_no_time_of_our_days_leaves_the_records_own(tmp_path: Path, value: object) -> None:
    assert time_of(tmp_path, {"x": value, "v": "a"}) == {"record": True}


def test_a_time_without_zone_is_taken_for_utc_and_that_is_a_guess(tmp_path: Path) -> None:
    topic = Topic(tmp_path, [(b"A", b'{"at": "2024-01-15T09:30:00", "v": 1}')])
    assert topic.table()["event_time"] == {"field": "at", "form": "iso", "zone": "UTC"}
    assert "UTC is a guess" in " ".join(topic.proposal().split())


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"x": MS, "ts": MS}, "ts"),
        ({"recv_time": MS, "x": MS}, "x"),
        ({"received_at": MS, "created_at": MS}, "created_at"),
        ({"E": MS, "T": MS}, "T"),
        ({"timestamp": MS, "transact_time": MS}, "transact_time"),
        ({"volume": 1_700_000_000, "h": {"eventTime": MS}}, "h.eventTime"),
        ({"local_timestamp": MS}, "local_timestamp"),
    ],
)
def test_a_name_breaks_ties(tmp_path: Path, row: dict[str, Any], field: str) -> None:
    assert time_of(tmp_path, {**row, "v": 1})["field"] == field


def test_a_second_time_is_proposed_in_a_comment(tmp_path: Path) -> None:
    topic = Topic(tmp_path, [(b"A", json.dumps({"ts": MS, "recv_ts": MS + 5, "v": 1}).encode())])
    assert '# known_time = { field = "recv_ts", form = "ms" }' in topic.proposal()
    assert "known_time" not in topic.table()


def test_numbers_far_from_the_records_own_times_are_none_where_others_are_near(tmp_path: Path) -> None:
    row = {"t": 3_408_493_234, "when": MS, "v": 1}
    assert time_of(tmp_path, row, timestamp_ms=MS) == {"field": "when", "form": "ms"}
    topic = Topic(tmp_path, [(b"A", json.dumps(row).encode())], timestamp_ms=MS)
    assert "t may be" not in topic.proposal()


def test_messages_with_event_ns_need_nothing(tmp_path: Path) -> None:
    topic = Topic(tmp_path, [(b"A", json.dumps({"event_ns": NS, "ts": MS, "v": 1}).encode())])
    assert "event_time" not in topic.table()
    assert topic.table()["fields"]["event_ns"] == "int64"


def test_an_event_ns_in_another_form_is_a_field_with_a_time(tmp_path: Path) -> None:
    topic = Topic(tmp_path, [(b"A", b'{"event_ns": "2024-01-15T09:30:00Z", "v": 1}')])
    table = topic.table()
    assert table["fields"] == {"v": "int64"}
    assert table["event_time"] == {"field": "event_ns", "form": "iso"}
