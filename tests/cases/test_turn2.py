"""Every script of `../shared/cases/turn2`, as a process of its own; those with a broker get the real one."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = ROOT.parent / "shared" / "cases" / "turn2"

WITH_A_BROKER: Final = ("dead_letter_size", "topic_settings")
NAMES: Final = (
    "avro_aliases",
    "avro_growth",
    "column_types",
    "dictionaries",
    "files_of_a_day",
    "import_twice",
    "int96",
    "keys",
    "naive_times",
    "partitioner",
    "registry",
    "sequence_types",
    "string_view",
    "time_extremes",
    "units",
    "wide_rows",
    "zones",
)

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(150)]


def _run(name: str, *arguments: str) -> None:
    if not SCRIPTS.is_dir():
        pytest.skip(f"{SCRIPTS} is not here: the cases of public bug reports are not run")
    done = subprocess.run(
        [sys.executable, "-m", "tests.cases", str(SCRIPTS / f"{name}.py"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]


@pytest.mark.parametrize("name", NAMES)
def test_a_case_of_a_public_bug_report_holds(name: str) -> None:
    _run(name)


@pytest.mark.broker
@pytest.mark.parametrize("name", WITH_A_BROKER)
def test_a_case_with_a_broker_holds(name: str, kafka_bootstrap: str) -> None:
    _run(name, kafka_bootstrap)


def test_every_script_is_run() -> None:
    if not SCRIPTS.is_dir():
        pytest.skip(f"{SCRIPTS} is not here")
    there = {file.stem for file in SCRIPTS.glob("*.py")} - {"scene"}
    assert there == {*NAMES, *WITH_A_BROKER}
