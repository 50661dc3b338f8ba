"""How long a run takes, and how much of that each of its stages, which follow one another."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.process.clock import monotonic_ns
from schemas.clocks import NS_PER_S


class Stages:
    """Seconds by stage, in the order in which they came; what runs beside a stage has none."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begun_ns = monotonic_ns()

    @property
    def took(self) -> float:
        """Seconds since it was made."""
        return (monotonic_ns() - self._begun_ns) / NS_PER_S

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of what happens meanwhile as `name`."""
        begun = self.took
        yield
        self.add(name, self.took - begun)

    def add(self, name: str, seconds: float) -> None:
        """Count seconds as `name`; a stage that comes again adds to itself."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
