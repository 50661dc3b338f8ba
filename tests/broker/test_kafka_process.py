"""Laws of `make kafka`: started once, found again, its log kept, one clear line for what is in the way."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.bus.scenes import Scene, blocks_until, values
from tests.kafka_process import SCRIPT, kafka_script
from topics.kafka import KafkaBus

pytestmark = pytest.mark.broker


@pytest.fixture
def folder(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Path]:
    """A folder for a broker of one's own; the shared broker shows that one can run here."""
    if not (SCRIPT.parents[2] / "build/kafka").exists():
        pytest.skip(f"the broker at {kafka_bootstrap} was not started here, so none of our own is")
    yield tmp_path / "kafka"
    kafka_script("stop", KAFKA_DIR=str(tmp_path / "kafka"))


def test_two_starts_at_once_and_a_third_give_one_broker(folder: Path) -> None:
    environment = {**os.environ, "KAFKA_PYTHON": sys.executable, "KAFKA_DIR": str(folder)}
    starts = [
        subprocess.Popen([str(SCRIPT), "start"], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [start.communicate(timeout=120)[0] for start in starts]
    third = kafka_script("start", KAFKA_DIR=str(folder)).stdout
    assert said[0] == said[1] == third
    host, port = third.strip().split(":")
    assert host == "127.0.0.1"
    assert port.isdigit()
    assert kafka_script("address", KAFKA_DIR=str(folder)).stdout == third


def test_a_killed_broker_comes_back_where_it_was_and_its_readers_go_on(folder: Path) -> None:
    waits: list[str] = []
    address = kafka_script("start", KAFKA_DIR=str(folder)).stdout.strip()
    scene = Scene(KafkaBus(address, on_wait=waits.append))
    topic = scene.topic()
    scene.write(topic, b"before")
    reader = scene.reader((topic, 0, 0))
    assert values(blocks_until(reader, lambda blocks: bool(values(blocks)))) == [b"before"]
    os.kill(int((folder / "broker.pid").read_text()), signal.SIGKILL)
    while not waits:
        assert reader.poll(messages_max=10, wait_ms=100).messages == 0
    assert kafka_script("status", KAFKA_DIR=str(folder)).returncode == 1
    assert kafka_script("start", KAFKA_DIR=str(folder)).stdout.strip() == address
    scene.write(topic, b"after")
    assert values(blocks_until(reader, lambda blocks: bool(values(blocks)))) == [b"after"]
    reader.close()


def test_a_port_in_use_is_one_line_and_exit_2(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = kafka_script("start", KAFKA_DIR=str(folder), PORT=str(port))
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.splitlines() == [
        f"kafka: port {port} is in use: give another PORT=, or none for a free one"
    ]


def test_stopping_what_does_not_run_is_fine(folder: Path) -> None:
    assert kafka_script("stop", KAFKA_DIR=str(folder)).returncode == 0
    assert kafka_script("address", KAFKA_DIR=str(folder)).returncode == 1
