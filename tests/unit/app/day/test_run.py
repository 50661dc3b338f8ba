"""What a day's run refuses before it has touched a broker."""

import signal
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from app.day.interruption import Interruption
from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.errors import UsageError
from tests.stage.day_runs import DATE, small_days


@pytest.mark.parametrize("variable", ["TIDEMARK_OUTPUTS__ALIGNED", "TIDEMARK_STREAMS__QUOTE__TOPIC"])
def test_a_topic_that_the_environment_names_is_refused_since_a_run_deletes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    small_days(tmp_path / "store")
    monkeypatch.setenv(variable, "md.mine")
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path / "out", bus="embedded")
    with pytest.raises(UsageError, match=f'= "md.mine": unset {variable}'):
        replay_day(request, lambda line: None)


@pytest.mark.parametrize(
    ("log_lasts", "told"), [(True, "goes on from here"), (False, "begins again: nothing is kept of this run")]
)
def test_a_run_that_is_stopped_says_what_the_same_command_does(log_lasts: bool, told: str) -> None:
    said: list[str] = []
    interruption = Interruption(said.append)
    interruption.log_lasts = log_lasts
    with pytest.raises(KeyboardInterrupt), interruption:
        raise KeyboardInterrupt
    assert said == [f"stopped: the same command {told}"]


class Anything:
    """What a weak reference can point at."""


def lose_ctrl_c() -> None:
    """Ctrl-C in a callback, from where nothing is raised; then work for ten seconds."""
    thing = Anything()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    assert reference() is None
    for _ in range(1_000):
        time.sleep(0.01)


def test_ctrl_c_that_python_drops_in_a_callback_stops_a_run_all_the_same() -> None:
    said: list[str] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker in this process has its own
    try:
        with pytest.raises(KeyboardInterrupt), Interruption(said.append):
            lose_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == ["stopped: the same command begins again: nothing is kept of this run"]


def test_a_run_says_by_which_tolerance_it_joins(tmp_path: Path) -> None:
    small_days(tmp_path / "store")
    said: list[str] = []
    asked = ReplayRequest(
        date=DATE, store=tmp_path / "store", out=tmp_path / "out", bus="embedded", tolerance_ns=2
    )
    replay_day(asked, said.append)
    assert any('joining on clock = "event", tolerance 2 ns, grace' in line for line in said)


def test_rows_of_an_output_that_a_folder_s_new_run_does_not_have_are_removed(tmp_path: Path) -> None:
    small_days(tmp_path / "store")
    graph = tmp_path / "graph.toml"
    graph.write_text('[graph.tick]\nfrom = "aligned"\nfeatures = { x = "1.0" }\nout = {}\n')
    out = tmp_path / "out"
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=out, bus="embedded", partitions=1)
    assert list(replay_day(replace(request, config=graph), lambda line: None).rows_out) == ["tick"]
    assert list((out / "tick").glob("*.parquet"))
    replay_day(request, lambda line: None)
    assert not (out / "tick").exists()
    assert list((out / "aligned").glob("*.parquet"))
