"""What a run of these tests says of itself, whether one process runs them or several share them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stage.programs import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("sharing", [[], ["-n", "2", "--dist", "loadfile"]], ids=["alone", "shared"])
def test_where_no_broker_can_be_the_last_lines_say_so_and_how_many_tests_were_skipped(
    sharing: list[str], tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    missing = {"JAVA_HOME": str(tmp_path / "no-java"), "KAFKA_DIR": str(tmp_path / "kafka")}
    environment |= {"BOOTSTRAP": "", **missing}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sharing]
    run = subprocess.run(
        [*command, "tests/broker/test_idle.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("broker:"))
    assert line.startswith("broker: none (java is not on PATH")
    assert line.endswith("): 1 broker tests skipped")
    assert "1 skipped" in run.stdout.splitlines()[-1]
