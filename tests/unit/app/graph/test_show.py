"""`graph show`: the whole graph on one screen, without a broker."""

import json
import re
from pathlib import Path

import pytest

from tests.stage.day_runs import DayRun, small_days
from tests.stage.graphs import TICK, graph_file
from tests.stage.programs import App
from topics.memory.bus import MemoryBus


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return graph_file(tmp_path)


def test_the_screen_has_the_chain_its_topics_and_a_line_for_each_feature(run_app: App, file: Path) -> None:
    answer = run_app("graph", "show", "-c", file, "--store", "history")
    assert answer.code == 0, answer.err
    first, chain, header, *rows = answer.out.splitlines()
    assert first.startswith("equities ")
    assert first.endswith(
        "· clock event · anchor days of UTC · 4 partitions · columns of 2024-01-15 in history"
    )
    assert chain == "  trade, quote -> aligned -> tick -> side        out: tidemark.tick"
    assert header.split() == ["memory", "needs", "bits", "hang", "on", "meaning"]
    named = {words[0]: words[1:] for row in rows if (words := row.split())}
    assert named["mid"][:4] == ["row", "nothing", "the", "row"]
    assert len(named["mid"][4]) == 6
    assert set(named) >= {"tick", "mid", "spread_bps", "side", "signed", "far"}


def test_one_node_is_shown_with_the_formulas_it_computes(run_app: App, file: Path) -> None:
    answer = run_app("graph", "show", "side", "-c", file, "--store", "history")
    assert "  far     double  log(price / mid)" in answer.out
    assert "spread_bps" not in answer.out
    assert run_app("graph", "show", "tik", "-c", file, "--store", "history").error.endswith(
        "the graph has no node tik; tick?"
    )


def test_json_has_whole_meanings_and_what_programs_need(run_app: App, file: Path) -> None:
    fields = json.loads(run_app("graph", "show", "-c", file, "--store", "history", "--json").out)
    tick, side = fields["nodes"]
    assert (tick["from"], tick["topic"], side["topic"]) == ("aligned", "tidemark.tick", None)
    mid = tick["features"][0]
    assert (mid["name"], mid["version"], mid["type"], mid["memory"]) == ("mid", 1, "double", "row")
    assert len(mid["meaning"]) == 16


def test_the_anchor_is_shown_as_it_is_declared(run_app: App, file: Path) -> None:
    words = ("graph", "show", "-c", file, "--store", "history")
    before = json.loads(run_app(*words, "--json").out)
    rule = 'anchor = { session = "09:30-16:00", timezone = "America/New_York", days = "Mon-Fri" }'
    file.write_text(file.read_text().replace("[graph]", f"[graph]\n{rule}", 1))
    assert "· anchor session 09:30-16:00 Mon-Fri America/New_York ·" in run_app(*words).out
    after = json.loads(run_app(*words, "--json").out)
    assert len(after["anchor"]["meaning"]) == 16
    assert after["anchor"]["meaning"] != before["anchor"]["meaning"]
    assert after["meaning"] == before["meaning"], "no feature begins anew with a session"


def test_a_lock_says_of_each_feature_whether_it_is_as_it_was(run_app: App, file: Path) -> None:
    words = ("-c", file, "--store", "history")
    assert "graph.lock" not in run_app("graph", "show", *words).out
    run_app("graph", "lock", *words)
    file.write_text(file.read_text().replace('mid)"', 'mid * 2) @2"').replace("* size", "* size * 2"))
    rows = [line.split() for line in run_app("graph", "show", *words).out.splitlines()]
    lock = {row[0]: row[-1] for row in rows}
    assert (lock["mid"], lock["signed"], lock["far@2"]) == ("same", "changed", "new")


def test_columns_come_from_the_registry_where_it_has_them(run_app: App, file: Path, tmp_path: Path) -> None:
    days = small_days(tmp_path / "other")
    DayRun.on(MemoryBus(), days, tmp_path / "run", "tidemark")  # registers under run/schemas
    where = tmp_path / "run/schemas"
    file.write_text(f'{TICK}[bus]\nschema_registry = "{where}"\n')
    answer = run_app("graph", "show", "-c", file)
    assert (answer.code, answer.out.splitlines()[0].count("·")) == (0, 3)


def test_columns_that_nobody_knows_are_told_with_what_to_do(run_app: App, file: Path) -> None:
    error = run_app("graph", "show", "-c", file).error
    assert "no schema is registered under tidemark.trade-value" in error
    assert "no day of them in the history at build/history/generated" in error
    assert "python -m replay generate" in error


def test_errors_of_the_graph_and_a_missing_graph_are_told(run_app: App, tmp_path: Path) -> None:
    bad = graph_file(tmp_path, TICK.replace("quote_ask_price) / 2", "quote_ask) / 2"))
    words = ("graph", "show", "-c", bad, "--store", tmp_path / "history")
    assert f"{bad}:6  tick.mid: aligned has no column quote_ask" in run_app(*words).err
    bad.write_text("")
    assert run_app(*words).error == f"error: {bad}: there is no graph, no table [graph.NAME] with features"


LOOKS_BACK = (
    TICK
    + """\
ret = "log_return(mid, '1m')"
mean = "rolling_mean(log_return(mid, rows=1), '5m')"
last = "rolling_sum(size, rows=100)"
aged = "ewma(mean, span=20)"
ever = "ewma(mid, span=20, memory='genesis')"
"""
)


