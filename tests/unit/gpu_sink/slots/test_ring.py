"""The laws of slots that go round, on an engine that copies late and out of step."""

from typing import Any

import numpy as np
import pytest

from gpu_sink.columns.layout import Field, SlotLayout
from gpu_sink.slots.copies import CopyEngine, HostCopies
from gpu_sink.slots.ring import Ring, Slot
from tests.unit.gpu_sink.slots.late_copies import LateCopies

LAYOUT = SlotLayout.of([Field("n", np.dtype(np.int64)), Field("m", np.dtype(np.int32), (2,))], 100)


def seen_by_consumer(engine: LateCopies, slots: int, rounds: int, ahead: int) -> list[set[int]]:
    """What the consumer's kernels read, round by round; the filler is up to `ahead` slots before it."""
    ring = Ring(engine, LAYOUT, slots)
    seen: list[set[int]] = []
    held: Slot | None = None
    filled = 0
    for number in range(rounds):
        while filled < min(rounds, number + ahead) and (slot := ring.acquire(0)) is not None:
            slot.columns["n"][:] = filled
            slot.columns["m"][:] = filled
            ring.submit(slot, filled)
            filled += 1
        if held is not None:
            ring.release(held)
        held = ring.take(0)
        assert held is not None
        assert held.content == number
        views = held.views
        engine.launch(lambda views=views: seen.append({*views["n"].tolist(), *views["m"].ravel().tolist()}))  # type: ignore[misc]
    engine.close()
    return seen


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_every_kernel_reads_its_own_rows_however_late_copies_and_kernels_run(slots: int) -> None:
    for seed in range(60):
        engine = LateCopies(seed)
        assert seen_by_consumer(engine, slots, 25, ahead=slots - 1) == [{n} for n in range(25)]
        assert engine.copy_count == 25


def test_a_ring_that_did_not_wait_would_be_found_out() -> None:
    class NoWaits(LateCopies):
        def wait(self, copied: Any) -> None:
            """Go on at once."""

    class NoJoins(LateCopies):
        def join(self, copied: Any) -> None:
            """Read at once."""

    class NoUses(LateCopies):
        def copy(self, host: Any, target: Any, used: Any) -> Any:
            """Copy over what is still read."""
            return super().copy(host, target, None)

    expected = [{n} for n in range(25)]
    for careless in (NoWaits, NoJoins, NoUses):
        assert any(seen_by_consumer(careless(seed), 3, 25, ahead=2) != expected for seed in range(60))


@pytest.mark.parametrize("engine", [HostCopies(), LateCopies(1)])
def test_a_full_ring_has_no_slot_until_one_is_released(engine: CopyEngine) -> None:
    ring = Ring(engine, LAYOUT, 2)
    for number in range(2):
        slot = ring.acquire(0)
        assert slot is not None
        ring.submit(slot, number)
    assert ring.acquire(0) is None
    first = ring.take(0)
    assert first is not None
    assert ring.acquire(0) is None
    ring.release(first)
    assert ring.acquire(0) is first


def test_slots_are_taken_in_the_order_in_which_they_were_submitted() -> None:
    ring = Ring(HostCopies(), LAYOUT, 3)
    slots = [ring.acquire(0) for _ in range(3)]
    for slot in (slots[2], slots[0], slots[1]):
        assert slot is not None
        ring.submit(slot, None)
    assert [ring.take(0) for _ in range(3)] == [slots[2], slots[0], slots[1]]
    assert ring.take(0) is None


def test_a_slot_cannot_skip_a_state() -> None:
    ring = Ring(HostCopies(), LAYOUT, 1)
    slot = ring.acquire(0)
    assert slot is not None
    with pytest.raises(AssertionError):
        ring.release(slot)


def test_nobody_waits_for_a_closed_ring() -> None:
    ring = Ring(HostCopies(), LAYOUT, 1)
    ring.close()
    assert ring.take(60) is None


def test_columns_and_views_are_one_memory_on_the_host() -> None:
    slot = Ring(HostCopies(), LAYOUT, 1).acquire(0)
    assert slot is not None
    slot.columns["m"][3, 1] = 7
    assert slot.views["m"][3, 1] == 7
    assert slot.views["m"].shape == (100, 2)
