"""How far a long reading has come: a bar on a terminal, elsewhere a line at each quarter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

log = structlog.get_logger()

SHORT = 50_000  # offsets: read within a second, so that a bar would only flicker
QUARTERS = 4


class Meter:
    """Shows readings one after the other."""

    def __init__(self, console: Console | None = None, on_step: Callable[[], None] = lambda: None) -> None:
        """`on_step` is called with each offset that was reached."""
        self._console = console or Console(stderr=True)
        self._on_step = on_step

    @contextmanager
    def reading(self, what: str, start: int, stop: int) -> Iterator[Callable[[int], None]]:
        """Give what is told each offset reached on the way from `start` to `stop`."""
        if stop - start < SHORT:
            yield self._stepping(lambda _: None)
        elif self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            with Progress(*columns, console=self._console, transient=True) as bar:
                task = bar.add_task(what, total=stop - start)
                yield self._stepping(lambda reached: bar.update(task, completed=reached - start))
        else:
            yield self._stepping(_Quarters(what, start, stop))

    def _stepping(self, show: Callable[[int], None]) -> Callable[[int], None]:
        def step(reached: int) -> None:
            self._on_step()
            show(reached)

        return step


class _Quarters:
    """One log line per quarter, however many steps there are."""

    def __init__(self, what: str, start: int, stop: int) -> None:
        self._what, self._start, self._stop = what, start, stop
        self._reported = 0

    def __call__(self, reached: int) -> None:
        quarter = QUARTERS * (reached - self._start) // (self._stop - self._start)
        if quarter > self._reported:
            self._reported = quarter
            log.info("reading", what=self._what, offset=reached, of=self._stop)
