"""The theatre: the brokers and the registry that scenes are played on, started when the first one asks."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.broker.chaos.own_broker import OwnBroker, own_broker
from tests.contract.registry.http_registry import HttpRegistry, http_registry


class Theatre:
    """Holds what scenes share; `shared` is the address of the broker that nobody harms."""

    def __init__(self, shared: str, folder: Path) -> None:
        self.shared = shared
        self.folder = folder
        self._open = ExitStack()
        self._own: OwnBroker | None = None
        self._registry: HttpRegistry | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def own(self) -> OwnBroker:
        """A broker that may be killed."""
        if self._own is None:
            self._own = self._open.enter_context(own_broker(self.folder / "kafka"))
        return self._own

    def registry(self) -> HttpRegistry:
        """A schema registry on loopback that can be told to fail."""
        if self._registry is None:
            self._registry = self._open.enter_context(http_registry())
        return self._registry
