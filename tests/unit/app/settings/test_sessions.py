"""The sessions of a venue in the settings: an anchor by a rule or by a calendar's name, and calendars."""

from pathlib import Path

import numpy as np
import pytest
import tomli_w

from app.config import load_settings
from app.day.request import run_settings
from app.errors import UsageError
from app.wiring.sessions import graph_sessions
from operators.sessions.sessions import DAYS_OF_UTC, OUTSIDE, Sessions

GRAPH = 'graph.tick.from = "aligned"\ngraph.tick.features = { x = "1.0" }\n'
ROWS = """\
from = 2024-01-01T05:00:00Z
to = 2024-01-06T00:00:00-05:00
sessions = [
  [2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z],
  [2024-01-03T09:30:00-05:00, 2024-01-03T21:00:00Z],
]
"""
TABLE = f"[calendars.xnys]\n{ROWS}"


def written(folder: Path, text: str, name: str = "my.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def sessions_of(folder: Path, text: str) -> Sessions:
    return graph_sessions(load_settings(written(folder, f"{GRAPH}{text}")))


def ids(sessions: Sessions, *times: str) -> list[int]:
    ids_ns = sessions.ids(np.array(times, dtype="datetime64[ns]").astype(np.int64))
    return [int(id_ns) for id_ns in ids_ns]


def start(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def test_without_an_anchor_sessions_are_days_of_utc(tmp_path: Path) -> None:
    assert sessions_of(tmp_path, "") is DAYS_OF_UTC


def test_an_anchor_can_be_hours_of_days(tmp_path: Path) -> None:
    rule = 'graph.anchor = { session = "09:30-16:00", timezone = "America/New_York", days = "Mon-Fri" }'
    sessions = sessions_of(tmp_path, rule)
    assert sessions.describe() == "session 09:30-16:00 Mon-Fri America/New_York"
    assert ids(sessions, "2024-01-16T15:00", "2024-01-13T15:00") == [start("2024-01-16T14:30"), OUTSIDE]


def test_an_anchor_can_be_a_table_of_the_settings(tmp_path: Path) -> None:
    sessions = sessions_of(tmp_path, f'graph.anchor = "xnys"\n{TABLE}')
    assert ids(sessions, "2024-01-03T20:00", "2024-01-04T15:00") == [start("2024-01-03T14:30"), OUTSIDE]
    assert sessions.describe() == "calendar xnys@1"


def test_an_anchor_can_be_a_table_in_a_file_whose_name_means_nothing(tmp_path: Path) -> None:
    def meaning(file: str, rows: str) -> str:
        path = written(tmp_path, rows, file)
        anchor = f'graph.anchor = "{path.stem}"\n[calendars.{path.stem}]\nfile = "{path}"'
        return sessions_of(tmp_path, anchor).meaning

    named = f'name = "XNYS"\nversion = 3\n{ROWS}'
    assert meaning("a.toml", named) == meaning("b.toml", named)
    longer = named.replace("2024-01-06T00:00:00-05:00", "2024-01-07T00:00:00Z")
    longer = longer.removesuffix("]\n") + "  [2024-01-05T14:30:00Z, 2024-01-05T21:00:00Z],\n]\n"
    assert meaning("a.toml", longer) == meaning("a.toml", named)
    assert meaning("a.toml", named.replace("3", "4", 1)) != meaning("a.toml", named)


def test_a_run_of_history_has_the_anchor_and_its_calendars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, ROWS, "rows.toml")
    text = f'{GRAPH}graph.anchor = "xnys"\n{TABLE}[calendars.other]\nfile = "rows.toml"'
    settings = load_settings(written(tmp_path, text))
    tables = run_settings(settings, [], prefix="p", bootstrap="", folder=tmp_path, grace_ns=None)
    copy = load_settings(written(tmp_path, tomli_w.dumps(tables), "copy.toml"))
    assert copy.graph.anchor == settings.graph.anchor
    assert copy.calendars["xnys"] == settings.calendars["xnys"]
    assert copy.calendars["other"].file == tmp_path / "rows.toml"


FORMS = 'expected the name of a calendar, or { session = "09:30-16:00", timezone = "America/New_York" }'
NO_ZONE = (
    "'America/Nwe_York' is no time zone that this machine knows: expected a name such as America/New_York, "
    "or UTC; if it is one, install the package tzdata"
)
NO_DAY = (
    "'Fry' is no day of the week: expected days as Mon-Fri or Mon,Wed,Fri, of Mon, Tue, Wed, Thu, Fri, Sat, "
    "Sun"
)
KEYS = "anchor has calendar, session, timezone, days"
ANCHORS = {
    "1": (f"graph.anchor: {FORMS}", "1"),
    '{ session = "09:30-16:00" }': (f"graph.anchor: timezone is missing: {FORMS}", None),
    '{ timezone = "UTC" }': (f"graph.anchor: session is missing: {FORMS}", None),
    "{}": (f"graph.anchor: {FORMS}", None),
    '{ session = "9:30-16:00", timezone = "UTC" }': (
        "graph.anchor.session = '9:30-16:00': expected hours from and to, as 09:30-16:00",
        '"9:30-16:00"',
    ),
    '{ session = "09:30-16:00", timezone = "America/Nwe_York" }': (
        f"graph.anchor.timezone = 'America/Nwe_York': {NO_ZONE}",
        '"America/Nwe_York"',
    ),
    '{ session = "09:30-16:00", timezone = "UTC", days = "Mon-Fry" }': (
        f"graph.anchor.days = 'Mon-Fry': {NO_DAY}",
        '"Mon-Fry"',
    ),
    '{ session = "09:30-16:00", timezone = 5 }': ("graph.anchor.timezone = 5: expected text in quotes", "5"),
    '{ session = "09:30-16:00", timzone = "UTC" }': (
        f"unknown key graph.anchor.timzone (did you mean timezone?); {KEYS}",
        '"UTC"',
    ),
    '"xyns"': (
        "graph.anchor: there is no calendar xyns (did you mean xnys?): write a table [calendars.xyns]",
        '"xyns"',
    ),
}


@pytest.mark.parametrize(("value", "told"), ANCHORS.items(), ids=list(ANCHORS))
def test_a_wrong_anchor_is_told_with_its_line_and_a_caret(
    tmp_path: Path, value: str, told: tuple[str, str | None]
) -> None:
    line = f"graph.anchor = {value}"
    file = written(tmp_path, f"{GRAPH}{line}\n{TABLE}")
    with pytest.raises(UsageError) as refused:
        load_settings(file)
    message, under = told
    first, code, caret = str(refused.value).splitlines()
    assert first == f"{file}:3  {message}"
    assert code == f"    {line}"
    under = value if under is None else under
    assert (caret.index("^") - 4, caret.count("^")) == (line.index(under), len(under))


MOMENT = "expected a moment with its zone, such as 2024-01-02T14:30:00Z"
CALENDARS = {
    ("14:30:00Z, 2024-01-02T21", "21:00:00Z, 2024-01-02T21"): (
        5,
        "sessions[0]: a session ends after it begins",
    ),
    ("2024-01-03T09:30:00-05:00", "2024-01-02T20:59:59Z"): (
        6,
        "sessions[1]: a session begins no earlier than the one before it ends",
    ),
    ("from = 2024-01-01", "from = 2024-01-03"): (
        5,
        "sessions[0]: a session of the table begins no earlier than its `from`",
    ),
    ("to = 2024-01-06", "to = 2024-01-03"): (
        6,
        "sessions[1]: a session of the table ends no later than its `to`",
    ),
    ("2024-01-02T21:00:00Z", "2024-01-02T21:00:00.5Z"): (
        5,
        "sessions[0]: a session begins and ends on whole seconds",
    ),
    ("2024-01-03T21:00:00Z", "2024-01-03T21:00:00"): (6, f"sessions[1][1]: {MOMENT}"),
    ("2024-01-03T21:00:00Z", "2024-01-03"): (6, f"sessions[1][1]: {MOMENT}"),
    ("2024-01-03T21:00:00Z", "'late'"): (6, f"sessions[1][1] = 'late': {MOMENT}"),
    (", 2024-01-03T21:00:00Z", ""): (
        6,
        "sessions[1][1]: expected from and to, as [2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z]",
    ),
    ("[2024-01-03T09:30:00-05:00, 2024-01-03T21:00:00Z]", "1"): (
        6,
        "sessions[1]: expected from and to, as [2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z]",
    ),
    ("from =", "version = 0\nfrom ="): (2, "version = 0: expected 1 or more"),
}


@pytest.mark.parametrize(("change", "told"), CALENDARS.items(), ids=[told for _, told in CALENDARS.values()])
def test_a_wrong_calendar_is_told_with_its_line_in_the_settings_and_in_a_file(
    tmp_path: Path, change: tuple[str, str], told: tuple[int, str]
) -> None:
    number, message = told
    inline = written(tmp_path, TABLE.replace(*change, 1))
    with pytest.raises(UsageError) as refused:
        load_settings(inline)
    first, _, caret = str(refused.value).splitlines()
    assert first == f"{inline}:{number}  calendars.xnys.{message}"
    assert "^" in caret
    rows = written(tmp_path, ROWS.replace(*change, 1), "rows.toml")
    with pytest.raises(UsageError) as refused:
        sessions_of(tmp_path, f'graph.anchor = "xnys"\n[calendars.xnys]\nfile = "{rows}"')
    assert str(refused.value).splitlines()[0] == f"{rows}:{number - 1}  calendars.xnys.{message}"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "calendars.x: expected a file, or sessions as [[2024-01-02T14:30:00Z, 2024-01-02T21:00:00Z]]"),
        ('file = "a.toml"\nversion = 2', "calendars.x.version: the file has it: leave it out here"),
        (
            "sesions = []",
            "unknown key calendars.x.sesions (did you mean sessions?); [calendars.NAME] has file, ",
        ),
    ],
)
def test_a_calendar_is_a_file_or_sessions(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(written(tmp_path, f"[calendars.x]\n{table}"))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "absent.toml cannot be read: No such file or directory; `python -m app calendar`"),
        ("from = ", "absent.toml is no valid TOML: "),
        ('file = "other.toml"', "absent.toml:1  calendars.x.file: a calendar's file holds its sessions"),
    ],
)
def test_a_file_that_is_no_calendar_is_named(tmp_path: Path, rows: str | None, message: str) -> None:
    if rows is not None:
        written(tmp_path, rows, "absent.toml")
    anchor = f'graph.anchor = "x"\n[calendars.x]\nfile = "{tmp_path / "absent.toml"}"'
    with pytest.raises(UsageError) as refused:
        sessions_of(tmp_path, anchor)
    assert message in str(refused.value)


def test_an_anchor_of_the_environment_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_GRAPH__ANCHOR__SESSION", "9-16")
    with pytest.raises(UsageError) as refused:
        load_settings(None)
    assert "environment (TIDEMARK_GRAPH__ANCHOR__SESSION): graph.anchor.session = '9-16'" in str(
        refused.value
    )
