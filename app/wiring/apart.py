"""Code of somebody else, run apart: what it sets stays its own, and however it ends, that is an exception.

NumPy's handling of errors and the context of decimals are settings of the whole thread: a file that sets them
would change, or end, what other nodes compute.
"""

import decimal
import sys
import warnings
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, ParamSpec, TypeVar

from app.process.watchdog import Watchdog

P = ParamSpec("P")
T = TypeVar("T")

FIND: Final = "pickle.find_class"  # the event of Python's audit for each name that a pickle has looked up
_unpickles: Final[ContextVar[bool]] = ContextVar("_unpickles", default=True)
_hooks: Final[list[str]] = []  # that are set; Python takes none back


class Ended(Exception):
    """What ends a call and is no exception: `sys.exit`, or a panic of a library such as Polars."""


class PickleFound(Exception):
    """A model would be made out of a pickle, which runs what is in it."""


class Apart:
    """Runs code of one file of somebody else.

    What the file sets as it is loaded holds in its calls; what a call sets, in that call alone.
    """

    def __init__(self) -> None:
        self._context = _own(copy_context())

    def load(self, run: Callable[[], T]) -> T:
        """Load the file."""
        with warnings.catch_warnings():
            return self._context.run(lambda: _ended(run))

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something of it; an interrupt passes, all else is an Exception."""
        return _own(self._context.copy()).run(lambda: _ended(function, *args, **kwargs))


class Timed:
    """Calls something of a file within a time limit."""

    def __init__(self, apart: Apart, watchdog: Watchdog) -> None:
        self.apart = apart
        self._watchdog = watchdog

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Apart.call`."""
        with self._watchdog.over():
            return self.apart.call(function, *args, **kwargs)


def without_pickle(load: Callable[[bytes], T], raw: bytes) -> T:
    """What `load` makes of bytes; raises PickleFound where it looks anything up for a pickle among them.

    The source of a model is looked through as well, but there are more ways to a pickle than names for them.
    """
    if not _hooks:
        sys.addaudithook(_refuse)
        _hooks.append(FIND)
    token = _unpickles.set(False)
    try:
        return load(raw)
    finally:
        _unpickles.reset(token)


def _refuse(event: str, found: tuple[Any, ...]) -> None:
    if event == FIND and not _unpickles.get():
        raise PickleFound(
            f"it makes {'.'.join(map(str, found))} out of a pickle, which runs what is in it: no model is "
            "kept in one"
        )


def _own(context: Context) -> Context:
    """The same, with a context of decimals that is no other's: copies share theirs."""
    context.run(lambda: decimal.setcontext(decimal.getcontext().copy()))
    return context


def _ended(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as end:
        raise Ended(f"{type(end).__name__}: {end}").with_traceback(end.__traceback__) from None
