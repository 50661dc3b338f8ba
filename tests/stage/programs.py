"""The commands as a user runs them: in this process for speed, or as processes that can be killed."""

import gc
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from app.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line with which bad input ends; anything more on standard error is no clear answer."""
        *before, last = self.err.strip().splitlines()
        assert last.startswith("error: "), self.err
        assert not any("error" in line or "Traceback" in line for line in before), self.err
        return last


class App:
    """`python -m app` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Answer:
        """Run a command to its end."""
        self._capsys.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["app", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended, process_as_before():
            main()
        structlog.reset_defaults()
        out, err = self._capsys.readouterr()
        return Answer(int(ended.value.code or 0), out, err)


@contextmanager
def process_as_before() -> Iterator[None]:
    """Put back what a command changes for as long as its process lasts, for this one goes on.

    A collector that stays disabled keeps the clients of all tests that follow, until no more can be made.
    """
    finders = list(sys.meta_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()
        sys.meta_path[:] = finders
        for number, handler in handlers.items():
            signal.signal(number, handler)


def compile_kernels() -> None:
    """Have all kernels of a worker in numba's cache: 2 s where they are, half a minute where they are not."""
    parts = {"topics": "('json', 'protobuf')", "operators": "", "operators.nodes": ""}
    script = "from {0}.warm import warm; warm({1})"
    running = [
        subprocess.Popen([sys.executable, "-c", script.format(part, what)], cwd=ROOT)
        for part, what in parts.items()
    ]
    for part, process in zip(parts, running, strict=True):
        assert process.wait() == 0, f"the kernels of {part} cannot be compiled"


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`python -m <arguments>`, ended with the test if it has not ended before."""
    command = [sys.executable, "-m", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def children(pid: int) -> dict[str, int]:
    """The processes that a replay has started: pid by command, `align` or `publish`."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    found: dict[str, int] = {}
    for line in listed.stdout.splitlines():
        number, parent, *words = line.split()
        if int(parent) == pid:
            found |= {word: int(number) for word in ("align", "publish") if word in words}
    return found
