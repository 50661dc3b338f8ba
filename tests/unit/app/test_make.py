"""The variables of `make replay` are flags of the command, by the names that the Makefile gives them."""

import re
import subprocess
import sys

import pytest
import typer

from app.cli import app
from app.commands import replay
from app.day.typed import VARIABLES
from tests.stage.programs import ROOT, App


def test_every_variable_of_make_replay_is_a_flag() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    flags = {flag for option in commands[replay.replay.__name__].params for flag in option.opts}
    makefile = (ROOT / "Makefile").read_text()
    said = makefile[makefile.index("REPLAY_FLAGS =") :].partition("\n\n")[0]
    passed = dict(re.findall(r"\$\(call flag,(\w+),([\w-]+)\)", said))
    assert {f"--{flag}" for flag in passed.values()} <= flags
    assert (passed["TOLERANCE"], passed["GRACE"]) == ("tolerance", "grace")
    assert (passed["TOLERANCE_NS"], passed["GRACE_NS"]) == ("tolerance-ns", "grace-ns")
    assert set(passed) == set(VARIABLES)


@pytest.mark.parametrize("typed", [["TOLERENCE=2s", "date=2024-01-15"], ["NAIVE-AS=UTC"]])
def test_make_says_what_was_typed(typed: list[str]) -> None:
    ask = [
        "make",
        "-s",
        "-o",
        ".venv/.ready",
        "replay",
        "BUS=embedded",
        f"PY={sys.executable} -c pass #",
        *typed,
    ]
    said = subprocess.run([*ask, "-n"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [*(one.partition("=")[0] for one in typed), "BUS", "PY"]
    assert f"--from-make '{' '.join(sorted(names))}'" in said


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            "BUS TOLERENCE",
            "make replay has no variable TOLERENCE (did you mean TOLERANCE?); it has DATE, DATA,",
        ),
        ("date", "no variable date (did you mean DATE?)"),
        ("DATE NAIVE-AS", "no variable NAIVE-AS (did you mean NAIVE_AS?)"),
    ],
)
def test_a_variable_that_make_would_pass_over_is_refused(run_app: App, typed: str, told: str) -> None:
    answer = run_app("replay", "--from-make", typed, "--date", "2024-01-15")
    assert (answer.code, told in answer.error) == (2, True)


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        (
            "--bus",
            "embeded",
            'error: BUS=\'embeded\': expected "kafka" or "embedded" (did you mean embedded?)',
        ),
        ("--naive-as", "Mars/Olympus", "error: NAIVE_AS="),
        ("--partitions", "four", "error: PARTITIONS='four': expected a whole number"),
        ("--tolerance-ns", "2s", "error: TOLERANCE_NS='2s': expected whole nanoseconds"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_under_its_variable(
    run_app: App, flag: str, value: str, told: str
) -> None:
    answer = run_app("replay", "--from-make", "DATE", "--date", "2024-01-15", flag, value)
    assert (answer.code, answer.error[: len(told)]) == (2, told)
    assert f"{flag} " not in answer.error
