"""The broker of the tests: the one that BOOTSTRAP names, else a Kafka of our own, else one in a container.

A Kafka of our own needs Java and Maven, a container an engine.  Where there is none of the three, tests that
need a broker are skipped, and the summary says why.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.stage.kafka_container import IMAGE, ContainerBroker
from topics.kafka.bus import KafkaBus

SCRIPT = Path(__file__).parents[2] / "docker/kafka/kafka.sh"
ANSWER_MS_MAX = 15_000


@dataclass(frozen=True)
class Broker:
    """Where a broker answers, and in words which one it is; `absent` says why there is none."""

    bootstrap: str
    words: str
    started: bool = False
    absent: str = ""


def kafka_script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run docker/kafka/kafka.sh with the Python of this test run."""
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env={**os.environ, "KAFKA_PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def broker_runs() -> bool:
    """Whether the broker that `find_broker` would start runs already."""
    return kafka_script("address").returncode == 0 or ContainerBroker().address() != ""


def find_broker(ran_before: bool | None = None, container: ContainerBroker | None = None) -> Broker:
    """Find or start a broker; one that is named or should start but does not is an error, not an absence.

    `ran_before` says whether it ran before this test run, where several processes of the run may start it.
    """
    container = container or ContainerBroker()
    if bootstrap := os.environ.get("BOOTSTRAP"):
        KafkaBus(bootstrap).check(ANSWER_MS_MAX)
        return Broker(bootstrap, f"Kafka at {bootstrap}, named by BOOTSTRAP")
    ran_before = broker_runs() if ran_before is None else ran_before
    started = kafka_script("start")
    said = started.stderr.strip().splitlines()
    if started.returncode == 2:
        reason = said[-1].removeprefix("kafka: ")
        if without := container.absent():
            return Broker("", "none", absent=f"{reason}; {without}")
        return Broker(
            container.start(), f"{IMAGE} in a container, {_how(ran_before)}", started=not ran_before
        )
    if started.returncode != 0:
        raise RuntimeError("\n".join(said))
    bootstrap = started.stdout.split()[-1]
    version = kafka_script("status").stdout.split(" at ")[0]
    return Broker(bootstrap, f"{version} at {bootstrap}, {_how(ran_before)}", started=not ran_before)


def _how(ran_before: bool) -> str:
    return "running already" if ran_before else "started for this run"


def release_broker(broker: Broker) -> None:
    """Stop the broker if this run started it."""
    if broker.started:
        stop_brokers()


def stop_brokers() -> None:
    """Stop what `find_broker` can have started."""
    kafka_script("stop")
    ContainerBroker().stop()
