"""The crew: real worker processes, and what may be done to them."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from time import monotonic
from typing import Final

from tests.broker.chaos.elsewhere import Elsewhere
from tests.broker.chaos.hand import work
from tests.stage.day_runs import until

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.broker.chaos.hand"])

EXIT_S: Final = 45.0
KIB: Final = 1024


@dataclass(slots=True)
class Hand:
    """One worker process."""

    slot: str
    process: ForkServerProcess | Elsewhere
    log: Path
    begun_s: float
    older: bool = False  # it runs the code of another version

    @property
    def alive(self) -> bool:
        """Whether it runs, or stands still."""
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait(self, patience_s: float = EXIT_S) -> int:
        """Its exit code; negative is the signal that ended it."""
        self.process.join(patience_s)
        code = self.process.exitcode
        assert code is not None, f"worker {self.slot} is still there after {patience_s} s:\n{self.said()}"
        return code

    def said(self) -> str:
        """What it wrote to standard error."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def died(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Wait for its death by this signal."""
        code = self.wait()
        assert code == -number, f"worker {self.slot} ended with {code}, not by {number.name}:\n{self.said()}"

    def ended_well(self, patience_s: float = EXIT_S) -> None:
        """Wait for its end with exit code 0."""
        code = self.wait(patience_s)
        assert code == 0, f"worker {self.slot} ended with {code}:\n{self.said()}"

    def gave_up(self, *words: str) -> str:
        """Wait for its end by itself with a code other than 0 and one last line that says why; return it."""
        code = self.wait()
        last = (self.said().strip().splitlines() or [""])[-1]
        assert code in (1, 2), f"worker {self.slot} ended with {code}:\n{self.said()}"
        assert last.startswith(("stopped: ", "error: ")), self.said()
        assert all(word in last for word in words), f"{words} are not in {last!r}"
        return last

    def has_tasks(self) -> None:
        """Wait until it has opened a task."""
        until(lambda: "task opened" in self.said() or not self.alive, f"worker {self.slot} has tasks")
        assert self.alive, self.said()

    def size_max(self) -> int:
        """The most memory it has taken, in bytes (Linux tells; elsewhere 0)."""
        return self._told("VmHWM") * KIB

    def size(self) -> int:
        """The memory it takes now, in bytes (Linux tells; elsewhere 0)."""
        return self._told("VmRSS") * KIB

    def size_anonymous(self) -> int:
        """What of it is no page of a file, in bytes (Linux tells; elsewhere 0)."""
        return self._told("RssAnon") * KIB

    def threads(self) -> int:
        """How many threads it has now (Linux tells; elsewhere 0)."""
        return self._told("Threads")

    def _told(self, name: str) -> int:
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # it may end at any moment
            return 0
        return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)

    def end(self) -> None:
        """Have it gone, whatever its state."""
        if self.alive:
            self.send(signal.SIGKILL)
        self.process.join(EXIT_S)
        self.process.close()


class Crew:
    """Hires workers of one configuration; `close` leaves none behind.

    With the checkout of an older version every other worker is of that one, the first among them.
    """

    def __init__(self, config: Path, older: Path | None = None) -> None:
        self._config = config
        self._older = older
        self.hands: list[Hand] = []

    def hire(
        self,
        slot: str = "0",
        *,
        failpoint: str = "",
        until_final: bool = True,
        file_size_max: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Hand:
        """Start a worker; `failpoint` is where it kills itself."""
        arguments = ["align", "--config", str(self._config), "--slot", slot]
        arguments += ["--until-final"] if until_final else []
        # One that stands still, or is about to end, is replaced on purpose.
        arguments += ["--take-over"] if any(hand.slot == slot and hand.alive for hand in self.hands) else []
        log = self._config.with_name(f"worker-{len(self.hands)}-slot-{slot}.log")
        extra = {"TIDEMARK_WORKER__FAILPOINT": failpoint, **(environment or {})}
        older = self._older if len(self.hands) % 2 == 0 else None
        process: ForkServerProcess | Elsewhere
        if older is None:
            process = CONTEXT.Process(target=work, args=(arguments, extra, log, file_size_max), daemon=True)
        else:
            process = Elsewhere(older, arguments, extra, log)
        begun_s = monotonic()
        process.start()
        hand = Hand(slot, process, log, begun_s, older=older is not None)
        self.hands.append(hand)
        return hand

    def close(self) -> None:
        """Kill those that are left."""
        for hand in self.hands:
            hand.end()
