"""A run says what its rows follow from, and what its folder holds is enough to run it again."""

import json
from pathlib import Path

import pytest

from app.config import Settings, load_settings
from app.day.record import RunRecord
from app.wiring.resolved import KEPT_MAX, keep_settings, settings_id
from tests.stage.graphs import TICK, graph_file
from tests.stage.programs import App

NEEDS_THE_DAY = """\
[pipeline]
clock = "known"
tolerance = "2s"
"""


def run(run_app: App, *words: object) -> list[str]:
    answer = run_app(*words)
    assert answer.code == 0, answer.err
    return [" ".join(line.split()) for line in answer.out.splitlines()]


@pytest.mark.parametrize(
    "way", [("backtest",), ("replay", "--bus", "embedded", "--workers", 2, "--shape", "record")]
)
def test_a_run_again_from_its_folder_alone_has_the_same_ids_and_the_same_rows(
    run_app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: tuple[object, ...]
) -> None:
    file = graph_file(tmp_path, NEEDS_THE_DAY + TICK)
    out = tmp_path / "out"
    words = ("--date", "2024-01-15", "--store", tmp_path / "history", "--config", file, "--out", out)
    lines = run(run_app, *way, *words, "--partitions", 3, "--carry", "column")
    first = json.loads((out / "summary.json").read_text())
    assert set(first["ids"]) == {"settings", "inputs", "graph"}
    assert any(line.startswith("follows from settings ") for line in lines)
    file.unlink()
    monkeypatch.chdir(tmp_path)
    again = run(run_app, way[0], "--again", out)
    second = json.loads((out / "again/summary.json").read_text())
    for same in ("ids", "hash", "parity", "rows_in", "rows_out", "clock", "partitions", "workers", "shape"):
        assert second[same] == first[same], same
    assert [line.endswith("as it was") for line in again[-2:]] == [True, True]


def test_rows_that_are_not_as_they_were_are_told_and_so_is_what_they_follow_from(
    run_app: App, tmp_path: Path
) -> None:
    file, out = graph_file(tmp_path), tmp_path / "out"
    words = ("--date", "2024-01-15", "--store", tmp_path / "history", "--out", out)
    run(run_app, "backtest", *words, "--config", file)
    settings = out / "tidemark.toml"
    settings.write_text(settings.read_text().replace("/ 2", "/ 4"))
    answer = run_app("backtest", "--again", out)
    assert answer.code == 1
    graph, of_settings = answer.out.find("graph is "), answer.out.find("settings is ")
    assert min(graph, of_settings) > 0
    tick = answer.out.splitlines()[-1]
    assert tick.startswith("tick: hash ")
    assert ", and it was " in tick


def test_what_is_no_run_is_said_in_one_line(run_app: App, tmp_path: Path) -> None:
    assert "name the folder of a run of one day" in run_app("backtest", "--again", tmp_path).error
    (tmp_path / "request.json").write_text('{"date": "2024-01-15"}')
    assert "request.json: not a run's record (" in run_app("replay", "--again", tmp_path).error
    both = run_app("backtest", "--again", tmp_path, "--date", "2024-01-15").error
    assert both == ("error: --again has the date and the settings of the run: leave --date and --config out")


def test_where_things_lie_is_not_in_an_id_and_what_decides_rows_is() -> None:
    plain = settings_id(Settings())
    for same in (
        {"pipeline": {"prefix": "other"}},
        {"bus": {"bootstrap": "elsewhere:9092", "schema_registry": "elsewhere"}},
        {"worker": {"state": "elsewhere", "slot": "3", "commit_interval_ms": 7}},
        {"metrics": {"port": 9464}},
        {"streams": {"trade": {"topic": "elsewhere"}}},
    ):
        given = Settings.model_validate({"streams": {"trade": {}}, **same})
        assert settings_id(given) == settings_id(Settings.model_validate({"streams": {"trade": {}}})), same
    for other in (
        {"pipeline": {"clock": "known"}},
        {"bus": {"partitions": 5}},
        {"worker": {"late": "drop"}},
        {"streams": {"trade": {"sequence": "number"}}},
        {"graph": {"tick": {"from": "aligned", "features": {"double": "price * 2"}}}},
    ):
        assert settings_id(Settings.model_validate(other)) != plain, other


def test_keys_of_nodes_that_came_later_leave_the_ids_of_settings_that_do_not_say_them() -> None:
    label = {"kind": "label", "from": "aligned", "bins": {"horizon_ns": 10, "max_ns": 20, "edges": [0.1]}}
    tick = {"from": "aligned", "features": {"a": "price"}}
    graph = {"name": "g", "tick": tick, "outcome": label}
    told = settings_id(Settings.model_validate({"graph": graph}))
    assert told == "fc5fa9847c56"  # as it was before there were `hours` and `q_ppm`
    said = {**graph, "tick": {**tick, "hours": "regular"}}
    assert settings_id(Settings.model_validate({"graph": said})) != told


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = RunRecord(
        date="2024-01-15",
        store="s",
        rows="r",
        wire=True,
        bus="kafka",
        shape="block",
        speed=None,
        workers=2,
        ids={"settings": "a"},
    )
    record.write(tmp_path)
    assert RunRecord.read(tmp_path) == record
    assert record.rows_folder(tmp_path, "tick") == Path("r/tick/day=2024-01-15")


def test_a_worker_keeps_its_settings_whole_by_their_id(tmp_path: Path) -> None:
    tables = {"worker": {"state": str(tmp_path)}, "pipeline": {"clock": "known", "tolerance_ns": 7}}
    settings = Settings.model_validate(tables)
    told = keep_settings(settings)
    folder = tmp_path / "tidemark"
    assert [path.name for path in folder.iterdir()] == [f"settings-{told}.toml"]
    again = load_settings(folder / f"settings-{told}.toml")
    assert (settings_id(again), again.pipeline.clock) == (told, "known")
    for number in range(KEPT_MAX + 3):
        other = tables | {"bus": {"partitions": 5 + number}}
        keep_settings(Settings.model_validate(other))
    assert len(list(folder.iterdir())) == KEPT_MAX
