"""A broker in a container, by testcontainers: for those who have an engine, but no Java and Maven.

The processes of one test run share it, so it has a name; the first that needs it starts it.
"""

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

IMAGE: Final = "apache/kafka:4.1.2"  # the version that docker/kafka/pom.xml and docker/compose.yaml have
PORT: Final = 9092  # inside
STARTED: Final = "Kafka Server started"
START_S: Final = 120
ANSWER_S: Final = 5
ROOT: Final = Path(__file__).parents[2]
NAME: Final = f"tidemark-tests-{hashlib.sha1(str(ROOT).encode(), usedforsecurity=False).hexdigest()[:8]}"
LABEL: Final = "tidemark.bootstrap"
SOCKET: Final = Path("/var/run/docker.sock")


class ContainerBroker:
    """The broker of this checkout's tests in a container."""

    def absent(self) -> str:
        """Why there can be none, in words; empty where an engine answers."""
        host = urlsplit(os.environ.get("DOCKER_HOST") or f"unix://{SOCKET}")
        if host.scheme == "unix" and not Path(host.path).exists():
            return "no engine of containers"
        family, place = (
            (socket.AF_UNIX, host.path)
            if host.scheme == "unix"
            else (socket.AF_INET, (host.hostname, host.port))
        )
        with socket.socket(family) as trial:
            trial.settimeout(ANSWER_S)
            try:
                trial.connect(place)
            except (OSError, TypeError) as away:
                return f"the engine of containers does not answer: {away}"
        return ""

    def address(self) -> str:
        """`host:port` of the one that runs; empty without one."""
        if self.absent():
            return ""
        with _containers() as containers:
            running = [one for one in containers if one.status == "running"]
            return str(running[0].labels[LABEL]) if running else ""

    def start(self) -> str:
        """Start it, unless it runs; returns `host:port`."""
        with _one_at_a_time():
            return self.address() or _started()

    def stop(self) -> None:
        """Stop and remove it, if it is there."""
        if self.absent():
            return
        with _containers() as containers:
            for container in containers:
                container.remove(force=True, v=True)


@contextmanager
def _containers() -> Iterator[Sequence[Any]]:
    """The containers of our name, one at most, whatever their state."""
    from testcontainers.core.docker_client import DockerClient

    with closing(DockerClient().client) as engine:
        yield engine.containers.list(all=True, filters={"name": f"^/?{NAME}$"})


def environment(bootstrap: str) -> dict[str, str]:
    """What the image is told: one node, which clients find at `bootstrap`."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:29093",
        "KAFKA_LISTENERS": f"HOST://:{PORT},INSIDE://:19092,CONTROLLER://:29093",
        "KAFKA_ADVERTISED_LISTENERS": f"HOST://{bootstrap},INSIDE://localhost:19092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INSIDE",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }


def _started() -> str:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.docker_client import DockerClient
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    testcontainers_config.ryuk_disabled = (
        True  # its reaper ends with the process that started it; others go on
    )
    with socket.create_server(("127.0.0.1", 0)) as trial:
        port = int(trial.getsockname()[1])
    bootstrap = f"{DockerClient().host()}:{port}"
    container = DockerContainer(IMAGE).with_name(NAME).with_bind_ports(PORT, port)
    container = container.with_envs(**environment(bootstrap)).with_kwargs(labels={LABEL: bootstrap})
    container.waiting_for(LogMessageWaitStrategy(STARTED).with_startup_timeout(START_S)).start()
    return bootstrap


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/kafka-container.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
