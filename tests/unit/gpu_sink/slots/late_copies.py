"""A card in miniature: two streams that do their work late and out of step, in an order drawn from a seed."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from gpu_sink.columns.layout import Bytes, ColumnPlace, page_aligned


class Event:
    """Recorded on a stream; done when the stream has come to it."""

    def __init__(self) -> None:
        self.done = False


class LateCopies:
    """A copy engine whose copies happen at some later step, or when somebody waits for them.

    `launch` is the consumer's: what it is given runs on the consumer's stream, so just as late.
    """

    device = "late"

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._copies: deque[Callable[[], bool]] = deque()
        self._consumer: deque[Callable[[], bool]] = deque()
        self.copy_count = 0

    def allocate(self, size: int) -> tuple[Bytes, Any]:
        """Two blocks that do not know of each other."""
        target = page_aligned(size)
        target[:] = 0xAA
        return page_aligned(size), target

    def copy(self, host: Bytes, target: Any, used: Event | None) -> Event:
        """Queue the copy behind what the consumer still does with the target."""

        def run() -> None:
            target[:] = host
            self.copy_count += 1

        copied = Event()
        if used is not None:
            self._copies.append(lambda: used.done)
        self._copies.append(_work(run))
        self._copies.append(_record(copied))
        self._some_steps()
        return copied

    def wait(self, copied: Event) -> None:
        """Step until the copy is done."""
        while not copied.done:
            self._step()

    def join(self, copied: Event) -> None:
        """Let the consumer's stream wait; the host goes on."""
        self._consumer.append(lambda: copied.done)
        self._some_steps()

    def used(self) -> Event:
        """An event behind what was launched."""
        used = Event()
        self._consumer.append(_record(used))
        return used

    def view(self, target: Any, place: ColumnPlace, rows: int) -> Any:
        """A view, to be read by what is launched."""
        field = place.field
        array = target[place.offset : place.offset + place.size].view(field.dtype)
        return array.reshape(rows, *field.row_shape)

    def own(self, column: Any) -> Any:
        """A copy as it is once the consumer's stream has come there."""
        self.close()
        return column.copy()

    def close(self) -> None:
        """Step until both streams are empty."""
        while self._copies or self._consumer:
            self._step()

    def launch(self, kernel: Callable[[], None]) -> None:
        """Queue work of the consumer."""
        self._consumer.append(_work(kernel))
        self._some_steps()

    def _some_steps(self) -> None:
        for _ in range(self._draw.randrange(4)):
            self._step()

    def _step(self) -> None:
        stream = self._draw.choice(
            [stream for stream in (self._copies, self._consumer) if stream] or [deque()]
        )
        if stream and stream[0]():
            stream.popleft()


def _work(run: Callable[[], None]) -> Callable[[], bool]:
    def step() -> bool:
        run()
        return True

    return step


def _record(event: Event) -> Callable[[], bool]:
    def step() -> bool:
        event.done = True
        return True

    return step
