"""Laws of the gate that holds the publisher, with real processes in place of publisher and workers."""

import time
from pathlib import Path

import pytest

from app.day.on_kafka import Gate
from app.day.processes import start, wait_all
from app.errors import RunError

OPENS = """
import json, sys, time
for partition in {partitions}:
    time.sleep(0.2)
    sys.stderr.write(json.dumps({{"event": "task opened", "partition": partition}}) + "\\n")
    sys.stderr.flush()
sys.stderr.write("no line of our log\\n[1]\\n")
sys.stderr.flush()
{then}
"""
READS = """
import sys, time
from pathlib import Path
Path({file!r}).write_text(sys.stdin.read() + str(time.monotonic()))
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test writes the modules that its processes run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def _gate(modules: Path, workers: list[str], partitions: int) -> Path:
    """Run a publisher and workers to their end; return the file of what the publisher heard."""
    heard = modules / "heard"
    (modules / "reads.py").write_text(READS.format(file=str(heard)))
    publisher = start("publisher", ["reads"], modules, told=None)
    children = []
    for number, code in enumerate(workers):
        (modules / f"worker_{number}.py").write_text(code)
        children.append(start(f"worker_{number}", [f"worker_{number}"], modules))
    gate = Gate(publisher, children, "a=b\n", partitions)
    wait_all([publisher, *children], gate.open_when_due)
    assert gate.seconds() > 0
    return heard


def test_the_publisher_begins_once_every_partition_is_some_workers(modules: Path) -> None:
    begun = time.monotonic()
    waits = f"import pathlib\nwhile not pathlib.Path({str(modules / 'heard')!r}).exists(): time.sleep(0.01)"
    workers = [OPENS.format(partitions=numbers, then=waits) for numbers in ([0, 1], [1, 2])]
    words, _, at = _gate(modules, workers, 3).read_text().partition("\n")
    assert words == "a=b"
    assert float(at) - begun > 0.4


def test_a_worker_that_finds_nothing_to_do_does_not_hold_the_publisher(modules: Path) -> None:
    assert _gate(modules, [""], 3).read_text().startswith("a=b\n")


def test_a_worker_that_fails_ends_the_publisher_that_was_held(modules: Path) -> None:
    with pytest.raises(RunError, match="worker_0 ended with exit code 1: no such topic"):
        _gate(modules, ["import sys; sys.exit('no such topic')"], 3)
