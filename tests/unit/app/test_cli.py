"""Every mistake is one clear line and exit code 2, and leaves nothing half done."""

import gc
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from queue import Queue

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.cli import app, moment_ns
from app.commands import align
from app.errors import UsageError
from tests.stage.programs import ROOT, App
from tests.stage.typed import examples, helps, reached

pytestmark = pytest.mark.takes_s(40)

NOON_NS = 1_705_338_000_000_000_000  # of 2024-01-15 in New York
COMMANDS = [
    "align",
    "audit",
    "backtest",
    "export",
    "calendar",
    "replay",
    "topics plan",
    "topics apply",
    "watermarks",
    "doctor",
]
COMMANDS += ["topics infer", "topics repartition", "publish", "capture", "sql", "serve"]
COMMANDS += ["dead list", "dead show", "dead replay", "dead summary"]
COMMANDS += ["late list", "late show", "late summary", "progress", "reset"]
COMMANDS += [
    f"graph {name}"
    for name in ["show", "plan", "lock", "adopt", "check", "functions", "open", "fit", "models", "ls"]
]
COMMANDS += [f"graph {name}" for name in ["diff", "drop", "capture", "replay"]]
COMMANDS += ["kafka start", "kafka stop", "kafka status", "kafka address"]
COMMANDS += ["config diff", "upgrade-check", "group export", "group import", "drain"]
COMMANDS += ["exporter", "dashboards grafana", "dashboards rules", "dashboards metrics"]
ASKING_A_BROKER = ["align", "audit", "topics plan", "topics apply", "watermarks", "dead list", "dead replay"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of two good files with one row each."""
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "trades", event_ns=[NOON_NS], symbol=["A"], price=[1.0])
    write(folder, "quotes", event_ns=[NOON_NS - 1], symbol=["A"], bid=[0.9])
    return folder


def write(folder: Path, name: str, **columns: object) -> None:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


@pytest.fixture
def replay_error(run_app: App, tmp_path: Path, data: Path) -> "ReplayError":
    return ReplayError(run_app, tmp_path, data)


class ReplayError:
    """Runs a replay that is refused, and returns the one line with which it ends."""

    def __init__(self, run_app: App, folder: Path, data: Path) -> None:
        self._run_app = run_app
        self._folder = folder
        self._asked = {"--date": "2024-01-15", "--data": data, "--bus": "embedded"}

    def __call__(self, **changed: object) -> str:
        """`changed` replaces flags of a good command; None leaves one out."""
        flags = self._asked | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
        words = [
            word
            for flag, value in flags.items()
            if value is not None
            for word in ((flag,) if value is True else (flag, value))
        ]
        out, store = self._folder / "out", self._folder / "history"
        answer = self._run_app("replay", *words, "--out", out, "--store", store)
        assert answer.code == 2, answer
        assert not out.exists()
        return answer.error


def test_a_good_command_leaves_rows_and_a_summary(run_app: App, data: Path, tmp_path: Path) -> None:
    asked = ["--date", "2024-01-15", "--data", data, "--store", tmp_path / "history", "--bus", "embedded"]
    answer = run_app("replay", *asked, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert (tmp_path / "out/summary.json").exists()
    (rows,) = (pq.read_table(f) for f in (tmp_path / "out/aligned").iterdir() if pq.read_metadata(f).num_rows)
    assert rows.column("quote_bid").to_pylist() == [0.9]


@pytest.mark.parametrize("date", ["2024-1-15", "15.01.2024", "2024-02-30", "yesterday", ""])
def test_a_date_in_another_form_is_refused(replay_error: ReplayError, date: str) -> None:
    assert replay_error(date=date) == f"error: --date {date!r} is not a date; write it as YYYY-MM-DD"


@pytest.mark.parametrize("sign", [":", "/", ","])
def test_days_parted_by_another_sign_are_refused_with_the_right_one(
    replay_error: ReplayError, sign: str
) -> None:
    assert replay_error(date=f"2024-01-15{sign}2024-01-19").endswith("several days as 2024-01-15..2024-01-19")


def test_a_date_the_history_lacks_is_answered_with_those_it_has(replay_error: ReplayError) -> None:
    assert replay_error(date="2024-01-16").endswith("it has 2024-01-15")


def test_a_day_without_trades_is_refused(replay_error: ReplayError, data: Path) -> None:
    (data / "trades.parquet").unlink()
    assert "2024-01-15 has quote but no trade in the history at " in replay_error()


def test_a_day_without_quotes_is_joined_with_nulls_and_the_run_says_so(
    run_app: App, data: Path, tmp_path: Path
) -> None:
    (data / "quotes.parquet").unlink()
    typed = ["--date", "2024-01-15", "--data", data, "--store", tmp_path / "history", "--bus", "embedded"]
    answer = run_app("replay", *typed, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "quote: no rows on 2024-01-15, so nothing has a match in it" in answer.err
    (rows,) = (pq.read_table(f) for f in (tmp_path / "out/aligned").iterdir() if pq.read_metadata(f).num_rows)
    assert rows.column("quote_event_ns").null_count == rows.num_rows > 0


def test_a_folder_that_is_not_there_is_named(replay_error: ReplayError) -> None:
    assert "--data nowhere: no such folder" in replay_error(data="nowhere")


def test_a_folder_without_the_files_is_named(replay_error: ReplayError, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds neither trades*.parquet nor quotes*.parquet" in replay_error(data=tmp_path / "empty")


def test_a_file_without_a_time_is_refused_with_the_names_a_time_may_have(
    replay_error: ReplayError, data: Path
) -> None:
    write(data, "quotes", moment=[NOON_NS], symbol=["A"], bid=[0.9])
    told = replay_error()
    assert "quotes.parquet" in told
    assert "event_ns" in told
    assert "name another with --event or --known" in told
    assert "name another with EVENT= or KNOWN=" in replay_error(from_make="DATA")


def test_a_file_without_a_symbol_is_refused(replay_error: ReplayError, data: Path) -> None:
    write(data, "quotes", event_ns=[NOON_NS], bid=[0.9])
    assert "quotes.parquet has no column 'symbol'" in replay_error()


@pytest.mark.parametrize(("column", "value"), [("event_ns", "noon"), ("event_ns", 1.5), ("symbol", 7)])
def test_a_column_of_another_type_is_named_with_both_types(
    replay_error: ReplayError, data: Path, column: str, value: object
) -> None:
    good: dict[str, object] = {"event_ns": [NOON_NS], "symbol": ["A"], "price": [1.0]}
    write(data, "trades", **(good | {column: [value]}))
    told = replay_error()
    assert "trades.parquet" in told
    assert column in told


def test_a_file_that_is_no_parquet_is_named(replay_error: ReplayError, data: Path) -> None:
    (data / "trades.parquet").write_text("event_ns,symbol")
    assert "trades.parquet cannot be read as Parquet" in replay_error()


@pytest.mark.parametrize("speed", ["fast", "0", "-1", "nan", "inf"])
def test_a_speed_that_is_none_is_refused(replay_error: ReplayError, speed: str) -> None:
    assert f"speed '{speed}' must be max, or how many times faster" in replay_error(speed=speed)


def test_the_embedded_bus_and_a_broker_exclude_each_other(replay_error: ReplayError) -> None:
    assert "--bus embedded and --bootstrap exclude each other" in replay_error(bootstrap="127.0.0.1:9092")


def test_a_replay_to_a_broker_that_is_away_makes_nothing(
    replay_error: ReplayError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.wiring.broker.CHECK_MS", 300)
    told = replay_error(bus=None, bootstrap="127.0.0.1:1")
    assert "no Kafka broker answers at 127.0.0.1:1 (waited 0." in told


def test_a_clock_the_day_lacks_is_named(replay_error: ReplayError) -> None:
    assert "known_ns" in replay_error(clock="known")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("tolerance_ns", -1), ("grace_ns", -1), ("partitions", 0), ("workers", 0), ("clock", "wall")],
)
def test_a_value_out_of_range_is_refused_with_its_flag(
    replay_error: ReplayError, flag: str, value: object
) -> None:
    assert f"--{flag.replace('_', '-')}" in replay_error(**{flag: value})


def test_a_grace_below_the_disorder_is_refused_with_both_figures(
    replay_error: ReplayError, data: Path
) -> None:
    rows = {"event_ns": [NOON_NS, NOON_NS - 9_000], "known_ns": [NOON_NS, NOON_NS + 1]}
    write(data, "trades", **rows, symbol=["A", "A"], price=[1.0, 2.0])
    write(data, "quotes", **rows, symbol=["A", "A"], bid=[1.0, 2.0])
    assert "grace_ns 10 does not cover the disorder on clock 'event'" in replay_error(grace_ns=10)


def test_an_unknown_key_of_the_file_is_named_with_those_there_are(
    replay_error: ReplayError, tmp_path: Path
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[worker]\nspeed = 3")
    told = replay_error(config=config)
    assert "mine.toml: unknown key worker.speed; [worker] has slot, format" in told


def test_settings_that_no_audit_could_check_are_refused(replay_error: ReplayError, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[worker]\nlate = 'drop'")
    assert 'say worker.late = "side"' in replay_error(config=config)


def test_an_output_folder_that_is_a_file_is_refused(run_app: App, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    asked = ["--date", "2024-01-15", "--data", data, "--store", tmp_path / "history", "--bus", "embedded"]
    answer = run_app("replay", *asked, "--out", tmp_path / "out")
    assert answer.code == 2
    assert f"--out {tmp_path / 'out'} is a file: name a folder" in answer.error
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("command", ASKING_A_BROKER)
def test_a_broker_that_is_away_is_named_with_how_long_it_was_waited_for(
    run_app: App, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.wiring.broker.CHECK_MS", 300)
    answer = run_app(*command.split(), "--bootstrap", "127.0.0.1:1")
    assert answer.code == 2
    assert "no Kafka broker answers at 127.0.0.1:1 (waited 0." in answer.error


@pytest.mark.parametrize(
    ("setting", "told"),
    [("nonsense", 'No such configuration property: "nonsense"'), ("group.id", "is fixed")],
)
def test_a_kafka_setting_that_cannot_be_is_refused_by_name(
    run_app: App, tmp_path: Path, setting: str, told: str
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(f"[bus]\nkafka = {{'{setting}' = '1'}}")
    answer = run_app("topics", "plan", "--config", config)
    assert answer.code == 2
    assert told in answer.error


def test_a_worker_that_is_refused_in_this_process_leaves_it_as_it_was(run_app: App) -> None:
    def state() -> tuple[object, ...]:
        return gc.isenabled(), gc.get_freeze_count(), list(sys.meta_path), signal.getsignal(signal.SIGTERM)

    before = state()
    assert run_app("align", "--brokers", "x").code == 2
    assert state() == before


def test_an_unknown_command_or_flag_is_one_line(run_app: App) -> None:
    assert "No such command 'allign'" in run_app("allign").error
    assert "No such option: --brokers" in run_app("align", "--brokers", "x").error
    assert "which day?  Say --date YYYY-MM-DD, or several as --date FIRST..LAST" in run_app("replay").error


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_that_can_be_typed(run_app: App, command: str) -> None:
    answer = run_app(*command.split(), "--help")
    assert answer.code == 0
    printed = " ".join(answer.out.replace("│", " ").split())
    shown = examples(helps(app)[command])
    assert shown
    for words in shown:
        assert words[:3] == ["python", "-m", "app"]
        assert reached(app, words[3:]) == command
        assert f"Example: {shlex.join(words)}" in printed.replace('"', "'")


def test_no_command_at_all_is_answered_with_all_of_them(run_app: App) -> None:
    answer = run_app()
    assert answer.code == 0
    assert set(helps(app)) == set(COMMANDS)
    assert all(command.split()[0] in answer.out for command in COMMANDS)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (["DATE=2024-1-15"], "error: DATE='2024-1-15' is not a date; write it as YYYY-MM-DD"),
        (["DATE=2024-01-15", "BUS=embedded", "SPEED=fast"], "error: speed 'fast' must be max"),
        ([], "error: which day?  Say DATE=YYYY-MM-DD, or several as DATE=FIRST..LAST"),
        (["DATE=2024-01-15", "UNIT=us"], "error: UNIT= says how files are read, and there are none: name "),
    ],
)
def test_make_replay_passes_the_line_and_the_exit_code_on(variables: list[str], told: str) -> None:
    # The make that runs the tests hands its own variables on to every make below it.
    alone = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "ARGS")
    }
    made = subprocess.run(
        ["make", "replay", *variables],
        cwd=ROOT,
        env=alone,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert made.returncode == 2
    assert made.stderr.strip().splitlines()[0].startswith(told)


@pytest.mark.parametrize("place", ["3", "3@", "@17", "a@b", "-1@4"])
def test_what_names_no_dead_letter_is_refused(run_app: App, place: str) -> None:
    assert "write partition@offset" in run_app("dead", "show", "--", place).error


def test_a_broken_config_is_one_line_for_every_command_that_asks(run_app: App, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[streams.quote.rules]\nfinite = ['bid']\nround = ['bid']")
    for command in ("watermarks", "doctor", "dead list"):
        told = run_app(*command.split(), "--config", config).error
        assert "unknown key streams.quote.rules.round" in told


@pytest.mark.parametrize("word", ["audit", "progress", "reset"])
def test_a_command_that_is_imported_alone_keeps_its_name_and_loads_no_pandas(word: str) -> None:
    told = (
        f"import sys; sys.argv = ['app', '{word}', '--help']\n"
        "from app.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print('pandas' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"python -m app {word}" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "False"


def test_a_worker_imports_nothing_that_only_other_commands_need() -> None:
    told = (
        "import sys; sys.argv = ['app', 'align', '--help']\n"
        "from app.cli import main\n"
        "try:\n    main()\n"
        "finally:\n"
        "    from app.wiring.pipeline import warm_up; warm_up()\n"
        "    print(sorted({'polars', 'matplotlib', 'pandas', 'deltalake', 'duckdb'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "app align" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1970-01-02", 86_400 * 10**9),
        ("1970-01-02T00:00:01.000000001Z", 86_401 * 10**9 + 1),
        ("1970-01-02 01:00+01:00", 86_400 * 10**9),
        ("1970-01-02T01+0100", 86_400 * 10**9),
    ],
)
def test_a_moment_may_be_a_day_and_is_utc_where_it_names_no_zone(text: str, wanted: int) -> None:
    assert moment_ns("--since", text) == wanted


@pytest.mark.parametrize("text", ["", "noon", "9999-12-31", "0001-01-01", "2024-01-15T14:30:00.5+01"])
def test_what_is_no_moment_is_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError, match=r"--since .* (is no time; write it as|lies beyond the times)"):
        moment_ns("--since", text)


def test_what_takes_long_is_said_and_what_does_not_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told: Queue[str] = Queue()
    monkeypatch.setattr(align, "say", told.put)
    with align.say_if_slow(3_600, "never"):
        pass
    with align.say_if_slow(0, "compiling"):
        assert told.get(timeout=30) == "compiling"
    assert told.empty()
