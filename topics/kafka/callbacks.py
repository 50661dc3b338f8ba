"""Callbacks for the official client that do not keep alive what they belong to, and so the client itself."""

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return a callback that calls a bound method as long as its object lives, and then does nothing.

    The client gives each message a reference to its callback, which the garbage collector does not see: a
    message whose report is never served would else keep its producer, and the client's threads, for ever.
    """
    alive = WeakMethod(method)

    def call(*arguments: Any) -> None:
        if (bound := alive()) is not None:
            bound(*arguments)

    return call
