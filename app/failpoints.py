"""Failpoints: named moments at which tests let a worker die; at any other time reaching one does nothing."""

from collections.abc import Callable
from typing import Final

# In the order in which a commit reaches them; `app.commit` says what each step does.
COMMIT_BEGIN: Final = "before the transaction begins"
COMMIT_OFFSETS: Final = "before the offsets are sent"
COMMIT_END: Final = "before the transaction is committed"
COMMIT_STATE: Final = "after the commit, before the local state is written"
ALL: Final = (COMMIT_BEGIN, COMMIT_OFFSETS, COMMIT_END, COMMIT_STATE)

_armed: list[Callable[[str], None]] = []


def reach(name: str) -> None:
    """Tell whoever is armed that this moment has come; it may raise."""
    for call in _armed:
        call(name)


def arm(call: Callable[[str], None] | None) -> None:
    """Let `call` hear of every failpoint from now on; None disarms."""
    _armed[:] = [] if call is None else [call]
