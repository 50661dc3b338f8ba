"""What a run says as it is stopped: whether the same command goes on from there."""

import sys
from _thread import interrupt_main
from collections.abc import Callable
from threading import Timer
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_S: Final = 0.05  # after a lost Ctrl-C; the code that lost it is short


class Interruption:
    """Says, where a run is stopped, whether the same command goes on from there.

    Python drops a Ctrl-C that arrives while a weak reference or a finalizer is at work, and a run would go on
    as if nobody had typed it; so it comes once more.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._unraisable = sys.unraisablehook
        self.log_lasts = False  # whether what is published by now outlives this process

    def __enter__(self) -> Self:
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._lost
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        sys.unraisablehook = self._unraisable
        if kind is KeyboardInterrupt:
            how = "goes on from here" if self.log_lasts else "begins again: nothing is kept of this run"
            self._say(f"stopped: the same command {how}")

    def _lost(self, lost: "UnraisableHookArgs") -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            Timer(AGAIN_S, interrupt_main).start()
        else:
            self._unraisable(lost)
