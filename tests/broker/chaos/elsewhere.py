"""A worker process of another checkout: the code of another version, with the packages of this one."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_HIDDEN = ("PYTHONPATH", "NUMBA_CACHE_DIR")  # what would lead back to this checkout


class Elsewhere:
    """What `multiprocessing` gives of a process, for `python -m app <arguments>` in another folder."""

    def __init__(
        self, checkout: Path, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self._checkout, self._arguments, self._log = checkout, arguments, log
        kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
        self._environment = {**kept, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; standard error goes to the log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", *self._arguments],
                cwd=self._checkout,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int | None:
        """Its number; None before it is started."""
        return None if self._process is None else self._process.pid

    @property
    def exitcode(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None while it runs."""
        return None if self._process is None else self._process.poll()

    def is_alive(self) -> bool:
        """Whether it runs, or stands still."""
        return self._process is not None and self._process.poll() is None

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            assert self._process is not None
            self._process.wait(timeout)

    def close(self) -> None:
        """Nothing is left to be released."""
