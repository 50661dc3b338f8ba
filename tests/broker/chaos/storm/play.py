"""Plays a storm on a broker of its own, and verifies all that came of it."""

import resource
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from tests.broker.chaos.own_broker import own_broker
from tests.broker.chaos.storm.driver import Driver
from tests.broker.chaos.storm.events import Event
from tests.broker.chaos.storm.report import Report
from tests.broker.chaos.storm.setting import TRANSACTION_MS, Setting, set_up
from tests.broker.chaos.storm.verifier import verify
from tests.stage.day_runs import until

KIB: Final = 1024
SAID_MAX: Final = 12  # lines of a worker, where a storm failed


def storm(
    folder: Path,
    seed: int,
    events: list[Event],
    seconds: float,
    *,
    tolerance: bool = True,
    older: Path | None = None,
    thin: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Play these events for so long; whatever goes wrong is in the report.  `say` hears of each event.

    `older` is the checkout of an older version, of which every other worker is.  One of `thin` blocks is fed.
    """
    with (
        own_broker(folder / "kafka") as broker,
        set_up(broker, folder / "pipeline", seed, tolerance=tolerance, older=older, thin=thin) as setting,
    ):
        return _played(setting, seed, events, seconds, say)


def _played(
    setting: Setting, seed: int, events: list[Event], seconds: float, say: Callable[[str], None]
) -> Report:
    driver = Driver(setting, say)
    report = Report(seed, driver.story)
    setting.feed.start()
    try:
        driver.play(events, seconds)
        report.feed_cores = setting.feed.cores
        driver.finish()
        until(lambda: not setting.open_transactions(), "no transaction is open", 2 * TRANSACTION_MS / 1_000)
        setting.watcher.close()
        begun_s = monotonic()
        report.figures = verify(setting.source, setting.watcher.seen.messages)
        report.verified_s = monotonic() - begun_s
    except Exception as raised:
        report.failed = f"{type(raised).__name__}: {raised}\n{_account(setting)}"
    report.older = [hand.older for hand in setting.crew.hands]
    report.figures.out_of_order += setting.watcher.seen.out_of_order
    report.rows_in, report.steps_failed = setting.feed.rows, setting.feed.steps_failed
    report.verifier_size_max = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    return report


def _account(setting: Setting) -> str:
    """Where everybody stands, for whoever asks why."""
    lines = [f"feed: {setting.feed.steps} steps, {setting.feed.steps_failed} failed"]
    lines += [f"seen up to {setting.watcher.newest_ns}"]
    for hand in setting.crew.hands[-4:]:
        lines += [f"worker {hand.slot}, alive {hand.alive}:", *hand.said().splitlines()[-SAID_MAX:]]
    return "\n".join(lines)
