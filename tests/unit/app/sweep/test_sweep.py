"""Variants give the rows of a backtest with their settings, and what is equal among them is computed once."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.reading.row_files import read_rows
from app.sweep import node_rows, root_rows
from app.sweep.cache import Cache
from tests.stage.graphs import graph_file
from tests.stage.programs import App

pytestmark = pytest.mark.takes_s(60)

GRAPH = """\
[pipeline]
tolerance = "10s"
[graph]
name = "swept"
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
vol = "rolling_std(mid, rows=20)"
[graph.tick.out]
status = "column"
[graph.bars]
kind = "bars"
from = "tick"
every = { trades = 10 }
[graph.bars.features]
mean_vol = "mean(vol)"
[graph.bars.out]
[graph.flow]
from = "quote"
[graph.flow.features]
thin = "rolling_sum(bid_size, rows=3)"
[graph.seen]
kind = "asof"
from = "tick"
right = ["flow"]
columns = { flow = ["thin"] }
[graph.seen.out]
"""
VARIANTS = """\
[plain]
[longer]
graph.tick.features.vol = "rolling_std(mid, rows=30)"
[larger.graph.bars]
every = { trades = 25 }
[nearer]
"pipeline.tolerance" = "1s"
[wider]
graph.flow.features.thin = "rolling_sum(bid_size, rows=5)"
"""
OUTPUTS = ("tick", "bars", "seen")


class Day:
    """A small day, its graph, and sweeps of it with one cache."""

    def __init__(self, run_app: App, folder: Path) -> None:
        self._run_app = run_app
        self.folder = folder
        self.file = graph_file(folder, GRAPH)
        self._words = ("--date", "2024-01-15", "--store", folder / "history", "--partitions", 3)

    def backtest(self, out: str, *words: object, config: Path | None = None) -> str:
        answer = self._run_app(
            "backtest", *self._words, "-c", config or self.file, "--out", self.folder / out, *words
        )
        assert answer.code == 0, answer.err
        return answer.out

    def sweep(self, out: str, *words: object) -> dict[str, dict[str, Any]]:
        self.backtest(out, "--cache", self.folder / "cache", *words)
        told = json.loads((self.folder / out / "sweep.json").read_text())
        return {one["variant"]: one for one in told["results"]}

    def error(self, *words: object) -> str:
        answer = self._run_app(
            "backtest", *self._words, "-c", self.file, "--out", self.folder / "none", *words
        )
        assert answer.code == 2, answer
        return answer.err


@pytest.fixture
def day(run_app: App, tmp_path: Path) -> Day:
    return Day(run_app, tmp_path)


def test_each_variant_has_the_rows_of_a_backtest_with_its_settings(day: Day) -> None:
    (day.folder / "sweep.toml").write_text(VARIANTS)
    done = day.sweep("swept", "--variants", day.folder / "sweep.toml")
    assert done["plain"]["known"] == []
    assert done["longer"]["known"] == ["aligned", "quote", "flow"]
    assert done["larger"]["computed"] == ["bars"]
    assert done["nearer"]["computed"][:1] == ["aligned"]
    assert done["wider"]["computed"] == ["flow", "seen"]
    ids = {name: (one["settings"], one["graph"]) for name, one in done.items()}
    assert len({of for of, _ in ids.values()}) == len(done)
    assert len({of for _, of in ids.values()}) == len(done)
    for name in done:
        settings = day.folder / "swept" / name / "tidemark.toml"
        day.backtest(f"alone/{name}", config=settings)
        alone = json.loads((day.folder / "alone" / name / "summary.json").read_text())
        assert alone["audit_violations"] == 0
        assert alone["ids"]["settings"] == done[name]["settings"]
        for output in OUTPUTS:
            once = read_rows(day.folder / "alone" / name / output)
            assert read_rows(day.folder / "swept" / name / output).equals(once), (name, output)
            assert done[name]["rows"][output] == once.num_rows == alone["rows_out"][output]


def test_known_bars_are_of_the_session_that_they_end(day: Day) -> None:
    """The last bar of a session ends where the next one begins, and is none of its rows."""
    folded = """\
