"""Which broker the tests take, and that one in a container is the same Kafka as everywhere else."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.stage import kafka_process
from tests.stage.kafka_container import IMAGE, ContainerBroker, environment
from tests.stage.kafka_process import find_broker

ROOT = Path(__file__).resolve().parents[3]


class Engine(ContainerBroker):
    """An engine that answers, or does not, and counts what it starts."""

    def __init__(self, absent: str = "") -> None:
        self._absent = absent
        self.started = 0

    def absent(self) -> str:
        return self._absent

    def start(self) -> str:
        self.started += 1
        return "127.0.0.1:4242"


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no Kafka of our own can be started, and none is named."""

    def script(*arguments: str, **_: str) -> subprocess.CompletedProcess[str]:
        said = "kafka: java is not on PATH\n"
        return subprocess.CompletedProcess(arguments, 2 if arguments == ("start",) else 1, "", said)

    monkeypatch.setattr(kafka_process, "kafka_script", script)
    monkeypatch.delenv("BOOTSTRAP", raising=False)


@pytest.mark.usefixtures("no_java")
def test_a_container_is_taken_where_no_kafka_of_our_own_can_start_and_is_named() -> None:
    engine = Engine()
    broker = find_broker(ran_before=False, container=engine)
    assert (broker.bootstrap, broker.absent, broker.started, engine.started) == (
        "127.0.0.1:4242",
        "",
        True,
        1,
    )
    assert broker.words == f"{IMAGE} in a container, started for this run"


@pytest.mark.usefixtures("no_java")
def test_without_an_engine_the_summary_has_both_reasons() -> None:
    engine = Engine("no engine of containers")
    broker = find_broker(ran_before=False, container=engine)
    assert broker.absent == "java is not on PATH; no engine of containers"
    assert engine.started == 0


def test_without_a_socket_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("tests.stage.kafka_container.SOCKET", tmp_path / "none")
    assert ContainerBroker().absent() == "no engine of containers"
    assert ContainerBroker().address() == ""
    ContainerBroker().stop()


def test_an_engine_that_does_not_answer_is_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nobody.sock").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert ContainerBroker().absent().startswith("the engine of containers does not answer: ")


def test_it_is_the_kafka_of_the_compose_file_and_of_our_own_broker() -> None:
    kafka = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]["kafka"]
    (version,) = re.findall(r"<kafka.version>([\d.]+)<", (ROOT / "docker/kafka/pom.xml").read_text())
    assert kafka["image"] == IMAGE == f"apache/kafka:{version}"
    ours = environment("127.0.0.1:9092")
    own = {"KAFKA_ADVERTISED_LISTENERS", "KAFKA_CONTROLLER_QUORUM_VOTERS"}
    assert {name: value for name, value in ours.items() if name not in own} == {
        name: value for name, value in kafka["environment"].items() if name in ours.keys() - own
    }
