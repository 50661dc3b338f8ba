"""What the doctor finds on a machine, well or not, and that each problem says what to do."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.config import Settings
from app.errors import UsageError
from app.watch.doctor import FREE_SIZE_MIN, examine
from app.watch.finding import Finding
from app.wiring.topics import require_topics
from schemas.clocks import END_NS
from tests.stage.foreign import JSON_TRADE, ForeignMarket
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.bus import Bus, TopicSpec
from topics.memory.bus import MemoryBus
from topics.partitioner import partition_of


def looked_at(settings: Settings, connect: Callable[[], Bus]) -> dict[str, Finding]:
    findings = {finding.what: finding for finding in examine(settings, connect)}
    for finding in findings.values():
        assert finding.found
        assert bool(finding.advice) == (finding.level == "problem"), finding
    return findings


def changed(market: Market, section: str, **values: object) -> Settings:
    told = market.settings.model_dump()
    told[section] |= values
    return Settings.model_validate(told)


def test_a_pipeline_that_could_start_has_no_problem(tmp_path: Path) -> None:
    market = Market(tmp_path)
    found = looked_at(market.settings, lambda: market.bus)
    assert [finding for finding in found.values() if finding.level == "problem"] == []
    assert found["broker"].found == "embedded answers"
    assert found["topics"].found == "6 topics of 1 partitions"
    assert found["streams"].found == "trade: 4 columns, quote: 5 columns"


def test_the_way_messages_are_read_is_told(tmp_path: Path) -> None:
    market = Market(tmp_path)
    for asked, told in (("auto", "native 2."), ("plain", "plain: as asked for")):
        found = looked_at(changed(market, "bus", kafka_reading=asked), lambda: market.bus)["reading"]
        assert found.level == "ok"
        assert told in found.found


def test_a_broker_that_is_away_does_not_keep_the_rest_from_being_told(tmp_path: Path) -> None:
    def away() -> Bus:
        raise UsageError("no Kafka broker answers at nowhere:1")

    found = looked_at(Market(tmp_path).settings, away)
    assert found["broker"].level == "problem"
    assert found["schema registry"].level == "ok"
    assert "topics" not in found


def test_missing_topics_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    found = looked_at(Market(tmp_path).settings, MemoryBus)
    assert found["topics"].found.startswith("missing: tidemark.trade, tidemark.quote, tidemark.aligned")
    assert "topics apply" in found["topics"].advice


def test_topics_that_differ_are_told_with_both_figures(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    found = looked_at(changed(market, "bus", partitions=3), lambda: market.bus)
    assert "tidemark.trade has partitions 2, wanted 3" in found["topics"].found


def test_keys_in_wrong_partitions_are_a_problem_with_the_command(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    away = next(name for name in "ABCDEFGH" if partition_of(name.encode(), 2) == 1)
    market.quote(1, symbol=away)
    market.progress(5)
    assert looked_at(market.settings, lambda: market.bus)["keys"].level == "ok"
    market.produce("quote", 0, away.encode(), market.block("quote", [2], away))
    market.progress(9)
    finding = looked_at(market.settings, lambda: market.bus)["keys"]
    assert finding.level == "problem"
    assert f"key '{away}' is in partition 0 of tidemark.quote" in finding.found
    assert "topics repartition --from tidemark.quote" in finding.advice


def test_settings_under_which_no_message_is_a_row_are_a_problem(tmp_path: Path) -> None:
    quote = {**JSON_TRADE, "fields": {"bid": "double"}}
    trade = {**JSON_TRADE, "event_time": {"field": "time", "form": "ms"}}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": quote}, partitions=1)
    found = looked_at(market.settings, lambda: market.bus)
    assert "rows" not in found
    assert found["schema registry"].found == "no stream needs one"
    market.send_json("trade", [{"symbol": "A", "ts": 5, "price": 1.5, "size": 2}] * 3)
    found = looked_at(market.settings, lambda: market.bus)
    assert found["rows"].level == "problem"
    assert found["rows"].found == (
        "tidemark.trade: of the newest 3 messages 3 rows or messages would be dead letters, the first in "
        "tidemark.trade[0]: no event_ns; none would be a row"
    )
    assert "topics infer tidemark.trade" in found["rows"].advice
    now_ms = 1_705_311_000_000
    market.send_json("trade", [{"symbol": "A", "time": now_ms, "price": 1.5, "size": 2}] * 3)
    assert looked_at(market.settings, lambda: market.bus)["rows"].level == "problem"
    market.send_json("trade", [{"symbol": "A", "time": now_ms + 1, "prize": 1.5, "size": 2}])
    found = looked_at(market.settings, lambda: market.bus)
    assert found["rows"].level == "note"
    assert found["times"].level == "ok"
    assert "lie between 2024-01-15T09:30:00.000Z and 2024-01-15T09:30:00.001Z" in found["times"].found


def test_times_of_another_unit_and_columns_that_no_row_has_are_told(tmp_path: Path) -> None:
    trade = {**JSON_TRADE, "event_time": {"field": "ts", "form": "us"}}
    market = ForeignMarket(tmp_path, {"trade": trade, "quote": JSON_TRADE}, partitions=1)
    market.send_json("trade", [{"symbol": "A", "ts": 1_705_311_000_000, "px": 1.5, "size": 2}])
    found = looked_at(market.settings, lambda: market.bus)
    assert found["times"].level == "problem"
    assert "lie between 1970-01-20T" in found["times"].found
    assert "streams.trade.event_time" in found["times"].advice
    assert found["rows"].found == (
        "tidemark.trade: price is null in all of the newest 1 rows: is its path right?"
    )


def test_inputs_that_are_frames_are_looked_at_on_their_broker(tmp_path: Path) -> None:
    quote = {"format": "arrow", "key_from": "columns"}
    market = ForeignMarket(tmp_path, {"trade": JSON_TRADE, "quote": quote}, partitions=1)
    found = looked_at(market.settings, lambda: market.bus)
    assert found["streams"].level == "note"
    assert "has no frame yet that says its columns" in found["streams"].found


def test_a_state_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    market = Market(tmp_path)
    (tmp_path / "file").write_text("in the way")
    found = looked_at(changed(market, "worker", state=tmp_path / "file"), lambda: market.bus)
    assert found["state folder"].level == "problem"


def test_a_full_disk_is_a_problem_with_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(tmp_path)
    monkeypatch.setattr("app.watch.doctor.FREE_SIZE_MIN", 1 << 80)
    found = looked_at(market.settings, lambda: market.bus)
    assert "free" in found["state folder"].advice
    assert FREE_SIZE_MIN == 1 << 30


def test_too_few_open_files_are_a_problem_with_the_command(tmp_path: Path) -> None:
    market = Market(tmp_path)
    many = changed(market, "bus", partitions=10_000)
    assert "ulimit -n 640256" in looked_at(many, lambda: market.bus)["open files"].advice


def test_a_registry_that_does_not_answer_is_a_problem(tmp_path: Path) -> None:
    market = Market(tmp_path)
    away = "http://127.0.0.1:1"
    found = looked_at(changed(market, "bus", schema_registry=away), lambda: market.bus)
    assert found["schema registry"].level == "problem"
    assert "streams" not in found


def test_streams_that_nobody_has_published_are_no_problem_yet(tmp_path: Path) -> None:
    market = Market(tmp_path)
    found = looked_at(changed(market, "bus", schema_registry=str(tmp_path / "empty")), lambda: market.bus)
    assert found["streams"].level == "note"


@pytest.mark.parametrize(
    ("table", "level", "words"),
    [
        ({"format": "arrow", "key_from": "columns"}, "note", "has no frame yet that says its columns"),
        ({"format": "protobuf"}, "problem", "a folder serves Avro schemas only"),
        ({"format": "protobuf", "schema_file": "/gone.desc"}, "problem", "streams.quote.schema_file"),
        ({"schema_file": "/gone.avsc"}, "problem", "streams.quote.schema_file"),
    ],
)
def test_an_input_that_says_no_columns_is_told(
    tmp_path: Path, table: dict[str, object], level: str, words: str
) -> None:
    market = Market(tmp_path)
    told = market.settings.model_dump() | {"streams": {"quote": table}}
    found = looked_at(Settings.model_validate(told), lambda: market.bus)
    assert found["streams"].level == level
    assert words in found["streams"].found


def test_a_rule_on_a_column_that_is_not_there_is_a_problem_of_that_stream(tmp_path: Path) -> None:
    market = Market(tmp_path)
    told = market.settings.model_dump() | {"streams": {"quote": {"rules": {"finite": ["mid"]}}}}
    found = looked_at(Settings.model_validate(told), lambda: market.bus)
    assert "streams.quote.rules.finite: no column 'mid'" in found["streams"].found


def test_inputs_of_somebody_else_are_a_note_with_what_follows(tmp_path: Path) -> None:
    market = Market(tmp_path)
    admin = market.bus.admin()
    admin.delete(["tidemark.trade"])
    admin.create([TopicSpec(name="tidemark.trade", partitions=1, configs={"retention.ms": "1000"})])
    found = looked_at(market.settings, lambda: market.bus)
    assert found["topics"].level == "ok"
    assert found["tidemark.trade"].level == "note"
    assert "retention.ms 1000: 1 s is shorter than the 30 s" in found["tidemark.trade"].found


def test_an_input_that_does_not_exist_is_named_with_those_that_are_like_it(tmp_path: Path) -> None:
    market = Market(tmp_path)
    admin = market.bus.admin()
    admin.delete(["tidemark.trade"])
    names = ("market-data.trades.v1", "orders", "tidemark.trad")
    admin.create([TopicSpec(name=name, partitions=1, configs={}) for name in names])
    found = looked_at(market.settings, lambda: market.bus)["topics"]
    assert found.found == "missing: tidemark.trade"
    assert "tidemark.trade may be tidemark.trad or market-data.trades.v1" in found.advice
    assert "name it in streams.trade.topic" in found.advice
    assert "orders" not in found.advice
    with pytest.raises(
        UsageError, match=r"tidemark\.trade does not exist; tidemark\.trade may be tidemark\.trad"
    ):
        require_topics(market.bus, market.settings)


def test_commits_of_a_topic_that_was_created_anew_are_a_problem_with_the_way_out(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.progress(3)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        worker.commit()
    found = looked_at(market.settings, lambda: market.bus)["commits"]
    assert (found.level, found.found) == ("ok", "group tidemark has offsets of 2 partitions, of these logs")
    admin = market.bus.admin()
    spec = admin.describe(["tidemark.quote"])["tidemark.quote"]
    assert spec is not None
    admin.delete(["tidemark.quote"])
    admin.create([spec])
    found = looked_at(market.settings, lambda: market.bus)["commits"]
    assert found.level == "problem"
    assert "tidemark.quote[0]: no offset is committed, but tidemark.trade[0] has one" in found.found
    assert found.advice.startswith("choose another pipeline.prefix")


def test_settings_by_which_the_group_would_go_on_by_another_rule_are_noted(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"tolerance_ns": 5_000_000_000})
    market.progress(10)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    same = looked_at(market.settings, lambda: market.bus)["rule"]
    assert (same.level, same.found) == ("ok", "tolerance 5 s")
    other = looked_at(changed(market, "pipeline", tolerance_ns=500_000_000), lambda: market.bus)["rule"]
    assert other.level == "note"
    assert "task 0 seals by tolerance 5 s (these settings say tolerance 500 ms)" in other.found


@pytest.mark.parametrize(
    ("limit_ns", "form"),
    [(-1, r"note: compiled in \S+ \w+, kept for the next start"), (END_NS, r"ok: warm, loaded in \S+ \w+")],
)
def test_kernels_say_how_long_they_took_to_compile_or_to_load(
    limit_ns: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.watch.doctor.COMPILED_NS", limit_ns)
    market = Market(tmp_path)
    found = looked_at(market.settings, lambda: market.bus)["kernels"]
    assert re.fullmatch(form, f"{found.level}: {found.found}")
