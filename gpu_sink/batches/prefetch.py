"""Batches made ahead: a thread fills slots as long as one is free, else it pauses the source."""

from collections.abc import Callable
from threading import Thread
from typing import Final, Protocol

from gpu_sink.batches.fill import Content
from gpu_sink.reading.source import FrameReader
from gpu_sink.slots.ring import Ring, Slot

PAUSE_AFTER_S: Final = 1.0  # a consumer that holds all slots this long is slow, and the source is paused
LOOK_AGAIN_S: Final = 0.5  # bounds how long an interrupt waits

Fill = Callable[[Slot], Content | None]


class FilledSlots(Protocol):
    """Where the consumer's slots come from."""

    def next(self) -> Slot | None:
        """Return the next filled slot, None at the end; raises the errors of filling."""
        ...

    def close(self) -> None:
        """Fill no more."""
        ...


class OnDemand:
    """Fills a slot when the consumer calls for it, in the consumer's thread."""

    def __init__(self, ring: Ring, fill: Fill) -> None:
        self._ring = ring
        self._fill = fill

    def next(self) -> Slot | None:
        """Fill the next slot and return it."""
        slot = self._ring.acquire(0)
        assert slot is not None, "the batch before was not released"
        content = self._fill(slot)
        if content is None:
            return None
        self._ring.submit(slot, content)
        return self._ring.take(0)

    def close(self) -> None:
        """Nothing runs."""


class Prefetcher:
    """Fills slots in a thread of its own, as many ahead as the ring has."""

    def __init__(self, ring: Ring, fill: Fill, reader: FrameReader, stop: Callable[[], None]) -> None:
        """`stop` makes a fill that waits for rows return None."""
        self._ring = ring
        self._fill = fill
        self._reader = reader
        self._stop = stop
        self._stopped = False
        self._ended = False
        self._raised: BaseException | None = None
        self._thread = Thread(target=self._work, name="gpu-sink-prefetch", daemon=True)
        self._thread.start()

    def next(self) -> Slot | None:
        """Return the next filled slot; what filling raised comes after the slots filled before it."""
        while True:
            ended = self._ended  # looked at before the ring: what was filled by then is found there
            slot = self._ring.take(0 if ended else LOOK_AGAIN_S)
            if slot is not None:
                return slot
            if ended:
                if self._raised is not None:
                    raise self._raised
                return None

    def close(self) -> None:
        """Stop the thread and wait for it."""
        self._stopped = True
        self._stop()
        self._ring.close()
        self._thread.join()

    def _work(self) -> None:
        try:
            while (slot := self._free_slot()) is not None:
                content = self._fill(slot)
                if content is None:
                    break
                self._ring.submit(slot, content)
        except BaseException as raised:  # it is the consumer's to see, in its own thread
            self._raised = raised
        self._ended = True
        self._ring.close()

    def _free_slot(self) -> Slot | None:
        """A slot to fill, None once stopped; the source is paused while the consumer is far behind."""
        slot = self._ring.acquire(PAUSE_AFTER_S)
        if slot is None and not self._stopped:
            self._reader.pause()
            while slot is None and not self._stopped:
                slot = self._ring.acquire(LOOK_AGAIN_S)
            if slot is not None:
                self._reader.resume()
        return None if self._stopped else slot
