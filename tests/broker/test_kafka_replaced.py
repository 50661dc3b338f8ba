"""Laws of a worker that stood still and was replaced: it stops, and its heir does not notice."""

from collections.abc import Sequence
from time import monotonic
from typing import Final

import pytest

from app.commit.producers import Producers
from tests.contract.bus.conftest import HASTY
from tests.contract.bus.scenes import Member, Scene, turn_until
from tests.stage.day_runs import until
from topics.block import TopicPartition
from topics.bus import AbortableError, FencedError, Position
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(35)]

STATIC: Final = {**HASTY, "consumer.group.instance.id": "slot"}
FORGETFUL: Final = {
    **STATIC,
    "consumer.session.timeout.ms": "3000",
    "consumer.max.poll.interval.ms": "3000",
    "producer.transaction.timeout.ms": "1000",
}
FENCED: Final = "another producer took the transactional id|another client took"
STANDS_STILL_S: Final = 4.5
NOTICED_S: Final = 1.0  # many heartbeats


class Worker(Member):
    """A member with the producers of its slot, which does with lost partitions what a worker does."""

    def __init__(self, bus: KafkaBus, group: str, topic: str) -> None:
        self.place = TopicPartition(topic, 0)
        self.producers = Producers(bus, f"{group}-slot", lambda: False, exactly_once=True)
        super().__init__(bus, group, [topic])

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        super().lost(partitions)
        if self.producers.open:
            self.producers.undo(AbortableError("tasks lost"))

    def rejoining(self) -> None:
        self.producers.require_slot(self.consumer, self.place)

    def close(self) -> None:
        self.consumer.close()
        self.producers.close()


def stand_still() -> None:
    """Until the client of a member that does not poll has given its place up, and has forgotten it."""
    until_s = monotonic() + STANDS_STILL_S
    until(lambda: monotonic() > until_s, "a client has given its place up")


def is_fenced(zombie: Worker) -> None:
    """The zombie finds out that it was replaced."""
    with pytest.raises(FencedError, match=FENCED):
        turn_until([zombie], lambda: False)
    zombie.close()


def goes_on(heir: Worker) -> None:
    """Nobody has taken the heir's place, nor its transactional id."""
    told = list(heir.diary)
    until_s = monotonic() + NOTICED_S
    while monotonic() < until_s:
        heir.turn()
    assert heir.diary == told
    heir.producers.transaction().send_offsets({heir.place: Position(1)}, heir.consumer)
    heir.producers.transaction().commit()
    heir.producers.done()
    assert heir.consumer.committed([heir.place]) == {heir.place: Position(1)}
    heir.close()


def owns(worker: Worker) -> bool:
    return worker.owned == {worker.place}


def heir_of(zombie: Worker, bus: KafkaBus, group: str) -> Worker:
    heir = Worker(bus, group, zombie.place.topic)
    turn_until([heir], lambda: owns(heir))
    return heir


def test_a_member_that_was_replaced_does_not_take_its_place_back(kafka_bootstrap: str) -> None:
    bus = KafkaBus(kafka_bootstrap, STATIC)
    scene = Scene(bus)
    topic, group = scene.topic(), scene.name("group")
    zombie = Worker(bus, group, topic)
    turn_until([zombie], lambda: owns(zombie))
    heir = heir_of(zombie, bus, group)
    is_fenced(zombie)
    goes_on(heir)


@pytest.mark.parametrize("sent", ["nothing sent", "sent too long ago"])
def test_a_member_that_forgot_who_it_was_and_was_replaced_does_not_join_again(
    kafka_bootstrap: str, sent: str
) -> None:
    """A transaction that is older than its timeout does not tell whether another took the id."""
    bus = KafkaBus(kafka_bootstrap, FORGETFUL)
    scene = Scene(bus)
    topic, group = scene.topic(), scene.name("group")
    zombie = Worker(bus, group, topic)
    turn_until([zombie], lambda: owns(zombie))
    if sent == "sent too long ago":
        zombie.producers.transaction().produce(topic, partition=0, key=None, value=b"too late")
    stand_still()
    heir = heir_of(zombie, bus, group)
    is_fenced(zombie)
    goes_on(heir)


@pytest.mark.parametrize("second", ["an heir", "its own, forgotten"])
def test_a_member_turned_away_as_it_joins_again_asks_who_has_its_transactional_id(
    kafka_bootstrap: str, second: str
) -> None:
    """The group cannot tell an heir from an earlier request of the member's own to join."""
    bus, plain = KafkaBus(kafka_bootstrap, FORGETFUL), KafkaBus(kafka_bootstrap, HASTY)
    scene = Scene(plain)
    topic, group = scene.topic(partitions=2), scene.name("group")
    member, other = Worker(bus, group, topic), Member(plain, group, [topic])
    turn_until([member, other], lambda: len(member.owned) == len(other.owned) == 1)
    until_s = monotonic() + STANDS_STILL_S
    turn_until([other], lambda: monotonic() > until_s and len(other.owned) == 2)
    turn_until([member], lambda: not member.owned)
    admin = plain.admin()
    turn_until([member], lambda: admin.group(group).state == "rebalancing")
    # Its request to join waits for the other one; the next by its name has it turned away.
    if second == "an heir":
        heir = Worker(bus, group, topic)
        is_fenced(member)
        turn_until([heir, other], lambda: len(heir.owned) == len(other.owned) == 1)
        heir.close()
    else:
        forgotten = Member(bus, group, [topic])
        turn_until([member, other], lambda: len(member.owned) == len(other.owned) == 1)
        forgotten.consumer.close()
        member.close()
    other.consumer.close()
