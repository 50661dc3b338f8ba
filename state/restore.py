"""Restoring a task: local state is used where it fits the committed offsets, and wiped where it cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from state.checkpoint import Checkpoint
from state.errors import StateCorruptError, StateForeignError
from state.limits import StateLimits
from state.store import Entry, TaskStore


class Fit(Enum):
    """How a checkpoint stands to the committed offsets."""

    SAME = auto()
    BEHIND = auto()
    AHEAD = auto()
    FOREIGN = auto()


@dataclass(frozen=True, slots=True)
class Restored:
    """An open store, the checkpoint whose entries may be used, why, for the log, and those entries.

    Without a `checkpoint` the store is empty: rebuild from the committed restart offsets.  With one, read
    each input again from `checkpoint.next_offsets`, without emitting, up to the committed offsets.
    """

    store: TaskStore
    checkpoint: Checkpoint | None
    reason: str
    entries: Sequence[Entry] = ()


def judge(state: Mapping[str, int], committed: Mapping[str, int]) -> Fit:
    """Compare next offsets per input stream: of the state, and committed with the input offsets.

    One input ahead is enough to be ahead: that state has seen rows of a transaction that never was.
    """
    if not committed:
        return Fit.AHEAD
    if state.keys() != committed.keys():
        return Fit.FOREIGN
    if any(state[stream] > committed[stream] for stream in state):
        return Fit.AHEAD
    return Fit.SAME if dict(state) == dict(committed) else Fit.BEHIND


def restore(
    path: Path, identity: str, committed: Mapping[str, int], limits: StateLimits | None = None
) -> Restored:
    """Open the state at `path`, and decide by the committed next offsets whether it may be used.

    `committed` is empty for a task that never committed.  State that is ahead, damaged, of another version or
    of another task is wiped, and the empty store returned.  All entries are read once here, so that damage is
    found before an operator has taken half of them.  Raises StateLockedError and StateDiskError: for these a
    wipe would be wrong or of no use.
    """
    try:
        store = TaskStore.open(path, identity, limits)
    except (StateCorruptError, StateForeignError) as unusable:
        return _fresh(path, identity, limits, f"wiped and rebuilt: {unusable}")
    checkpoint = store.checkpoint
    if checkpoint is None:
        return Restored(store, None, f"no state at {path}: built from the log")
    offsets = f"{path} is at {_figures(checkpoint.next_offsets)}, committed is {_figures(committed)}"
    fit = judge(checkpoint.next_offsets, committed)
    if fit in (Fit.AHEAD, Fit.FOREIGN):
        store.close()
        why = "it is ahead of the commit" if fit is Fit.AHEAD else "it has other inputs"
        return _fresh(path, identity, limits, f"wiped and rebuilt, {why}: {offsets}")
    try:
        entries = list(store.entries())
    except StateCorruptError as damaged:
        store.close()
        return _fresh(path, identity, limits, f"wiped and rebuilt: {damaged}")
    except BaseException:
        store.close()
        raise
    used = "used as it is" if fit is Fit.SAME else "used, the rows since are read again"
    return Restored(store, checkpoint, f"{used}: {offsets}", entries)


def _fresh(path: Path, identity: str, limits: StateLimits | None, reason: str) -> Restored:
    TaskStore.destroy(path)
    return Restored(TaskStore.open(path, identity, limits), None, reason)


def _figures(offsets: Mapping[str, int]) -> str:
    return ", ".join(f"{stream} {offset}" for stream, offset in sorted(offsets.items())) or "nothing"
