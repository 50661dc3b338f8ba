"""A broker of one's own, behind a proxy, to kill, to stop, and to lose answers of."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from typing import Final

from tests.broker.chaos.proxy import HOST, Proxy
from tests.stage.day_runs import until
from tests.stage.kafka_process import kafka_script

LAST_LINES: Final = 20  # of a broker's log, where it did not start


class NoBrokerError(Exception):
    """No broker can be started here; the message says what is missing."""


@dataclass(slots=True)
class OwnBroker:
    """A broker whose log lies in `folder`; clients reach it through `proxy` alone."""

    folder: Path
    proxy: Proxy

    @property
    def bootstrap(self) -> str:
        """Where clients find it."""
        return f"{HOST}:{self.proxy.port}"

    @property
    def log(self) -> Path:
        """Where it keeps the logs of partitions."""
        return self.folder / "log"

    def start(self) -> None:
        """Start it, or start it again on its log; raises NoBrokerError where none can be here."""
        # The script asks as clients do, and is sent to the proxy as soon as the broker listens.
        self.proxy.target = self.proxy.target or _free_port()
        port = str(self.proxy.target)
        answer = kafka_script("start", KAFKA_DIR=str(self.folder), KAFKA_ADVERTISED=self.bootstrap, PORT=port)
        if answer.returncode == 2:
            raise NoBrokerError(answer.stderr.strip().splitlines()[-1].removeprefix("kafka: "))
        assert answer.returncode == 0, f"{answer.stderr}\n{self._last_words()}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its process."""
        os.kill(self._pid(), number)

    def kill(self) -> None:
        """Kill it, and return once its process holds nothing any more: the next one wants the same log."""
        pid = self._pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not _runs(pid), "the broker is dead")

    def _pid(self) -> int:
        return int((self.folder / "broker.pid").read_text())

    def _last_words(self) -> str:
        log = self.folder / "broker.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:]) if log.exists() else ""


def _free_port() -> int:
    """A port that nobody has, below those that Linux hands out to outgoing connections."""
    while True:
        with socket.socket() as trial, suppress(OSError):
            trial.bind((HOST, port := randrange(20_000, 32_000)))
            return port


def _runs(pid: int) -> bool:
    """Whether a process is there, and is not merely waiting for its parent to hear of its end."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def own_broker(folder: Path) -> Iterator[OwnBroker]:
    """A broker until the block ends."""
    with Proxy() as proxy:
        broker = OwnBroker(folder, proxy)
        broker.start()
        try:
            yield broker
        finally:
            # One that could not be started again has no process; what came of that is being raised.
            with suppress(FileNotFoundError, ProcessLookupError):
                broker.send(signal.SIGCONT)
            kafka_script("stop", KAFKA_DIR=str(folder))
