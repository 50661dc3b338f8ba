"""Which settings differ, that every setting has a reach, and that the page for people says the same."""

from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from app.config import Settings
from app.settings.streams import StreamSettings
from app.upkeep.changes import change_lines, changes, farthest
from app.upkeep.reach import KINDS, kind_of, reach_table
from tests.stage.programs import ROOT, App


def of(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


def tables_in(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a field may hold."""
    parts = (
        get_args(annotation) if isinstance(annotation, UnionType) or get_args(annotation) else [annotation]
    )
    return [one for one in parts if isinstance(one, type) and issubclass(one, BaseModel)]


def keys_of(table: type[BaseModel], prefix: str) -> list[str]:
    keys = []
    for name, field in table.model_fields.items():
        key = f"{prefix}.{field.alias or name}"
        inner = [one for each in tables_in(field.annotation) for one in keys_of(each, key)]
        keys += inner or [key]
    return keys


def test_every_setting_has_a_reach() -> None:
    by_name = {"streams", "outputs", "graph", "calendars"}  # tables with names of the user's
    keys = [
        key
        for name, field in Settings.model_fields.items()
        if name not in by_name
        for table in tables_in(field.annotation)
        for key in keys_of(table, name)
    ]
    keys += keys_of(StreamSettings, "streams.quote")
    keys += [f"outputs.{name}" for name in ("aligned", "late", "dead", "last_known", "tasks", "tick")]
    keys += ["graph.name", "graph.models", "graph.tick.features.vol", "calendars.XNYS.file"]
    assert len(keys) > 80
    assert [key for key in keys if kind_of(key) is None] == []
    assert kind_of("nothing.like.this") is None


def test_every_pattern_is_that_of_some_setting_and_the_first_that_fits_counts() -> None:
    expected = {
        "pipeline.clock": "generation",
        "pipeline.tolerance_ns": "period",
        "pipeline.grace_ns": "live",
        "bus.partitions": "generation",
        "bus.kafka.client.rack": "live",
        "outputs.late": "live",
        "outputs.tick": "period",
        "outputs.tasks": "generation",
        "streams.quote.columns": "period",
        "streams.quote.rules.positive.columns": "period",
        "streams.quote.event_time.field": "generation",
        "streams.quote.idle_after_ms": "live",
        "graph.tick.features.vol": "period",
    }
    found = {key: kind.reach for key in expected if (kind := kind_of(key)) is not None}
    assert found == expected
    assert kind_of("streams.quote.rules.positive.columns") is not kind_of("streams.quote.columns")


def test_equal_settings_have_no_change_and_a_default_that_is_written_is_none() -> None:
    assert changes(of(), of(pipeline={"clock": "event"}, streams={"quote": {}})) == []
    assert farthest([]) is None


def test_changes_come_with_both_values_the_farthest_first() -> None:
    old = of(pipeline={"tolerance_ns": 5}, streams={"quote": {"columns": ["bid"]}})
    new = of(pipeline={"clock": "known", "grace_ns": 1}, streams={"quote": {"columns": ["bid", "ask"]}})
    found = changes(old, new)
    assert [(one.key, one.old, one.new, one.reach) for one in found] == [
        ("pipeline.clock", "event", "known", "generation"),
        ("pipeline.tolerance_ns", "5", "none", "period"),
        ("streams.quote.columns", "[bid]", "[bid, ask]", "period"),
        ("pipeline.grace_ns", "50000000", "1", "live"),
    ]
    assert farthest(found) == "generation"
    lines = list(change_lines(found))
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == [
        "generation",
        "period",
        "live",
    ]
    assert "  pipeline.tolerance_ns: 5 -> none" in lines


def test_a_stream_that_only_nodes_read_is_another_input() -> None:
    node = {"from": "signal", "features": {"twice": "score * 2"}}
    with_signal = of(streams={"signal": {}}, graph={"calm": node})
    found = [one for one in changes(of(), with_signal) if one.key == "streams.signal"]
    assert [(one.old, one.new, one.reach) for one in found] == [("none", "read by nodes", "generation")]


def test_no_secret_is_told() -> None:
    secret = "hunter" + "2hunter2"
    safe = {"security_protocol": "SASL_SSL", "sasl_username": "tidemark"}
    with_secret = of(bus={**safe, "sasl_password": secret, "kafka": {"ssl.keystore.password": secret}})
    assert secret not in "\n".join(change_lines(changes(of(), with_secret)))


def test_the_command_shows_changes_and_exits_1_where_commits_do_not_fit(run_app: App, tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text('[pipeline]\ngrace = "50ms"\n')
    new.write_text('[pipeline]\ngrace = "20ms"\n')
    told = run_app("config", "diff", str(old), str(new))
    assert (told.code, told.out.splitlines()[1]) == (0, "  pipeline.grace_ns: 50000000 -> 20000000")
    assert run_app("config", "diff", str(old), str(old)).out.strip() == "no setting differs"
    new.write_text("[bus]\npartitions = 8\n")
    told = run_app("config", "diff", str(old), str(new), "--json")
    assert told.code == 1
    assert '"key": "bus.partitions", "old": "4", "new": "8", "reach": "generation"' in told.out


def test_the_page_has_the_table_of_the_program() -> None:
    page = (ROOT / "docs/running.md").read_text()
    table = "\n".join(reach_table())
    assert table in page, f"docs/running.md: put this under 'What a changed setting does':\n{table}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.keys[0])
def test_a_kind_says_what_a_change_does(kind: Any) -> None:
    assert kind.keys
    assert len(kind.does.split()) > 4
