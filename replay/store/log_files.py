"""The files of a table's log in a folder: brought to the disk after a commit, and looked at for losses.

Delta-rs leaves them to the machine.  After the power failed a commit could be an empty file, which it reads
as one that changed nothing: rows would be gone of which a topic, or a folder of a day, has been let go.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from replay.errors import UnknownCommitError
from replay.store.part_writer import bring_to_disk

CHECKPOINT_INTERVAL: Final = 50
_LAST: Final = "_last_checkpoint"


def bring_log_to_disk(log: Path, first: int, last: int) -> None:
    """Return when the entries of some versions would be there after the power failed.

    Raises UnknownCommitError where the disk does not say so.
    """
    names = []
    for version in range(first, last + 1):
        names.append(f"{version:020d}.json")
        if version % CHECKPOINT_INTERVAL == 0:
            names += [f"{version:020d}.checkpoint.parquet", _LAST]
    try:
        for name in names:
            if (log / name).exists():  # an entry that others made may be tidied away by now
                bring_to_disk(log / name)
        bring_to_disk(log)
    except OSError as refused:
        raise UnknownCommitError(f"{log} could not be brought to the disk: {refused}") from None


def empty_entries(log: Path) -> Iterator[str]:
    """The names of entries without a byte, oldest first."""
    for path in sorted(log.glob("*.json")):
        if path.stat().st_size == 0:
            yield path.name
