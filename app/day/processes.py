"""The processes of a replay on Kafka: one publisher and the workers, watched and ended together."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import RunError
from app.process.clock import pause

WATCH_S = 0.05
STOP_S = 30.0
ABOVE = __name__.removesuffix("app.day.processes")  # of our modules' names where they are installed


@dataclass(slots=True)
class Child:
    """A started process and where its standard error goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tell(self, words: str) -> None:
        """Give it `words` as all of its standard input: secrets go this way, never as arguments."""
        assert self.process.stdin is not None, "it was told before"
        with (
            suppress(BrokenPipeError),
            self.process.stdin as stdin,
        ):  # it may have ended already, and says why
            stdin.write(words.encode())

    def failure(self) -> str:
        """One line on how it ended."""
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = self.log.read_text(errors="replace").strip().splitlines()
        last = f": {lines[-1]}" if lines and code > 0 else ""
        return f"{self.name} {how}{last} (log: {self.log})"


def start(
    name: str,
    arguments: Sequence[str],
    folder: Path,
    *,
    own_terminal: bool = False,
    environment: Mapping[str, str] | None = None,
    told: str | None = "",
) -> Child:
    """Start `python -m <arguments>` from the repository root; stderr goes to `folder/<name>.log`.

    `own_terminal` leaves standard error where ours is, for a progress bar.  `environment` is the child's
    (None: ours), `told` its standard input: secrets go these ways, never as arguments.  With None it waits
    for that until `Child.tell`.
    """
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", f"{ABOVE}{arguments[0]}", *arguments[1:]]
    root = Path(__file__).resolve().parents[2]
    with log.open("wb") as sink:
        target = None if own_terminal else sink
        process = subprocess.Popen(command, cwd=root, stderr=target, stdin=subprocess.PIPE, env=environment)
    child = Child(name, process, log)
    if told is not None:
        child.tell(told)
    return child


def wait_all(children: Sequence[Child], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Return when all have ended well; when one fails, stop the others and raise RunError saying which.

    `meanwhile` is called again and again.  SIGTERM is taken as Ctrl-C, so that the children never outlive
    whoever waits for them.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            codes = [child.process.poll() for child in children]
            for child, code in zip(children, codes, strict=True):
                if code not in (None, 0):
                    raise RunError(f"{child.failure()}; the same command goes on from the last commit")
            if None not in codes:
                return
            meanwhile()
            pause(WATCH_S)
    finally:
        stop(children)
        signal.signal(signal.SIGTERM, before)


def stop(children: Sequence[Child]) -> None:
    """Terminate the children that still run, and kill those that do not end."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        try:
            child.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        if child.process.stdin is not None:
            child.process.stdin.close()  # of one that was never told
