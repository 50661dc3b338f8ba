"""Plays one fault and says how it went: the figures, the seconds, and what went wrong beside them."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final

from tests.broker.chaos.faults import Fault
from tests.broker.chaos.stage import staged
from tests.broker.chaos.theatre import Theatre
from tests.broker.chaos.verifier import Figures
from tests.stage.reference_graph import FEED_NAMES, reference_graph


@dataclass(slots=True)
class Outcome:
    """How one performance went; `failed` is empty where the scene went as it should."""

    name: str
    seed: int
    figures: Figures = field(default_factory=Figures)
    seconds: float = 0.0
    recovered_s: list[float] = field(default_factory=list)
    note: str = ""
    failed: str = ""
    not_run: str = ""

    @property
    def clean(self) -> bool:
        """Whether everything that was promised was kept, as far as it was played."""
        return self.figures.clean and not self.failed

    def record(self) -> dict[str, Any]:
        """The outcome as JSON takes it."""
        return asdict(self)


GRAPH: Final = {"graph": reference_graph(FEED_NAMES)}


def play(fault: Fault, theatre: Theatre, folder: Path, seed: int, *, graph: bool = True) -> Outcome:
    """Play a fault on a stage of its own; raises nothing that the scene raised but KeyboardInterrupt.

    Behind the join is the reference graph, of thirty features and two outputs, or with `graph` False nothing.
    """
    outcome = Outcome(fault.name, seed, not_run=fault.needs(theatre))
    if outcome.not_run:
        return outcome
    begun_s = monotonic()
    try:
        bootstrap = theatre.own().bootstrap if fault.broker == "own" else theatre.shared
        with staged(
            bootstrap,
            folder,
            seed,
            {**fault.tables, **(GRAPH if graph else {})},
            base_ns=time_ns() // 10**9 * 10**9 if fault.wall else None,
            registry_url=theatre.registry().url if fault.registry == "http" else None,
        ) as stage:
            try:
                fault.play(stage, theatre)
                outcome.figures = stage.figures()
            except Exception:
                outcome.note = stage.account()
                raise
            outcome.note, outcome.recovered_s = stage.note, stage.recovered_s
    except Exception as raised:
        outcome.failed = f"{type(raised).__name__}: {raised}"
    outcome.seconds = monotonic() - begun_s
    return outcome
