"""How long a worker that was killed takes to seal again, with its local state and without it.

One worker has all 20,000 rows/s of 1,000 symbols, and 60 s of context on the log.  It is killed and started
again: as the forked worker of the other scenes, which has everything imported, and as a new
`python -m app align`.  The time runs until every partition shows rows that are newer than the start.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final

from tests.broker.chaos.own_broker import own_broker
from tests.broker.chaos.storm.events import ELDER
from tests.broker.chaos.storm.setting import TOLERANCE_NS, Setting, set_up
from tests.stage.day_runs import until

ROOT: Final = Path(__file__).resolve().parents[4]
CONTEXT_S: Final = TOLERANCE_NS / 1e9 + 2
TIMES: Final = 3
CAUGHT_UP_S: Final = 2.0
PATIENCE_S: Final = 90.0
PROMISED_S: Final = {"with its state": 3.0, "without it": 15.0}
GENEROUS: Final = 2.0  # a loud machine may take so many times what is promised before it counts as wrong
EXIT_S: Final = 10.0


@dataclass(slots=True)
class Restarts:
    """Seconds of each restart, by (how the worker was started, what it had)."""

    took_s: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether every median is within its generous bound."""
        return all(
            statistics.median(took) <= GENEROUS * PROMISED_S[had] for (_, had), took in self.took_s.items()
        )

    def lines(self) -> list[str]:
        """A line per way of starting."""
        return [
            f"{how} restarted {had}: seals again after p50 {statistics.median(took):.2f} s, "
            f"max {max(took):.2f} s (promised {PROMISED_S[had]:g} s)"
            for (how, had), took in self.took_s.items()
        ]


def restarts(
    folder: Path, *, graph: Mapping[str, Any] | None = None, context_s: float = CONTEXT_S, times: int = TIMES
) -> Restarts:
    """Time restarts on a broker of its own, with `graph` behind the join."""
    with (
        own_broker(folder / "kafka") as broker,
        set_up(broker, folder / "restarts", 1, behind_s=context_s, graph=graph) as setting,
    ):
        setting.feed.start()
        found = Restarts()
        with _forked(setting):
            until(lambda: _lag_s(setting) < CAUGHT_UP_S, "the context is on the log", PATIENCE_S + context_s)
        for how, start in (("worker", _forked), ("python -m app align", _new_process)):
            for had in PROMISED_S:
                found.took_s[how, had] = [_timed(setting, start, had) for _ in range(times)]
        return found


def _timed(setting: Setting, start: Callable[[Setting], AbstractContextManager[None]], had: str) -> float:
    if had == "without it":
        shutil.rmtree(setting.state(ELDER))
    begun_s, begun_ns = monotonic(), setting.feed.now_ns
    with start(setting):
        until(lambda: _shown(setting, begun_s, begun_ns), "every partition shows new rows", PATIENCE_S)
        shown_s = setting.watcher.shown_s(begun_s, begun_ns)
        assert shown_s is not None
        until(lambda: monotonic() - shown_s > CAUGHT_UP_S, "its state is written down")
        setting.watcher.forget(monotonic())
    return shown_s - begun_s


@contextmanager
def _forked(setting: Setting) -> Iterator[None]:
    hand = setting.crew.hire(ELDER, environment=_environment(setting))
    try:
        yield
    finally:
        assert hand.alive, f"the worker ended by itself:\n{hand.said()}"
        hand.send(signal.SIGKILL)
        hand.died()


@contextmanager
def _new_process(setting: Setting) -> Iterator[None]:
    arguments = ["align", "--config", str(setting.folder / "tidemark.toml"), "--slot", ELDER]
    with (setting.folder / "worker-new.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT,
            env=_as_make(os.environ | _environment(setting)),
            stderr=log,
            stdout=log,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait(EXIT_S)


def _as_make(environment: dict[str, str]) -> dict[str, str]:
    """The environment as make gives it on: bytecode is kept, also where we were told to write none."""
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment.setdefault("PYTHONPYCACHEPREFIX", str(ROOT / "build" / "pycache"))
    return environment


def _environment(setting: Setting) -> dict[str, str]:
    return {"TIDEMARK_WORKER__STATE": str(setting.state(ELDER))}


def _lag_s(setting: Setting) -> float:
    return (time_ns() - min(setting.watcher.newest_ns.values())) / 1e9


def _shown(setting: Setting, since_s: float, event_ns: int) -> bool:
    return setting.watcher.shown_s(since_s, event_ns) is not None
