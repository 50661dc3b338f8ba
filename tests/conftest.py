"""Shared by all tests: the real broker, the line that says which one ran, how hard property tests look."""

from collections.abc import Iterator

import pytest

from tests.hypothesis_profiles import load_profile
from tests.stage.kafka_process import Broker, find_broker, release_broker
from tests.stage.programs import App

load_profile()

BROKER = pytest.StashKey[Broker]()


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> Iterator[str]:
    """`host:port` of a real Kafka; skips, with the reason, where there is none."""
    broker = find_broker()
    pytestconfig.stash[BROKER] = broker
    if broker.absent:
        pytest.skip(f"no broker: {broker.absent}")
    yield broker.bootstrap
    release_broker(broker)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which broker ran, so that a skip is never read as a pass."""
    broker = config.stash.get(BROKER, None)
    if broker is None:
        return
    line = f"broker: {broker.words}"
    if broker.absent:
        skipped = sum("broker" in report.keywords for report in terminalreporter.getreports("skipped"))
        line = f"broker: none ({broker.absent}): {skipped} broker tests skipped"
    terminalreporter.write_line(line)


@pytest.fixture
def run_app(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> App:
    """`python -m app`, run in this process."""
    return App(monkeypatch, capsys)
