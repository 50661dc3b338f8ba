"""Shared by all tests: the real broker, the line that says which one ran, how hard property tests look.

With `-n` (pytest-xdist) several workers run whole files, the long ones first, and share one broker: the first
that needs it starts it, and the controller stops it when all have ended.
"""

import gc
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import pytest

from tests.hypothesis_profiles import load_profile
from tests.stage.kafka_process import Broker, broker_runs, find_broker, release_broker, stop_brokers
from tests.stage.programs import App, compile_kernels

load_profile()

# Thousands of tests are a million objects: with Python's own thresholds a seventh of the time goes into
# looking through them for garbage.
gc.set_threshold(50_000, 20, 100)

BROKERS: Final = pytest.StashKey[list[Broker]]()  # that this process or its workers ran tests against
RAN_BEFORE: Final = pytest.StashKey[bool]()  # whether the broker ran before there were workers
CRASHED: Final = pytest.StashKey[bool]()  # whether a worker did


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no broker and no crash."""
    config.stash[BROKERS] = []
    config.stash[CRASHED] = False


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile kernels once before there are workers: each would, and a program's start has its time limit."""
    shared = getattr(session.config.option, "numprocesses", None)  # absent without the plugin and in workers
    if shared and os.environ.get("NUMBA_DISABLE_JIT") != "1":
        compile_kernels()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker that is to start whether the broker ran before all of them."""
    stash = node.config.stash
    if RAN_BEFORE not in stash:
        stash[RAN_BEFORE] = broker_runs()
    node.workerinput["broker ran before"] = stash[RAN_BEFORE]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have long files begin first, so that no worker is left with one while the others have ended."""
    if hasattr(config, "workerinput"):
        items.sort(
            key=lambda item: -sum(seconds for mark in item.iter_markers("takes_s") for seconds in mark.args)
        )


def pytest_collection_finish() -> None:
    """Keep what was collected out of the garbage collector's sight."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> Iterator[str]:
    """`host:port` of a real Kafka; skips, with the reason, where there is none."""
    workerinput = getattr(pytestconfig, "workerinput", None)
    broker = find_broker(None if workerinput is None else workerinput["broker ran before"])
    pytestconfig.stash[BROKERS].append(broker)
    if broker.absent:
        pytest.skip(f"no broker: {broker.absent}")
    yield broker.bootstrap
    if workerinput is None:
        release_broker(broker)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the controller know of a worker's broker; what was kept out of sight may be freed again."""
    gc.unfreeze()
    if hasattr(session.config, "workeroutput"):
        brokers = session.config.stash[BROKERS]
        session.config.workeroutput["brokers"] = [asdict(broker) for broker in brokers]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over a worker's brokers; one that crashed has sent none, and may have started one."""
    brokers = getattr(node, "workeroutput", {}).get("brokers", [])
    stash = node.config.stash
    stash[BROKERS].extend(Broker(**broker) for broker in brokers)
    stash[CRASHED] |= error is not None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which broker ran, so that a skip is never read as a pass."""
    brokers = config.stash[BROKERS]
    for broker in dict.fromkeys(brokers):
        line = f"broker: {broker.words}"
        if broker.absent:
            skipped = sum("broker" in report.keywords for report in terminalreporter.getreports("skipped"))
            line = f"broker: none ({broker.absent}): {skipped} broker tests skipped"
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the broker that workers started."""
    brokers = config.stash[BROKERS]
    may_run = config.stash[CRASHED] or any(broker.started for broker in brokers)
    if may_run and not config.stash.get(RAN_BEFORE, True):
        stop_brokers()


@pytest.fixture
def run_app(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> App:
    """`python -m app`, run in this process."""
    return App(monkeypatch, capsys)
