"""A broker of one's own, behind a proxy, to kill, to stop, and to lose answers of."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.broker.chaos.proxy import HOST, Proxy
from tests.kafka_process import kafka_script


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
        answer = kafka_script("start", KAFKA_DIR=str(self.folder), KAFKA_ADVERTISED=self.bootstrap)
        if answer.returncode == 2:
            raise NoBrokerError(answer.stderr.strip().splitlines()[-1].removeprefix("kafka: "))
        assert answer.returncode == 0, answer.stderr
        self.proxy.target = int(answer.stdout.split()[-1].rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its process."""
        os.kill(int((self.folder / "broker.pid").read_text()), number)


@contextmanager
def own_broker(folder: Path) -> Iterator[OwnBroker]:
    """A broker until the block ends."""
    with Proxy() as proxy:
        broker = OwnBroker(folder, proxy)
        # The script asks through the proxy as soon as the broker listens, so the port is chosen before.
        broker.start()
        try:
            yield broker
        finally:
            broker.send(signal.SIGCONT)
            kafka_script("stop", KAFKA_DIR=str(folder))
