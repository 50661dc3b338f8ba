"""Tells that a client waits for a broker once an outage, not at each attempt to connect."""

from collections.abc import Callable
from typing import Any


class Outage:
    """What `on_wait` has heard since the client last got through."""

    def __init__(self, on_wait: Callable[[str], None]) -> None:
        self._on_wait = on_wait
        self._logged: set[str] = set()

    def tell(self, error: Any) -> None:
        """Pass on the client's words, the first time an error of this name comes up."""
        if error.name() not in self._logged:
            self._logged.add(error.name())
            self._on_wait(error.str())

    def over(self) -> None:
        """Note that the client got through: the next error is another outage."""
        self._logged.clear()
