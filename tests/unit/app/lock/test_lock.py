"""A feature means one thing under a name and a version: the lock keeps it, and nothing else."""

from pathlib import Path

import pytest

from app.config import load_settings
from app.day.history import join_of_days
from app.lock.changes import require_meanings, write_meanings
from app.lock.file import NAME
from app.lock.meanings import feature_meanings
from replay.store.days import HistoryStore
from tests.stage.day_runs import DATE, DayRun
from tests.stage.graphs import TICK, graph_file
from tests.stage.programs import App
from topics.memory.bus import MemoryBus

OTHER_MID = TICK.replace("/ 2", "/ 2.5")


def write(run_app: App, file: Path, *words: str) -> list[str]:
    answer = run_app("graph", *words, "-c", file, "--store", file.parent / "history")
    assert answer.code == 0, answer.err
    return answer.out.splitlines()


def refusal(run_app: App, file: Path, *words: str) -> list[str]:
    """The lines with which a command refuses changed features."""
    answer = run_app(*words, "-c", file, "--store", file.parent / "history")
    assert answer.code == 2, answer
    _, error = answer.err.split("error: ")
    first, *lines = error.strip().splitlines()
    assert first.startswith(f"{file.parent / NAME}: "), answer.err
    return lines


def test_a_lock_has_a_sorted_entry_for_each_feature_and_is_written_alike_again(
    run_app: App, tmp_path: Path
) -> None:
    file = graph_file(tmp_path)
    assert write(run_app, file, "lock")[:4] == [
        "added    tick.mid@1",
        "added    tick.spread_bps@1",
        "added    side.signed@1",
        "added    side.far@1",
    ]
    text = (tmp_path / NAME).read_text()
    names = [line for line in text.splitlines() if line.startswith("[")]
    assert names == sorted(names)
    assert len(write(run_app, file, "lock")) == 1
    assert (tmp_path / NAME).read_text() == text


def test_comments_white_space_topics_names_of_files_and_other_columns_change_nothing(
    run_app: App, tmp_path: Path
) -> None:
    file = graph_file(tmp_path)
    write(run_app, file, "lock")
    text = (tmp_path / NAME).read_text()
    moved = TICK.replace("/ 2", "/2 # half").replace("1e4 *", "(10_000.0) *")
    moved = moved.replace("[graph.tick.out]", '[graph.tick.out]\ntopic = "elsewhere"')
    moved += '[pipeline]\nprefix = "other"\n[streams.quote]\ncolumns = ["bid_price", "ask_price"]\n'
    assert len(write(run_app, graph_file(tmp_path, moved, "renamed.toml"), "lock")) == 1
    assert (tmp_path / NAME).read_text() == text


@pytest.mark.parametrize(
    "command", [("graph", "lock"), ("replay", "--bus", "embedded"), ("backtest",)], ids=lambda words: words[0]
)
def test_changed_features_are_refused_at_once_with_both_formulas_and_before_anything_is_made(
    run_app: App, tmp_path: Path, command: tuple[str, ...]
) -> None:
    write(run_app, graph_file(tmp_path), "lock")
    text = (tmp_path / NAME).read_text()
    file = graph_file(tmp_path, OTHER_MID)
    run = () if command[0] == "graph" else ("--date", DATE, "--out", str(tmp_path / "out"))
    mid, spread, signed, far, way_out = refusal(run_app, file, *command, *run)
    quotes = "(quote_bid_price + quote_ask_price)"
    assert mid.startswith(f"  tick.mid@1 meant {quotes} / 2, now {quotes} / 2.5: ")
    assert mid.endswith('write "... @2", or adopt tick.mid')
    assert "but reads tick.mid" in spread
    assert [line.split("@")[0].strip() for line in (signed, far)] == ["side.signed", "side.far"]
    assert f"graph adopt tick.mid tick.spread_bps side.signed side.far -c {file}" in way_out
    assert (tmp_path / NAME).read_text() == text
    assert not (tmp_path / "out").exists()


