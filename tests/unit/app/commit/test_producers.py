"""The transactional producer of a worker: which error has it thrown away, and what is asked before."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import pytest

from app.commit.producers import Producers
from topics.block import TopicPartition
from topics.bus import AbortableError, BusError, ExpiredError, FencedError, Producer, UnknownOutcomeError
from topics.memory.bus import MemoryBus

SOURCE = TopicPartition("quote", 0)


class Aborting:
    """A producer whose aborts and positions fail with what it is given."""

    def __init__(self, failure: BusError | None, refusal: BusError | None = None) -> None:
        self.closed = False
        self.sent = 0
        self._failure = failure
        self._refusal = refusal

    def begin(self) -> None: ...

    def send_offsets(self, *_: object) -> None:
        self.sent += 1
        if self._refusal is not None:
            raise self._refusal

    def abort(self) -> None:
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.closed = True


class OneBus(MemoryBus):
    """Gives out producers; aborts of the first fail with `failure`, positions of all with `refusal`."""

    def __init__(self, failure: BusError | None = None, refusal: BusError | None = None) -> None:
        super().__init__()
        self.ids: list[object] = []
        self._refusal = refusal
        self.made: list[Aborting] = []
        self._failure = failure

    def producer(self, **given: Any) -> Any:
        self.ids.append(given["transactional_id"])
        self.made.append(Aborting(self._failure if not self.made else None, self._refusal))
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


def ask(bus: OneBus) -> Producers:
    """Producers of a worker whose tasks were lost; has it its slot?"""
    made = producers(bus, lambda: False)
    made.undo(AbortableError("tasks lost"), lost=True)
    made.require_slot(bus.consumer(group="group"), SOURCE)
    return made


@pytest.mark.parametrize("refusal", [None, AbortableError("the group has no such member")])
def test_a_slot_that_nobody_else_has_is_kept_with_its_producer(refusal: BusError | None) -> None:
    bus = OneBus(refusal=refusal)
    ask(bus).transaction()
    assert bus.ids == ["id"]
    assert bus.made[0].sent == 1


def test_a_slot_that_another_worker_has_stops_this_one() -> None:
    with pytest.raises(FencedError, match="of another"):
        ask(OneBus(refusal=FencedError("the id is of another")))


@pytest.mark.parametrize("failure", [ExpiredError("too old"), UnknownOutcomeError("no answer")])
@pytest.mark.parametrize("refusal", [None, FencedError("the place is of another")])
def test_where_the_producer_cannot_tell_one_with_another_id_asks_for_the_place(
    failure: BusError, refusal: BusError | None
) -> None:
    bus = OneBus(failure, refusal)
    with nullcontext() if refusal is None else pytest.raises(FencedError, match="the place is of another"):
        ask(bus)
    assert bus.ids == ["id", "id:place"]
    assert [(one.sent, one.closed) for one in bus.made] == [(0, False), (1, True)]


def test_without_an_answer_the_worker_proves_its_place_before_it_takes_its_id_again() -> None:
    bus = OneBus(refusal=UnknownOutcomeError("no answer"))
    with pytest.raises(AbortableError, match="no place in its group now"):
        ask(bus).transaction()
    assert bus.ids == ["id"]
