"""The same work on several things at once, in threads: for work that waits, or lets the interpreter go."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_here = threading.local()


class GivenUpError(Exception):
    """Nobody waits for the result any more."""


def each(work: Callable[[_Item], _Result], items: Sequence[_Item], *, threads: int) -> list[_Result]:
    """Return the results of `work` on each item, in their order, or raise what the first that failed raised.

    Where that, or Ctrl-C, ends the waiting, what is under way ends at its next `require_wanted`.
    """
    halt = threading.Event()

    def one(item: _Item) -> _Result:
        _here.halt = halt
        require_wanted()
        return work(item)

    with ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(one, items))
        except BaseException:
            halt.set()
            raise


def require_wanted() -> None:
    """Raise GivenUpError in a thread of `each` that nobody waits for any more; elsewhere do nothing."""
    halt: threading.Event | None = getattr(_here, "halt", None)
    if halt is not None and halt.is_set():
        raise GivenUpError
