"""A slot given up for good: its tasks go to the other workers at once, not after its session."""

from collections.abc import Callable
from typing import NamedTuple

from app.config import Settings
from app.errors import UsageError
from app.wiring.slot import Occupant, member_in, occupant_of, require_free_slot
from topics.bus import Bus


class Drained(NamedTuple):
    """What became of a slot: its partitions, how many workers are left for them, who was in it last."""

    partitions: int
    workers: int
    last: Occupant | None


def drain(bus: Bus, settings: Settings, *, take_over: bool, say: Callable[[str], None]) -> Drained | None:
    """Take the slot of the settings out of its group; None where the group does not have it.

    A static member keeps its place as it ends, so that a restart finds its tasks; the broker takes the place
    away with the session alone.  A worker that still runs is left alone, unless `take_over`: then it stops,
    and what it has not committed is done again by the others.  Raises UsageError naming it, BusError where
    the group does not answer.
    """
    if settings.bus.group_protocol != "classic" or not settings.worker.static_member:
        raise UsageError(
            "these workers are no static members: each gives its tasks up as it stops, so stop it; of "
            "one that was killed they come free with its session"
        )
    admin, group = bus.admin(), settings.pipeline.prefix
    member = member_in(admin, settings)
    if member is None:
        return None
    last = occupant_of(admin, settings)
    if not take_over:
        require_free_slot(admin, settings, say=say)
        member = member_in(admin, settings)
        if member is None:  # its session ended meanwhile
            return None
    topics = [settings.topic(name) for name in settings.stream_names]
    bus.vacate(group=group, client_id=member.client_id, topics=topics)
    return Drained(len(member.partitions), len(admin.group(group).members), last)
