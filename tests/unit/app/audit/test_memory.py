"""The audit of a day holds what it is told to hold, however much larger the day is."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.stage.programs import ROOT
from tests.unit.app.audit.audit_memory import MEMORY_SIZE_MAX, QUOTES, TRADES, write_day


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_an_audit_stays_within_its_memory_on_a_day_many_times_as_large(tmp_path: Path) -> None:
    assert write_day(tmp_path / "large") > 2.7 * MEMORY_SIZE_MAX
    write_day(tmp_path / "small", QUOTES // 2, TRADES // 2)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.unit.app.audit.audit_memory",
            str(tmp_path / "small"),
            str(tmp_path / "large"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    violations, rows, grown = map(int, done.stdout.split())
    assert (violations, rows) == (0, TRADES)
    assert grown < MEMORY_SIZE_MAX, f"{grown >> 20} MiB more than before"