def test_memory_needs_and_what_a_restart_takes_are_shown(run_app: App, tmp_path: Path) -> None:
    file = graph_file(tmp_path, LOOKS_BACK)
    words = ("graph", "show", "-c", file, "--store", tmp_path / "history")
    answer = run_app(*words)
    lines = answer.out.splitlines()
    named = {line.split()[0]: re.split(r" {2,}", line.strip())[1:4] for line in lines[3:-2]}
    assert named["signed"] == ["row", "nothing", "the row"]
    assert named["ret"] == ["window 1 min", "1 min and 1 row", "the window"]
    assert named["mean"] == ["window 5 min", "5 min and 1 row", "the window"]
    assert named["last"] == ["window 100 rows", "99 rows", "the window"]
    since = "rows since the session began"
    assert named["aged"] == ["since session", f"{since}, and 5 min and 1 row", since]
    assert named["ever"] == ["since genesis", "all rows of the symbol", "all rows of the symbol"]
    assert lines[-2] == (
        "  context of the graph: 5 min and 99 rows of a symbol; side.aged on rows since the session began; "
        "side.ever on all rows of the symbol"
    )
    assert lines[-1] == "  restart without local state: read again is all of tidemark.aligned"
    side = json.loads(run_app(*words, "--json").out)["nodes"][1]
    ret = next(one for one in side["features"] if one["name"] == "ret")
    assert (ret["memory"], ret["needs_rows"], ret["needs_ns"], ret["since"]) == (
        "window", 1, 60 * 10**9, None,
    )  # fmt: skip
    file.write_text(LOOKS_BACK[: LOOKS_BACK.index("ever = ")])
    assert run_app(*words).out.splitlines()[-1] == (
        "  restart without local state: read again is tidemark.aligned from the start of the session of the "
        "last commit, with 5 min and 99 rows of each symbol before it"
    )


FLOW = """\
[graph.flow]
from = "quote"
[graph.flow.features]
wide = "ask_price - bid_price"
mean_5s = "rolling_mean(wide, '5s')"
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
[graph.joined]
kind = "asof"
from = "tick"
right = ["flow"]
tolerance = "2s"
columns = { flow = ["mean_5s"] }
[graph.late_by]
from = "joined"
[graph.late_by.features]
late = "flow_mean_5s > 1.0"
[graph.late_by.out]
"""


def test_a_graph_that_reads_a_stream_shows_its_chains_and_what_it_looks_up(
    run_app: App, file: Path, tmp_path: Path
) -> None:
    flow = graph_file(tmp_path, FLOW, "flow.toml")
    answer = run_app("graph", "show", "-c", flow, "--store", "history")
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[1:3] == [
        "  trade, quote -> aligned -> tick -> joined (flow) -> late_by        out: tidemark.late_by",
        "  quote -> flow        into: joined",
    ]
    named = {words[0]: words[1:] for row in lines[4:] if (words := row.split())}
    assert named["flow"][:4] == ["window", "2", "s", "2"]
    assert named["late"][:3] == ["window", "7", "s"]
    assert lines[-1].endswith("what they remember is in tidemark.state; rows since then are read again")
    json_ = json.loads(run_app("graph", "show", "-c", flow, "--store", "history", "--json").out)
    assert {node["name"]: node["right"] for node in json_["nodes"]}["joined"] == ["flow"]


OUTCOME = (
    TICK
    + """\
[graph.outcome]
kind = "label"
from = "tick"
fixed_horizon = { price = "mid", horizon = "5m" }
[graph.outcome.out]
"""
)


def test_a_label_is_shown_with_the_rows_it_waits_for(run_app: App, file: Path, tmp_path: Path) -> None:
    labels = graph_file(tmp_path, OUTCOME, "labels.toml")
    answer = run_app("graph", "show", "-c", labels, "--store", "history")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.out.splitlines() if "fixed_horizon" in line]
    assert re.split(r" {2,}", line.strip()) == [
        "fixed_horizon of mid",
        "held 5 min",
        "rows up to 5 min after it",
        "the row, and those after it",
    ]
    nodes = json.loads(run_app("graph", "show", "-c", labels, "--store", "history", "--json").out)["nodes"]
    assert [node["labels"][:2] for node in nodes if node["name"] == "outcome"] == [["label", "label_end_ns"]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('horizon = "5m"', 'horizon_ns = "5m"', 'horizon = "5min"'),
        ('horizon = "5m"', 'horizon = "5m", horizen = 5', "unknown key graph.outcome.fixed_horizon.horizen"),
        ('horizon = "5m"', "horizon_rows = 5", "outcome: horizon_rows needs max_ns, as max = \"1d\""),
        ('"mid"', '"mod"', "outcome: there is no column mod; mid?"),
        ("[graph.outcome.out]", "[graph.outcome.out]\nserve = true", "unknown key graph.outcome.out.serve"),
        ("fixed_horizon", "fixed_horizons", "unknown key graph.outcome.fixed_horizons (did you mean fixed_h"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_label_is_told(
    run_app: App, file: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    labels = graph_file(tmp_path, OUTCOME.replace(old, new, 1), "labels.toml")
    answer = run_app("graph", "show", "-c", labels, "--store", "history")
    assert answer.code == 2
    assert message in answer.err
