"""The inputs' partition counts: asked again of a new client, and refused with the figures."""

from collections.abc import Callable, Sequence

import pytest

from app.commit.input_counts import InputCounts
from app.errors import RunError
from topics.bus import BusUnavailableError, TopicSpec
from topics.memory.admin import MemoryAdmin
from topics.memory.bus import MemoryBus


class Forgetful(MemoryBus):
    """A bus whose first `lost` clients never find a broker."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.made = 0
        self._lost = lost

    def admin(self) -> MemoryAdmin:
        self.made += 1
        return MemoryAdmin(self._store) if self.made > self._lost else Lost(self._store)


class Lost(MemoryAdmin):
    """A client that has lost its broker for good."""

    def request_counts(self, names: Sequence[str]) -> Callable[[], dict[str, int]]:
        def answer() -> dict[str, int]:
            raise BusUnavailableError("no broker")

        return answer


def bus_with(bus: MemoryBus, **partitions: int) -> MemoryBus:
    specs = [TopicSpec(name=name, partitions=count, configs={}) for name, count in partitions.items()]
    MemoryBus.admin(bus).create(specs)  # no client of those that are counted
    return bus


def test_a_client_that_lost_its_broker_is_replaced() -> None:
    bus = Forgetful(lost=1)
    bus_with(bus, trade=2, quote=2)
    counts = InputCounts(bus, ["trade", "quote"], 2)
    counts.ask()
    counts.require()
    counts.require()
    assert bus.made == 2, "one that is lost, and one for all questions from then on"


class Slow(MemoryBus):
    """A bus whose clients answer from the third question on."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def admin(self) -> MemoryAdmin:
        self.made += 1
        return SlowClient(self._store)


class SlowClient(Lost):
    """A client that takes two questions to log in."""

    asked = 0

    def request_counts(self, names: Sequence[str]) -> Callable[[], dict[str, int]]:
        self.asked += 1
        return (MemoryAdmin if self.asked > 2 else Lost).request_counts(self, names)


def test_a_client_that_takes_long_to_log_in_is_kept() -> None:
    bus = Slow()
    bus_with(bus, trade=2)
    InputCounts(bus, ["trade"], 2).require()
    assert bus.made == 1


def test_another_count_is_refused_with_all_of_them() -> None:
    bus = bus_with(MemoryBus(), trade=2, quote=3)
    with pytest.raises(RunError, match="trade has 2, quote has 3 partitions"):
        InputCounts(bus, ["trade", "quote"], 2).require()


def test_counts_that_are_equal_and_wrong_are_refused_too() -> None:
    counts = InputCounts(bus_with(MemoryBus(), trade=4, quote=4), ["trade", "quote"], 2)
    with pytest.raises(RunError, match=r"bus\.partitions = 2, but trade has 4, quote has 4 partitions"):
        counts.require()
