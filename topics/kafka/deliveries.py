"""Deliveries: which messages of a producer are on their way, counted by the stretch between two marks."""

from collections import deque
from collections.abc import Callable
from typing import Any


class Deliveries:
    """Counts messages sent, with `sent`, and settled, as the client calls `on_delivery` for each.

    Messages of different partitions overtake each other, so one count of all could not say which are there.
    """

    def __init__(self, on_failure: Callable[[Any, Any], None]) -> None:
        self._on_failure = on_failure
        self._passed = 0  # stretches that are complete and forgotten
        self._stretches = deque([_Stretch(on_failure)])

    @property
    def on_delivery(self) -> Callable[[Any, Any], None]:
        """The callback for the delivery report of a message produced now."""
        return self._stretches[-1].settle

    def sent(self) -> None:
        """A message was taken by the client."""
        self._stretches[-1].under_way += 1

    def mark(self) -> int:
        """End a stretch; return the name of its end."""
        self._stretches.append(_Stretch(self._on_failure))
        return self._passed + len(self._stretches) - 1

    def reached(self, mark: int) -> bool:
        """Whether every message sent before the mark has its delivery report."""
        while len(self._stretches) > 1 and self._stretches[0].under_way == 0:
            self._stretches.popleft()
            self._passed += 1
        return self._passed >= mark


class _Stretch:
    """The messages between two marks."""

    def __init__(self, on_failure: Callable[[Any, Any], None]) -> None:
        self.under_way = 0
        self._on_failure = on_failure

    def settle(self, error: Any, message: Any) -> None:
        """Count a message in, however it went."""
        self.under_way -= 1
        if error is not None:
            self._on_failure(error, message)
