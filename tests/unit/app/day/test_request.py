from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.day.request import BLOCK_SPAN_NS, ReplayRequest, run_settings
from app.errors import UsageError
from replay.store.day import Day
from replay.store.days import HistoryStore
from tests.stage.days import DATE, NOON_NS, keep_day

DISORDER_NS = 300


@pytest.fixture
def days(tmp_path: Path) -> list[Day]:
    """A trade on time, and quotes of which one comes 300 ns after a newer one."""
    store = HistoryStore(tmp_path / "history")
    rows = {"known_ns": [NOON_NS, NOON_NS + 1], "symbol": ["A", "A"]}
    return [
        keep_day(store, "trade", {**rows, "event_ns": [NOON_NS, NOON_NS]}),
        keep_day(store, "quote", {**rows, "event_ns": [NOON_NS, NOON_NS - DISORDER_NS]}),
    ]


def asked(**changed: Any) -> ReplayRequest:
    return replace(ReplayRequest(date=DATE, out=Path("out")), **changed)


def identity(request: ReplayRequest, days: list[Day]) -> dict[str, object]:
    return request.identity(request.settings(), days)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"date": "2024-02-30"}, "write it as YYYY-MM-DD"),
        ({"date": "20240115"}, "write it as YYYY-MM-DD"),
        ({"data": Path("nowhere")}, "DATA=nowhere: no such folder"),
        ({"bus": "embedded", "bootstrap": "127.0.0.1:9092"}, "exclude each other"),
        ({"workers": 0}, "WORKERS=0 must be 1 to 100"),
    ],
)
def test_a_request_that_cannot_be_is_refused_when_it_is_made(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        asked(**changed)


def grace_of(request: ReplayRequest, days: list[Day], **pipeline: object) -> int | None:
    return request.grace_ns_for(days, Settings.model_validate({"pipeline": pipeline}))


def test_the_grace_covers_the_days_disorder_and_the_span_of_a_block(days: list[Day]) -> None:
    assert grace_of(asked(), days) == DISORDER_NS + BLOCK_SPAN_NS
    assert grace_of(asked(shape="record"), days) == DISORDER_NS
    assert grace_of(asked(shape="record"), days, clock="known") == 0


def test_a_paced_replay_needs_no_room_for_blocks(days: list[Day]) -> None:
    assert grace_of(asked(speed=10.0), days) == DISORDER_NS


def test_a_grace_that_is_given_stands(days: list[Day]) -> None:
    assert grace_of(asked(grace_ns=7), days) is None
    assert grace_of(asked(), days, grace_ns=9) is None


def test_a_file_that_says_nothing_of_grace_leaves_it_to_the_day(days: list[Day], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[graph.tick]\nfrom = "aligned"\nfeatures = { x = "1.0" }\n')
    request = asked(config=file)
    assert request.grace_ns_for(days, request.settings()) == DISORDER_NS + BLOCK_SPAN_NS
    file.write_text("[pipeline]\ngrace_ns = 9\n")
    assert request.grace_ns_for(days, request.settings()) is None


def test_a_broker_at_another_address_and_another_pace_are_the_same_run(days: list[Day]) -> None:
    run = identity(asked(speed=1.0), days)
    assert identity(asked(speed=10.0, bootstrap="127.0.0.1:9"), days) == run


@pytest.mark.parametrize(
    "changed",
    [{"shape": "record"}, {"tolerance_ns": 5}, {"partitions": 2}, {"speed": 10.0}, {"clock": "known"}],
)
def test_what_changes_the_rows_or_the_grace_is_another_run(days: list[Day], changed: dict[str, Any]) -> None:
    assert identity(asked(**changed), days) != identity(asked(), days)


def test_a_file_that_says_something_else_is_another_run(days: list[Day], tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    told = []
    for text in ("", "[pipeline]\ncarry = 'column'"):
        config.write_text(text)
        told.append(identity(asked(config=config), days))
    assert told[0] != told[1]


def test_a_history_that_has_changed_is_another_run(days: list[Day], tmp_path: Path) -> None:
    other = keep_day(
        HistoryStore(tmp_path / "other"), "trade", {"event_ns": [NOON_NS], "symbol": ["B"]}, date=DATE
    )
    assert identity(asked(), [other, days[1]]) != identity(asked(), days)


def test_a_run_has_topics_folders_and_keys_of_its_own(days: list[Day], tmp_path: Path) -> None:
    request = asked(tolerance_ns=5, format="avro", partitions=2)
    config = run_settings(
        request.settings(),
        days,
        prefix="replay-1",
        bootstrap="127.0.0.1:9",
        folder=tmp_path,
        grace_ns=9,
    )
    assert config["pipeline"] | {"prefix": "replay-1", "tolerance_ns": 5, "grace_ns": 9} == config["pipeline"]
    assert config["bus"]["bootstrap"] == "127.0.0.1:9"
    assert config["bus"]["partitions"] == 2
    assert config["bus"]["schema_registry"] == str(tmp_path / "schemas")
    assert config["worker"]["state"] == str(tmp_path / "state")
    assert config["worker"]["format"] == "avro"
    assert {name: table["key"] for name, table in config["streams"].items()} == {
        "trade": ["symbol"],
        "quote": ["symbol"],
    }
