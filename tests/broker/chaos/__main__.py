"""Plays all faults again and again with new seeds, and prints a row for each: `make chaos MINUTES=n`.

Behind the join is a graph of thirty features with two outputs; `FEATURES=0` plays without one.
The last run's outcomes are in build/chaos/chaos.json.  Exit code 1 where a figure is not 0 or a scene failed.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.features import FORMULAS
from tests.broker.chaos.faults import FAULTS, Fault
from tests.broker.chaos.performance import Outcome, play
from tests.broker.chaos.theatre import Theatre
from tests.stage.kafka_process import find_broker, release_broker

OUT: Final = Path(__file__).resolve().parents[3] / "build/chaos/chaos.json"
FIGURES: Final = ("lost", "duplicated", "changed", "out_of_order", "aborted_seen", "open_transactions")
WIDTH: Final = 150  # of the table where nobody looks at it now
console = Console() if Console().is_terminal else Console(width=WIDTH)


def main(minutes: float, only: str, *, graph: bool) -> int:
    """Play until the minutes are over, every fault at least once; `only` names one, such as F7."""
    broker = find_broker()
    if broker.absent:
        console.print(f"chaos: no broker: {broker.absent}")
        return 2
    faults = [fault for fault in FAULTS if only in ("", fault.code)]
    if not faults:
        console.print(f"chaos: {only} is no fault; they are F1 to F25")
        return 2
    features = len(FORMULAS) if graph else 0
    console.print(f"chaos: {broker.words}; {len(faults)} faults, {minutes:g} minutes, {features} features")
    try:
        with (
            TemporaryDirectory(prefix="tidemark-chaos-") as name,
            Theatre(broker.bootstrap, Path(name)) as hall,
        ):
            outcomes = perform(faults, hall, Path(name), until_s=monotonic() + 60 * minutes, graph=graph)
    finally:
        release_broker(broker)
    console.print(table(faults, outcomes))
    console.print(recoveries(outcomes))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps([outcome.record() for outcome in outcomes], indent=1))
    for failed in (outcome for outcome in outcomes if outcome.failed):
        console.print(f"{failed.name}, seed {failed.seed}: {failed.failed}\n{failed.note}", markup=False)
    console.print(f"all of it: {OUT}")
    return 0 if all(outcome.clean for outcome in outcomes) else 1


def perform(
    faults: Sequence[Fault], theatre: Theatre, folder: Path, until_s: float, *, graph: bool
) -> list[Outcome]:
    """Play the faults in rounds, each round with another seed, until the time has come."""
    outcomes: list[Outcome] = []
    seed = 0
    while not seed or monotonic() < until_s:
        seed += 1
        for number, fault in enumerate(faults):
            if seed > 1 and (monotonic() >= until_s or outcomes[number].not_run):
                continue
            outcome = play(fault, theatre, folder / f"{seed}-{number}", seed, graph=graph)
            word = "ok" if outcome.clean else "WRONG"
            word = f"not run: {outcome.not_run}" if outcome.not_run else word
            console.print(f"{fault.name}, seed {seed}: {word} ({outcome.seconds:.1f} s)", markup=False)
            if not outcome.clean and not outcome.not_run:
                console.print(f"  {outcome.failed or outcome.figures}", markup=False)
            outcomes.append(outcome)
    return outcomes


def table(faults: Sequence[Fault], outcomes: Sequence[Outcome]) -> Table:
    """A row per fault: the sum of each figure over its runs, and why it was not run where it was not."""
    shown = Table(
        "fault", "runs", "rows", "of nodes", *(name.replace("_", " ") for name in FIGURES), "seconds", ""
    )
    for fault in faults:
        mine = [outcome for outcome in outcomes if outcome.name == fault.name]
        skipped = next((outcome.not_run for outcome in mine if outcome.not_run), "")
        if skipped:
            shown.add_row(fault.name, "0", *[""] * (len(FIGURES) + 3), f"not run: {skipped}")
            continue
        sums = [
            sum(getattr(outcome.figures, name) for outcome in mine)
            for name in ("rows", "node_rows", *FIGURES)
        ]
        failed = sum(bool(outcome.failed) for outcome in mine)
        word = f"{failed} failed" if failed else "" if all(outcome.clean for outcome in mine) else "WRONG"
        seconds = sum(outcome.seconds for outcome in mine)
        short = word or ("" if fault.tested else "only here")
        shown.add_row(fault.name, str(len(mine)), *(f"{n:,}" for n in sums), f"{seconds:.1f}", short)
    return shown


def recoveries(outcomes: Sequence[Outcome]) -> str:
    """How long it took until rows were visible again."""
    took = sorted(seconds for outcome in outcomes for seconds in outcome.recovered_s)
    if not took:
        return "no recovery was measured"
    return f"recovery until rows are visible: p50 {statistics.median(took):.2f} s, max {took[-1]:.2f} s"


if __name__ == "__main__":
    features, *rest = sys.argv[2:] or [str(len(FORMULAS))]
    assert int(features) in (0, len(FORMULAS)), f"FEATURES is {len(FORMULAS)}, or 0 for no graph"
    sys.exit(main(float(sys.argv[1]), rest[0] if rest else "", graph=features != "0"))
