"""A replay's own folder: which run it holds, its request, and whether the run came to its end."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.errors import UsageError

NAME = "run.json"
DAYS_NAME = "days.json"  # in the folder of several days


def fingerprint_of(request: Mapping[str, object]) -> str:
    """64 hex digits that are equal for equal requests."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


def make_folder(path: Path) -> None:
    """Make an output folder; raises UsageError where the disk refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise UsageError(f"OUT={path} cannot be the output folder: {refused.strerror}") from None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`run` is the run's id; `resumed` says that an unfinished run of the same request goes on."""

    path: Path
    run: str
    resumed: bool
    previous: str | None  # an earlier run of this folder, whose topics are not needed any more

    @classmethod
    def open(cls, path: Path, request: Mapping[str, object], *, log_lasts: bool = True) -> "RunFolder":
        """Go on with the unfinished run in `path` if its request is the same, else begin a new one.

        A run whose log ended with its process, as the embedded bus does, is never taken up.
        """
        if (path / DAYS_NAME).exists():
            raise UsageError(f"OUT={path} holds a run of several days: name another folder for one day")
        fingerprint = fingerprint_of(request)
        file = path / NAME
        previous = None
        if file.exists():
            try:
                found = json.loads(file.read_text())
                previous = str(found["run"])
                if log_lasts and not found["done"] and found["request"] == fingerprint:
                    return cls(path, previous, resumed=True, previous=None)
            except (ValueError, KeyError, TypeError) as broken:
                raise UsageError(
                    f"{file}: not a run's record ({broken}); delete the folder or say OUT="
                ) from None
        make_folder(path)
        folder = cls(path, secrets.token_hex(4), resumed=False, previous=previous)
        folder._record(fingerprint, done=False)
        return folder

    def finish(self) -> None:
        """Record that the run came to its end: the same request begins anew next time."""
        found = json.loads((self.path / NAME).read_text())
        self._record(found["request"], done=True)

    def _record(self, fingerprint: str, *, done: bool) -> None:
        unfinished = self.path / f"{NAME}.unfinished"
        unfinished.write_text(json.dumps({"run": self.run, "request": fingerprint, "done": done}))
        unfinished.replace(self.path / NAME)
