"""How far tasks that were opened have come in reading again what an earlier life had read."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from app.process.meter import Meter
from app.task.task import Task


class Rereading:
    """Shows one reading over all inputs of all tasks that are not caught up."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._shown = ExitStack()
        self._offsets = 0
        self._seen: Callable[[int], None] = lambda _: None

    def show(self, tasks: Iterable[Task]) -> None:
        """Show how far it is; begins anew where tasks have come or gone, and ends with the last offset."""
        behind = [r for task in tasks if not task.operator.inputs.caught_up for r in task.readings.values()]
        offsets = sum(reading.to_reread() for reading in behind)
        if offsets != self._offsets:
            self.close()
            self._offsets = offsets
            self._seen = self._shown.enter_context(self._meter.reading("inputs again", 0, offsets))
        if offsets:
            self._seen(sum(reading.reread() for reading in behind))

    def close(self) -> None:
        """Show nothing any more."""
        self._shown.close()
        self._offsets = 0
