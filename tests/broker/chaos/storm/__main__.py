"""Times restarts, then plays a storm of faults under 20,000 rows/s: `make storm MINUTES=30 SEED=1`.

Without minutes restarts are all there is.  What is drawn comes from the seed, so the same call plays the same
events.  The report is printed and lies, with each event, in build/chaos/storm.json; workers' logs, topics and
states are kept beside it where something went wrong.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console

from tests.broker.chaos.own_broker import NoBrokerError
from tests.broker.chaos.storm.events import drawn
from tests.broker.chaos.storm.play import storm
from tests.broker.chaos.storm.report import events, kinds
from tests.broker.chaos.storm.restarts import restarts

OUT: Final = Path(__file__).resolve().parents[4] / "build/chaos"
EVENTS_PER_MINUTE_MAX: Final = 60
WIDTH: Final = 150  # where nobody looks at it now
console = Console() if Console().is_terminal else Console(width=WIDTH)


def main(
    minutes: float, seed: int, *, timed: bool, tolerance: bool, older: Path | None = None, thin: int = 1
) -> int:
    """Play; exit code 1 where anything was wrong, 2 where no broker can be started here.

    `older` is the checkout of an older version, of which every other worker is.  One of `thin` blocks is fed.
    """
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        good = [_restarts()] if timed else []
        good += [_storm(minutes, seed, tolerance=tolerance, older=older, thin=thin)] if minutes else []
    except NoBrokerError as absent:
        console.print(f"storm: no broker of its own: {absent}", markup=False)
        return 2
    return 0 if all(good) else 1


def _say(line: str) -> None:
    console.print(line, markup=False)


def _restarts() -> bool:
    with TemporaryDirectory(prefix="tidemark-restarts-") as name:
        found = restarts(Path(name))
    for line in found.lines():
        _say(line)
    return found.clean


def _storm(minutes: float, seed: int, *, tolerance: bool, older: Path | None, thin: int) -> bool:
    planned = drawn(seed, int(EVENTS_PER_MINUTE_MAX * minutes) + 1)
    with TemporaryDirectory(prefix="tidemark-storm-") as name:
        report = storm(
            Path(name), seed, planned, 60 * minutes, tolerance=tolerance, older=older, thin=thin, say=_say
        )
        if not report.clean:
            kept = OUT / f"storm-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(name, kept)
            console.print(f"logs, topics and states: {kept}", markup=False)
    console.print("as it went, with the time until every partition showed newer rows:")
    for line in events(report.story.struck):
        console.print(line, markup=False)
    console.print(kinds(report.story.struck))
    for line in report.lines():
        console.print(line, markup=False)
    (OUT / "storm.json").write_text(json.dumps(report.record(), indent=1))
    console.print(
        f"storm: {'ok' if report.clean else 'WRONG'}; all of it: {OUT / 'storm.json'}", markup=False
    )
    return report.clean


if __name__ == "__main__":
    words = sys.argv[3:]
    sys.exit(
        main(
            float(sys.argv[1]),
            int(sys.argv[2]),
            timed="storm-only" not in words,
            tolerance="no-tolerance" not in words,
        )
    )
