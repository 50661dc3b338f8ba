"""Laws of `make kafka`: started once, found again, its log kept, one clear line for what is in the way."""

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stage.kafka_process import SCRIPT, kafka_script

pytestmark = pytest.mark.broker


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


def test_a_broker_that_ends_as_it_starts_is_not_waited_for(folder: Path, tmp_path: Path) -> None:
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\" 2021-10-19' >&2\n")
    java.chmod(0o755)
    answer = kafka_script("start", KAFKA_DIR=str(folder), JAVA_HOME=str(tmp_path))
    assert answer.returncode == 1
    (said,) = answer.stderr.splitlines()
    assert "ended as it started" in said
    assert said.endswith(f"see {folder}/broker.log")


def test_stopping_what_does_not_run_is_fine(folder: Path) -> None:
    assert kafka_script("stop", KAFKA_DIR=str(folder)).returncode == 0
    assert kafka_script("address", KAFKA_DIR=str(folder)).returncode == 1


def test_a_broker_holds_nothing_open_that_its_starter_had(folder: Path) -> None:
    reader, writer = os.pipe()  # as a lock would be, or the output of a pipeline
    subprocess.run(
        [str(SCRIPT), "start"],
        env={**os.environ, "KAFKA_PYTHON": sys.executable, "KAFKA_DIR": str(folder)},
        pass_fds=[writer],
        check=True,
        timeout=120,
    )
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], 5)
    assert ready, "the broker still holds the other end"
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert kafka_script("address", KAFKA_DIR=str(folder)).returncode == 0


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
