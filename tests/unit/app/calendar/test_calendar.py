"""`calendar`: what is wrong with its words, and, where exchange_calendars is installed, real venues."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from app.config import load_settings
from app.wiring.sessions import graph_sessions, read_calendar
from operators.sessions.sessions import OUTSIDE, CalendarError
from tests.stage.programs import ROOT, App

needs_library = pytest.mark.skipif(
    find_spec("exchange_calendars") is None, reason="exchange_calendars is not installed"
)
GRAPH = 'graph.tick.from = "aligned"\ngraph.tick.features = { x = "1.0" }\n'


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--from", "2010", "--to", "20270"), "--to 20270: '20270' is not a date: write YYYY-MM-DD"),
        (("--from", "10", "--to", "2027"), "--from 10: '10' is not a date: write YYYY-MM-DD"),
        (("--from", "2027", "--to", "2010"), "--from 2027 is after --to 2010: exchange them"),
        (("--from", "1492", "--to", "2010"), "--from 1492: expected a year from 1900 to 2100"),
    ],
)
def test_years_that_are_none_are_told(run_app: App, words: tuple[str, ...], error: str) -> None:
    answer = run_app("calendar", "XNYS", *words)
    assert answer.code == 2
    assert error in answer.error


def test_without_the_library_it_is_said_how_to_get_it_and_what_there_is_besides(
    run_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    answer = run_app("calendar", "XNYS", "--from", "2010", "--to", "2027")
    assert answer.code == 2
    assert "not installed: pip install exchange_calendars; or write them into a table" in answer.error


@needs_library
def test_the_table_of_a_venue_has_its_holidays_and_shortened_days(run_app: App, tmp_path: Path) -> None:
    out = tmp_path / "xnys.toml"
    answer = run_app("calendar", "NYSE", "--from", "2024", "--to", "2024", "--out", out)
    wanted = f"{out}: 252 sessions from 2024-01-01T05:00:00Z to 2025-01-01T05:00:00Z, calendar XNYS@1"
    assert answer.out.strip() == wanted
    file = tmp_path / "my.toml"
    file.write_text(f'{GRAPH}graph.anchor = "us"\n[calendars.us]\nfile = "{out}"')
    sessions = graph_sessions(load_settings(file))
    times = ["2024-07-03T16:59", "2024-07-03T17:00", "2024-07-04T15:00", "2024-12-31T20:00"]
    times_ns = np.array(times, dtype="datetime64[ns]").astype(np.int64)
    starts = np.array(["2024-07-03T13:30", "2024-12-31T14:30"], dtype="datetime64[ns]").astype(np.int64)
    assert sessions.ids(times_ns).tolist() == [starts[0], OUTSIDE, OUTSIDE, starts[1]]
    with pytest.raises(CalendarError, match="python -m app calendar XNYS` and another --to"):
        sessions.ids(times_ns + 86_400 * 10**9)
    longer = run_app("calendar", "XNYS", "--from", "2023", "--to", "2025", "--out", out)
    assert "calendar XNYS@1" in longer.out


@needs_library
def test_sessions_over_night_are_of_their_day_and_the_next_one_is_not_known_of(
    run_app: App, tmp_path: Path
) -> None:
    out = tmp_path / "cmes.toml"
    assert run_app("calendar", "CMES", "--from", "2024-01-03", "--to", "2024-01-04", "--out", out).code == 0
    table = read_calendar(out, "cmes")
    assert [f"{begin:%d %H:%M} {end:%d %H:%M}" for begin, end in table.sessions] == [
        "02 23:00 03 23:00",
        "03 23:00 04 23:00",
    ]
    assert (table.from_, table.to) == (table.sessions[0][0], table.sessions[-1][1])


@needs_library
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("XNY", "--from", "2024", "--to", "2024"), "exchange_calendars has no calendar XNY; XNYS?"),
        (
            ("XKRX", "--from", "2051", "--to", "2051"),
            "has no sessions of XKRX from 2051-01-01 to 2051-12-31:",
        ),
        (("XNYS", "--from", "2024-01-06", "--to", "2024-01-07"), "XNYS has no session from 2024-01-06 to"),
    ],
)
def test_what_the_library_does_not_have_is_told(run_app: App, words: tuple[str, ...], error: str) -> None:
    answer = run_app("calendar", *words)
    assert answer.code == 2
    assert error in answer.error


def test_a_worker_reads_a_calendar_without_pandas_and_without_the_library(tmp_path: Path) -> None:
    rows = "sessions = [[2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z]]"
    file = tmp_path / "my.toml"
    file.write_text(f'{GRAPH}graph.anchor = "us"\n[calendars.us]\n{rows}')
    script = (
        "import sys; from pathlib import Path; "
        "from schemas.without_pandas import hide_pandas; hide_pandas(); "
        "from app.config import load_settings; from app.wiring.sessions import graph_sessions; "
        "import app.commands.align; "
        "print(graph_sessions(load_settings(Path(sys.argv[1]))).describe(), "
        "sorted({'pandas', 'exchange_calendars', 'app.calendar'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(file)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "calendar us@1 []"
