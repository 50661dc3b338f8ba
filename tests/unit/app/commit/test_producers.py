"""The transactional producer of a worker: which error has it thrown away, and what is asked before."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from app.commit.producers import Producers
from topics.bus import AbortableError, BusError, ExpiredError, FencedError, Producer, UnknownOutcomeError
from topics.memory.bus import MemoryBus


class Aborting:
    """A producer whose aborts fail with what it is given."""

    def __init__(self, failure: BusError | None) -> None:
        self.closed = False
        self._failure = failure

    def begin(self) -> None: ...

    def abort(self) -> None:
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.closed = True


class OneBus(MemoryBus):
    """Gives out producers whose aborts fail, the first with `failure`."""

    def __init__(self, failure: BusError | None = None) -> None:
        super().__init__()
        self.made: list[Aborting] = []
        self._failure = failure

    def producer(self, **_: Any) -> Any:
        self.made.append(Aborting(self._failure if not self.made else None))
        return cast("Producer", self.made[-1])


def producers(bus: OneBus, has_place: Callable[[], bool]) -> Producers:
    made = Producers(bus, "id", has_place, exactly_once=True)
    made.transaction()
    return made


def refuse() -> bool:
    raise FencedError("another worker has the place")


def test_what_can_be_aborted_keeps_its_producer() -> None:
    bus = OneBus()
    producers(bus, refuse).undo(AbortableError("try again"))
    assert [one.closed for one in bus.made] == [False]


@pytest.mark.parametrize("undone", [UnknownOutcomeError("no answer"), AbortableError("its abort fails")])
def test_what_is_in_doubt_gets_a_new_producer(undone: BusError) -> None:
    bus = OneBus(BusError("no such transaction"))
    producers(bus, refuse).undo(undone)
    assert [one.closed for one in bus.made] == [True, False]


@pytest.mark.parametrize("undone", [ExpiredError("too old"), AbortableError("its abort finds it too old")])
def test_a_transaction_that_was_too_old_has_its_place_proven_first(undone: BusError) -> None:
    bus = OneBus(ExpiredError("too old"))
    asked: list[int] = []

    def has_place() -> bool:
        asked.append(len(bus.made))
        return True

    made = producers(bus, has_place)
    made.undo(undone)
    assert asked == [1]
    assert [one.closed for one in bus.made] == [True, False]
    made.undo(UnknownOutcomeError("another time"))
    assert asked == [1]


def test_where_another_worker_has_the_place_nothing_of_its_own_is_ended() -> None:
    bus = OneBus(ExpiredError("too old"))
    with pytest.raises(FencedError, match="another worker has the place"):
        producers(bus, refuse).undo(ExpiredError("too old"))
    assert [one.closed for one in bus.made] == [False]


def test_without_a_place_in_the_group_the_id_is_not_taken_until_there_is_one() -> None:
    bus, places = OneBus(), [False, False, True]
    made = producers(bus, lambda: places.pop(0))
    made.undo(ExpiredError("too old"))
    with pytest.raises(AbortableError, match="no place in its group now"):
        made.transaction()
    assert len(bus.made) == 1
    made.transaction()
    assert [one.closed for one in bus.made] == [True, False]
