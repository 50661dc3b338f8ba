"""Words to systemd, on a real socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import service_manager
from app.metrics.health import Health
from app.metrics.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_a_worker_asks_for_time_until_it_is_ready_and_then_beats(
    tmp_path: Path, manager: socket.socket
) -> None:
    notifier = Notifier(str(tmp_path / "notify"), 3)
    health = Health(notifier.ready)
    notifier.alive()
    assert manager.recv(200) == b"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000"
    health.look("")
    health.look("")
    assert manager.recv(200) == b"READY=1"
    notifier.alive()
    assert manager.recv(200) == b"WATCHDOG=1"
    notifier.stopping()
    assert manager.recv(200) == b"STOPPING=1"


def test_beats_are_no_more_often_than_the_watchdog_wants(tmp_path: Path, manager: socket.socket) -> None:
    notifier = Notifier(str(tmp_path / "notify"), 60_000_000)
    for _ in range(100):
        notifier.alive()
    notifier.stopping()
    assert [manager.recv(200), manager.recv(200)][1] == b"STOPPING=1"


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "nobody"), 1).ready()
    Notifier("", 0).ready()


def test_a_watchdog_of_another_process_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@name")
    monkeypatch.setenv("WATCHDOG_USEC", "5000")
    assert service_manager() == ("@name", 5_000)
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert service_manager() == ("@name", 0)