[graph]
anchor = { session = "09:30-16:00", timezone = "America/New_York" }
[graph.bars]
kind = "bars"
from = "aligned"
every = { time = "1h" }
[graph.folded]
from = "bars"
features = { so_far = "cumsum(count, reset='session')", more = "count + 1" }
[graph.folded.out]
columns = ["bar_no", "so_far"]
"""
    file = graph_file(day.folder, folded, "folded.toml")
    words = ("--cache", day.folder / "cache", "--set")
    day.backtest("first", *words, "graph.folded.features.more=count + 2", config=file)
    day.backtest("second", *words, "graph.folded.features.more=count + 3", config=file)
    told = json.loads((day.folder / "second" / "sweep.json").read_text())["results"]
    assert told[-1]["known"][-1] == "bars"
    rows = [read_rows(day.folder / name / "set" / "folded") for name in ("first", "second")]
    assert rows[1].equals(rows[0])


def test_what_is_known_is_not_computed_again(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--set", "graph.tick.features.vol=rolling_std(mid, rows=25)")
    first = day.sweep("first", *words)["set"]

    def never(*_: object) -> None:
        raise AssertionError("it is known")

    monkeypatch.setattr(root_rows, "_joined", never)
    monkeypatch.setattr(node_rows, "make_node", never)
    second = day.sweep("second", *words)["set"]
    assert (second["parity"], second["rows"]) == (first["parity"], first["rows"])
    assert (second["computed"], set(second["known"])) == ([], {"aligned", "quote", *OUTPUTS})
    table = day.backtest("third", "--cache", day.folder / "cache", *words).splitlines()
    assert table[0].split()[:3] == ["variant", "date", "settings"]
    assert [line.split()[4] for line in table[1:]] == list(OUTPUTS)


def test_a_cache_that_is_full_or_damaged_changes_no_row(day: Day) -> None:
    words = ("--set", "graph.bars.every={ trades = 7 }")
    first = day.sweep("first", *words)["set"]
    cache = day.folder / "cache"
    for path in list(cache.iterdir())[::2]:
        path.write_bytes(path.read_bytes()[:-3])
    (cache / "0.arrow.0.unfinished").write_bytes(b"cut off")
    os.utime(cache / "0.arrow.0.unfinished", (0, 0))
    second = day.sweep("second", *words)["set"]
    assert second["parity"] == first["parity"]
    third = day.sweep("third", *words, "--cache-mib", 0)["set"]
    assert third["parity"] == first["parity"]
    assert list(cache.iterdir()) == []
    assert day.sweep("fourth", *words)["set"]["known"] == []


def test_the_cache_removes_what_was_used_longest_ago(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / f"{number}.arrow"
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
    assert Cache.open(tmp_path, 250).trim() == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.arrow", "3.arrow"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "graph.tick.features.vul=price",
            "variant set, graph.tick.features.vul: tick has no feature vul; vol?",
        ),
        (
            "graph.tik.features.vol=price",
            "variant set, graph.tik.features.vol: the settings have no tik there",
        ),
        ("pipeline.tolerence=1s", "variant set: "),
        ("graph.tick.features.vol=rolling_std(mid, 5)", "rolling_std"),
        ("graph.tick.features.vol", "write it as KEY=VALUE"),
        ("worker.late=perhaps", "variant set: "),
        ("pipeline.left=quote", "variant set"),
    ],
)
def test_a_key_or_a_value_that_is_wrong_is_said_in_one_line(day: Day, change: str, words: str) -> None:
    assert words in day.error("--set", change)
    assert not (day.folder / "none" / "set" / "tick").exists()


def test_a_file_of_variants_that_is_wrong_is_said_in_one_line(day: Day) -> None:
    file = day.folder / "sweep.toml"
    for text, words in (
        ("", "there is no variant, no table [NAME]"),
        ('["../up"]\n', "names a folder"),
        ("one = 1\n", "one is no variant, which is a table: [one]"),
        ("[one\n", "not valid TOML"),
    ):
        file.write_text(text)
        assert words in day.error("--variants", file)
    assert "cannot be read" in day.error("--variants", day.folder / "nowhere.toml")