def test_another_join_is_another_meaning_and_said_to_be(run_app: App, tmp_path: Path) -> None:
    write(run_app, graph_file(tmp_path), "lock")
    lines = refusal(run_app, graph_file(tmp_path, f"{TICK}[pipeline]\ntolerance = '5s'\n"), "graph", "lock")
    assert len(lines) == 5
    assert "rows joined by symbol, tolerance none, now by symbol, tolerance 5 s" in lines[0]


def test_a_new_version_is_the_way_out_and_the_old_one_is_never_free_again(
    run_app: App, tmp_path: Path
) -> None:
    write(run_app, graph_file(tmp_path), "lock")
    newer = OTHER_MID.replace('2.5"', '2.5 @2"').replace('mid"', 'mid @2"').replace('* size"', '* size @2"')
    newer = newer.replace('mid)"', 'mid) @2"')
    assert write(run_app, graph_file(tmp_path, newer), "lock")[0] == "added    tick.mid@2"
    line = refusal(run_app, graph_file(tmp_path, TICK.replace("/ 2", "/ 4")), "graph", "lock")[0]
    assert 'write "... @3"' in line
    assert len(write(run_app, graph_file(tmp_path), "lock")) == 1


def test_versions_side_by_side_are_locked_and_adopted_apart(run_app: App, tmp_path: Path) -> None:
    both = TICK.replace("spread_bps =", '"mid@2" = "quote_bid_price"\nspread_bps =')
    write(run_app, graph_file(tmp_path), "lock")
    assert write(run_app, graph_file(tmp_path, both), "lock")[0] == "added    tick.mid@2"
    shown = write(run_app, tmp_path / "my.toml", "show")
    assert [line.split()[0] for line in shown if "  mid" in line] == ["mid", "mid@2"]
    other = graph_file(tmp_path, both.replace('"quote_bid_price"', '"quote_ask_price"'))
    line, way_out = refusal(run_app, other, "graph", "lock")
    assert line.endswith('write "... @3", or adopt tick.mid@2')
    assert f"graph adopt tick.mid@2 -c {other}" in way_out
    assert write(run_app, other, "adopt", "tick.mid@2")[0] == "adopted  tick.mid@2"
    moved = both.replace('"mid@2" = "quote_bid_price"\n', "").replace('/ 2"', '/ 2"\n"mid@1" = "price"')
    refused = run_app("graph", "show", "-c", graph_file(tmp_path, moved), "--store", tmp_path / "history")
    assert "mid is version 1 of mid already" in refused.err


def test_a_version_that_was_dropped_is_refused_until_it_is_adopted(run_app: App, tmp_path: Path) -> None:
    both = TICK.replace("spread_bps =", '"mid@2" = "quote_bid_price"\nspread_bps =')
    file = graph_file(tmp_path, both)
    write(run_app, file, "lock")
    store = ("--store", tmp_path / "history")
    still = run_app("graph", "drop", "tick.mid@2", "-c", file, *store)
    assert still.error.startswith(f"error: tick.mid@2 is in {file} still: take its line out first")
    graph_file(tmp_path)
    near = run_app("graph", "drop", "tick.mit@2", "-c", file, *store)
    assert near.error == f"error: {tmp_path / NAME}: there is no feature tick.mit@2; tick.mid@2?"
    assert write(run_app, file, "drop", "tick.mid@2")[0] == "dropped  tick.mid@2"
    assert write(run_app, file, "lock") == [f"{tmp_path / NAME}: 4 features of this graph are locked"]
    graph_file(tmp_path, both)
    line, _ = refusal(run_app, file, "graph", "lock")
    assert line == '  tick.mid@2 was dropped: write "... @3", or adopt tick.mid@2'
    assert any("mid@2" in line and "dropped" in line for line in write(run_app, file, "show"))
    assert write(run_app, file, "adopt", "tick.mid@2")[0] == "adopted  tick.mid@2"
    write(run_app, file, "lock")


