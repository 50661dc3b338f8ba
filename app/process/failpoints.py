"""Failpoints: named moments at which a worker can be made to die; reaching one does nothing otherwise.

Tests arm a call of their own; `worker.failpoint` makes a worker kill itself, as `kill -9` does.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

# In the order in which a commit reaches them; `app.commit.commit` says what each step does.
SEALED: Final = "sealed"  # rows are with the producer, nothing is committed
COMMIT_BEGIN: Final = "commit-begin"  # before the transaction begins, or before acknowledgements are awaited
COMMIT_LAST_KNOWN: Final = "commit-last-known"  # after the last-known entries, before anything counts
COMMIT_OFFSETS: Final = "commit-offsets"  # before the offsets are sent to the transaction
COMMIT_END: Final = "commit-end"  # before the transaction is committed, or the offsets without one
COMMIT_STATE: Final = "commit-state"  # after the commit, before the local state is written
CHECKPOINT: Final = "checkpoint"  # after the local state was written
REVOKE: Final = "revoke"  # the group takes partitions, before they are committed
RESTORE: Final = "restore"  # a task's state is open, nothing is read yet
RECALL: Final = "recall"  # the last-known topic was read back, the task is not open yet

ALL: Final = (
    SEALED,
    COMMIT_BEGIN,
    COMMIT_LAST_KNOWN,
    COMMIT_OFFSETS,
    COMMIT_END,
    COMMIT_STATE,
    CHECKPOINT,
    REVOKE,
    RESTORE,
    RECALL,
)

# Of a copy of a topic (`app.repartition.copy`), in the order in which a transaction reaches them.
COPY_STEP: Final = "copy-step"  # nothing is read for the transaction
COPY_BEGIN: Final = "copy-begin"  # before it begins
COPY_MESSAGE: Final = "copy-message"  # before each message, or what a progress record brings, is written
COPY_OFFSETS: Final = "copy-offsets"  # before the positions are sent to it
COPY_END: Final = "copy-end"  # before it is committed

OF_A_COPY: Final = (COPY_STEP, COPY_BEGIN, COPY_MESSAGE, COPY_OFFSETS, COPY_END)

_armed: list[Callable[[str], None]] = []


def reach(name: str) -> None:
    """Tell whoever is armed that this moment has come; it may raise."""
    for call in _armed:
        call(name)


def arm(call: Callable[[str], None] | None) -> None:
    """Call `call` at every failpoint from now on; None disarms."""
    _armed[:] = [] if call is None else [call]


def arm_death(name: str, times: int) -> None:
    """Let this process kill itself the moment `name` is reached for the `times`-th time."""
    assert name in ALL
    left = [times]

    def die(reached: str) -> None:
        if reached != name:
            return
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    arm(die)
