"""The folder of the local state: whether a worker can write there is tried before it joins its group."""

import tempfile
from pathlib import Path
from typing import Final

from app.config import Settings
from app.errors import UsageError

ADVICE: Final = "give the worker's user the right to write there, or set worker.state to another folder"


def try_to_write(folder: Path) -> None:
    """Make the folder where it is missing, and a file in it for a moment; raises OSError where that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as trial:
        trial.write(b"tidemark")


def require_state_folder(settings: Settings) -> None:
    """Raise UsageError, with the setting, where a worker could not keep its state.

    A worker that found out later would have moved the tasks of all others for nothing.
    """
    folder = settings.worker.state
    try:
        try_to_write(folder)
    except OSError as refused:
        raise UsageError(f"worker.state = '{folder}': {refused.strerror}; {ADVICE}") from None