def test_a_feature_can_be_adopted_and_a_name_that_is_none_is_told_the_nearest(
    run_app: App, tmp_path: Path
) -> None:
    write(run_app, graph_file(tmp_path), "lock")
    file = graph_file(tmp_path, OTHER_MID)
    near = run_app("graph", "adopt", "tick.mit", "-c", file, "--store", tmp_path / "history")
    assert near.error == "error: the graph has no feature tick.mit; tick.mid?"
    adopted = write(run_app, file, "adopt", "tick", "side.far")
    assert adopted[:3] == ["adopted  tick.mid@1", "adopted  tick.spread_bps@1", "adopted  side.far@1"]
    assert len(refusal(run_app, file, "graph", "lock")) == 2
    write(run_app, file, "adopt", "side")
    write(run_app, file, "lock")


OUTCOMES = """\
[graph.minutes]
kind = "bars"
from = "aligned"
every = { time = "1m" }
[graph.outcome]
kind = "label"
from = "minutes"
sign = { horizon = "5m", band = 0.001 }
"""


def test_what_labels_and_bars_give_is_locked_and_goes_by_another_name_where_it_is_another(
    run_app: App, tmp_path: Path
) -> None:
    added = write(run_app, graph_file(tmp_path, TICK + OUTCOMES), "lock")
    assert "added    minutes.close@1" in added
    assert "added    outcome.label@1" in added
    wider = TICK + OUTCOMES.replace("band = 0.001", "band = 0.002")
    first, *others = refusal(run_app, graph_file(tmp_path, wider), "graph", "lock")
    assert first == (
        "  outcome.label@1 meant sign of price close, horizon_ns 300000000000, band 0.001, "
        "now sign of price close, horizon_ns 300000000000, band 0.002: "
        "give outcome another name, or adopt outcome.label"
    )
    assert not any("minutes" in line for line in others)
    longer = TICK + OUTCOMES.replace('"1m"', '"2m"')
    lines = refusal(run_app, graph_file(tmp_path, longer), "graph", "lock")
    close = next(line for line in lines if line.startswith("  minutes.close@1"))
    assert "meant bars, every 1min, now bars, every 2min: give minutes another name" in close
    assert any(line.startswith("  outcome.label@1 is ") and "reads minutes.close" in line for line in lines)


def test_without_a_lock_nothing_is_refused_and_none_is_written(tmp_path: Path) -> None:
    settings = load_settings(graph_file(tmp_path))
    history = HistoryStore(tmp_path / "history")
    require_meanings(
        settings, join_of_days(settings, [history.day(name, DATE) for name in ("trade", "quote")])
    )
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< ours", "Invalid"),
        ('["tick.mid"]\nmeaning = "a"', "tick.mid is not node.column@version"),
        ('["tick.mid@1"]\nmeaning = "a"', "tick.mid@1 needs the texts formula, join and meaning"),
    ],
)
def test_a_file_that_is_no_lock_is_named(run_app: App, tmp_path: Path, text: str, message: str) -> None:
    file = graph_file(tmp_path)
    (tmp_path / NAME).write_text(text)
    error = run_app("graph", "lock", "-c", file, "--store", tmp_path / "history").error
    assert error.startswith(f"error: {tmp_path / NAME}: not a lock of a graph: {message}")


def test_a_day_of_history_and_the_topics_it_is_published_to_give_the_same_meanings(tmp_path: Path) -> None:
    settings = load_settings(graph_file(tmp_path))
    history = HistoryStore(tmp_path / "history")
    days = [history.day(name, DATE) for name in settings.stream_names]
    of_days = join_of_days(settings, days)
    of_topics = DayRun.on(MemoryBus(), days, tmp_path / "run", "other").pipeline.asof
    assert of_days.aligned_schema() == of_topics.aligned_schema()
    assert feature_meanings(settings, of_days) == feature_meanings(settings, of_topics)
    write_meanings(settings, of_days)
    require_meanings(settings, of_topics)
