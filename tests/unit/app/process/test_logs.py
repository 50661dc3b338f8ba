"""Logs: for people at a terminal, a JSON object a line for programs."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from app.process.logs import log_to_stderr
from schemas.clocks import BEGINNING_NS


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _configuration_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(monkeypatch: pytest.MonkeyPatch, sink: io.StringIO, frontier_ns: int) -> str:
    monkeypatch.setattr("sys.stderr", sink)
    log_to_stderr()
    structlog.get_logger().info("at work", rows_in=12, frontier_ns=frontier_ns)
    return sink.getvalue()


def test_a_terminal_shows_a_frontier_in_utc_and_a_program_gets_nanoseconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_ns = 1_705_312_800_000_000_001
    shown = logged(monkeypatch, Terminal(), at_ns)
    assert "2024-01-15 10:00:00.000000001" in shown
    assert "none yet" in logged(monkeypatch, Terminal(), BEGINNING_NS)
    line = json.loads(logged(monkeypatch, io.StringIO(), at_ns))
    assert (line["event"], line["rows_in"], line["frontier_ns"]) == ("at work", 12, at_ns)
