"""Tells that a client waits for a broker once an outage, not at each attempt to connect."""

from collections.abc import Callable
from typing import Any, Final

from topics.kafka_settings import LOGGER

_ERROR: Final = "ERROR"  # the facility under which librdkafka logs errors for which there is no callback


class Outage:
    """What `on_wait` has heard since the client last got through."""

    def __init__(self, on_wait: Callable[[str], None]) -> None:
        self._on_wait = on_wait
        self._told: set[str] = set()

    def tell(self, error: Any) -> None:
        """Pass on the client's words, the first time an error of this name comes up."""
        if error.name() not in self._told:
            self._told.add(error.name())
            self._on_wait(error.str())

    def log(self, level: int, _form: str, facility: str, client: str, words: str) -> None:
        """Be the client's logger: pass on what it logs, and its errors to whoever waits."""
        LOGGER.log(level, "%s [%s] %s", facility, client, words)
        if facility == _ERROR and _ERROR not in self._told:
            self._told.add(_ERROR)
            self._on_wait(words)

    def over(self) -> None:
        """Note that the client got through: the next error is another outage."""
        self._told.clear()
