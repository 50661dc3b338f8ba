"""`graph ls`, `graph show --to` and `graph diff`: parts of a graph, and two of them compared."""

import subprocess
from pathlib import Path

import pytest

from tests.stage.graphs import TICK, graph_file
from tests.stage.programs import App

MORE = (
    TICK
    + """
[graph.other]
from = "aligned"
[graph.other.features]
half = "price / 2"
"""
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return graph_file(tmp_path, MORE)


def names(run_app: App, file: Path, *words: str) -> list[str]:
    answer = run_app("graph", "ls", *words, "-c", file, "--store", "history")
    assert answer.code == 0, answer.err
    return [line.split()[0] for line in answer.out.splitlines()[1:]]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        ("+side", ["tick", "side"]),
        ("tick+", ["tick", "side"]),
        ("side+", ["side"]),
        ("other,+side", ["tick", "other", "side"]),
        ("+tick+", ["tick", "side"]),
    ],
)
def test_a_selection_names_nodes_and_what_they_are_made_of_or_hangs_on_them(
    run_app: App, file: Path, selection: str, wanted: list[str]
) -> None:
    assert sorted(names(run_app, file, "--select", selection)) == sorted(wanted)


def test_changed_are_the_nodes_with_a_feature_that_the_lock_does_not_know_as_it_is(
    run_app: App, file: Path
) -> None:
    assert len(names(run_app, file)) == len(names(run_app, file, "--select", "@changed")) == 3
    assert run_app("graph", "lock", "-c", file, "--store", "history").code == 0
    assert names(run_app, file, "--select", "@changed") == []
    file.write_text(MORE.replace("price / 2", "price / 3"))
    assert names(run_app, file, "--select", "@changed") == ["other"]
    error = run_app("graph", "ls", "--select", "@new", "-c", file, "--store", "history").error
    assert error == "error: --select @new: there is @changed, and nodes as +NODE, NODE+ or NODE"
    error = run_app("graph", "ls", "--select", "+tik", "-c", file, "--store", "history").error
    assert error == "error: the graph has no node tik; tick?"


def test_a_graph_is_shown_up_to_a_node(run_app: App, file: Path) -> None:
    words = ("graph", "show", "-c", file, "--store", "history")
    whole, part = (run_app(*words, *more).out for more in ((), ("--to", "tick")))
    assert "signed" in whole
    assert "signed" not in part
    assert "half" not in part
    assert "  trade, quote -> aligned -> tick        out: tidemark.tick" in part.splitlines()


def test_a_difference_says_what_changed_what_it_needs_and_who_reads_it(run_app: App, file: Path) -> None:
    older = file.with_name("older.toml")
    older.write_text(MORE)
    words = ("graph", "diff", older, "-c", file, "--store", "history")
    same = run_app(*words).out.splitlines()
    assert same == [f"{older} -> {file}", "  every feature means what it did, and no output changes"]
    text = MORE.replace('/ mid"', '/ mid * 2 @2"', 1).replace('half = "price / 2"', 'fifth = "price / 5"')
    file.write_text(text.replace("[graph.tick.out]", 'vol = "rolling_std(mid, rows=20)"\n[graph.tick.out]'))
    lines = [" ".join(line.split()) for line in run_app(*words).out.splitlines()]
    assert lines[1:] == [
        "tick.spread_bps changed (* 2 added) now @2; no other column reads it",
        "tick.vol new rolling_std(mid, rows=20); needs 19 rows",
        "other.fifth new price / 5; needs nothing",
        "other.half gone was price / 2",
        "tidemark.tick gets a new layout: +vol",
    ]


def test_an_older_graph_comes_from_git(run_app: App, file: Path) -> None:
    folder = file.parent
    (folder / "history/keep").touch()

    def git(*words: str) -> None:
        told = ("-c", "user.name=a", "-c", "user.email=a@b", *words)
        subprocess.run(["git", "-C", str(folder), *told], check=True, capture_output=True)

    git("init", "-q")
    git("add", file.name)
    git("commit", "-q", "-m", "one")
    file.write_text(MORE.replace("price / 2", "price / 3"))
    words = ("graph", "diff", "-c", file, "--store", "history")
    lines = [" ".join(line.split()) for line in run_app(*words, "--git", "HEAD").out.splitlines()]
    assert lines[1:] == ["other.half changed (2 -> 3) still @1; no other column reads it"]
    assert run_app(*words, "--git", "HEAD~7").code == 2
    assert "a file, or a revision with --git HEAD~1" in run_app(*words).error
