"""The ring: a fixed number of slots that go round, each reused only when its copy and its consumer are done.

free --acquire--> filling --submit--> copying --take--> held --release--> free
"""

from collections import deque
from collections.abc import Set as AbstractSet
from threading import Condition
from time import monotonic, monotonic_ns
from typing import Any, Literal

from gpu_sink.columns.layout import Bytes, Columns, SlotLayout
from gpu_sink.figures import Waits
from gpu_sink.slots.copies import CopyEngine, Ticket

State = Literal["free", "filling", "copying", "held"]


class Slot:
    """One block and its target; `columns` are filled on the host, `views` read by the consumer."""

    def __init__(
        self, number: int, host: Bytes, target: Any, columns: Columns, views: dict[str, Any]
    ) -> None:
        self.number = number
        self.host = host
        self.target = target
        self.columns = columns
        self.views = views
        self.state: State = "free"
        self.copied: Ticket | None = None
        self.used: Ticket | None = None
        self.rounds = 0
        self.content: Any = None  # what the filler says of the rows; travels with them


class Ring:
    """Slots between one filler and one consumer, which may be two threads."""

    def __init__(
        self, engine: CopyEngine, layout: SlotLayout, slots: int, waits: Waits | None = None
    ) -> None:
        """`waits` counts what either side waits for."""
        assert slots > 0
        self._engine = engine
        self._waits = waits or Waits()
        self.slots = [_slot(engine, layout, number) for number in range(slots)]
        self._free = deque(self.slots)
        self._full: deque[Slot] = deque()
        self._changed = Condition()
        self._closed = False

    def hide(self, names: AbstractSet[str]) -> None:
        """Keep columns from the consumer that only the filler needs."""
        for slot in self.slots:
            for name in names & slot.views.keys():
                del slot.views[name]

    def acquire(self, wait_s: float) -> Slot | None:
        """Return a slot to fill, None if the consumer held all of them for `wait_s`."""
        begun_ns = monotonic_ns()
        with self._changed:
            is_free = self._wait_for(self._free, wait_s)
            self._waits.add("slot", begun_ns)
            if not is_free:
                return None
            slot = self._free.popleft()
            _go(slot, "free", "filling")
        if slot.rounds:
            begun_ns = monotonic_ns()
            self._engine.wait(slot.copied)
            self._waits.add("copy", begun_ns)
        slot.rounds += 1
        return slot

    def submit(self, slot: Slot, content: Any) -> None:
        """Begin to copy a filled slot; it is taken after those submitted before."""
        assert slot.state == "filling"
        slot.content = content
        slot.copied = self._engine.copy(slot.host, slot.target, slot.used)
        with self._changed:
            _go(slot, "filling", "copying")
            self._full.append(slot)
            self._changed.notify_all()

    def take(self, wait_s: float) -> Slot | None:
        """Return the next slot for the consumer to read, None if no slot was submitted for `wait_s`."""
        begun_ns = monotonic_ns()
        with self._changed:
            is_full = self._wait_for(self._full, wait_s)
            self._waits.add("consumer", begun_ns)
            if not is_full:
                return None
            slot = self._full.popleft()
            _go(slot, "copying", "held")
        self._engine.join(slot.copied)
        return slot

    def release(self, slot: Slot) -> None:
        """The consumer has begun all it will ever do with a slot."""
        assert slot.state == "held"
        slot.used = self._engine.used()
        slot.content = None
        with self._changed:
            _go(slot, "held", "free")
            self._free.append(slot)
            self._changed.notify_all()

    def close(self) -> None:
        """End the ring: slots already submitted can still be taken, and neither side waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wait_for(self, slots: deque[Slot], wait_s: float) -> bool:
        until_s = monotonic() + wait_s
        while not slots and not self._closed:
            left_s = until_s - monotonic()
            if left_s <= 0 or not self._changed.wait(left_s):
                break
        return bool(slots)


def _slot(engine: CopyEngine, layout: SlotLayout, number: int) -> Slot:
    host, target = engine.allocate(layout.size)
    views = {place.field.name: engine.view(target, place, layout.rows) for place in layout.places}
    return Slot(number, host, target, layout.views(host), views)


def _go(slot: Slot, before: State, after: State) -> None:
    assert slot.state == before, f"slot {slot.number} is {slot.state}, expected {before}"
    slot.state = after
