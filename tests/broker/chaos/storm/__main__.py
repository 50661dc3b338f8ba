"""A storm of faults under 20,000 rows/s: `make storm MINUTES=30 SEED=1`; `RESTARTS` alone times restarts.

Everything drawn comes from the seed, so the same call plays the same events.  The report is printed and lies,
with each event, in build/chaos/storm.json; the workers' logs are kept beside it where something went wrong.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console

from tests.broker.chaos.storm.events import drawn
from tests.broker.chaos.storm.play import storm
from tests.broker.chaos.storm.report import events, kinds

OUT: Final = Path(__file__).resolve().parents[4] / "build/chaos"
EVENTS_PER_MINUTE_MAX: Final = 60
WIDTH: Final = 150  # where nobody looks at it now
console = Console() if Console().is_terminal else Console(width=WIDTH)


def main(minutes: float, seed: int, *, tolerance: bool) -> int:
    """Play a storm; exit code 1 where anything was wrong."""
    OUT.mkdir(parents=True, exist_ok=True)
    planned = drawn(seed, int(EVENTS_PER_MINUTE_MAX * minutes) + 1)
    with TemporaryDirectory(prefix="tidemark-storm-") as name:
        report = storm(Path(name), seed, planned, 60 * minutes, tolerance=tolerance)
        if not report.clean:
            kept = OUT / f"storm-{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(name, kept)
            console.print(f"logs, topics and states: {kept}", markup=False)
    for line in events(report.story.struck):
        console.print(line, markup=False)
    console.print(kinds(report.story.struck))
    for line in report.lines():
        console.print(line, markup=False)
    (OUT / "storm.json").write_text(json.dumps(report.record(), indent=1))
    console.print(
        f"storm: {'ok' if report.clean else 'WRONG'}; all of it: {OUT / 'storm.json'}", markup=False
    )
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]), tolerance="last" not in sys.argv[3:]))
