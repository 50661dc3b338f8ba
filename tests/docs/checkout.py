"""A checkout to type in: the files of this one, its packages, and kernels that stay compiled between runs."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.stage.kernel_copies import copy_kernels
from tests.stage.programs import ROOT

FOLDERS: Final = ROOT / "build/docs"
_KEPT: Final = {"__pycache__", "build", ".venv"}
_OLD_S: Final = 1_000_000_000  # `make` installs packages where a lock file is newer than them


class Checkout:
    """What a reader has: a clone with `.venv`, data beside it, and a `bin` to find programs in."""

    def __init__(self, *, java: bool) -> None:
        """Without `java` none is on the PATH, and so no broker can be started."""
        self.java = java
        # Always the same ones: kernels are kept by the path of their source.
        self._folder = FOLDERS / ("kafka" if java else "embedded")
        _copy_files(self._folder)
        copy_kernels(self._folder)
        if (ROOT.parent / "shared").exists():
            with suppress(FileExistsError):  # the other checkout may make it at the same time
                (FOLDERS / "shared").symlink_to(ROOT.parent / "shared")
        hidden = {"TIDEMARK_", "BOOTSTRAP", "KAFKA_", "MAKE", "PORT", "PYTEST_", "NUMBA_", "COLUMNS"}
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(tuple(hidden))
        }
        path = os.environ["PATH"] if java else str(_programs_but({"java", "mvn"}))
        self._environment["PATH"] = f"{self._folder / '.venv/bin'}:{_installed_command()}:{path}"

    def turn_over(self, *, keep: set[str]) -> None:
        """Leave what was cloned and of `build` what is to be kept; a broker begins anew."""
        self.stop_broker()
        for made in (self._folder / "build").iterdir():
            if made.name not in keep:
                _remove(made)
        jars = [folder for folder in (ROOT / "build/kafka").glob("jars-*") if (folder / ".complete").exists()]
        (self._folder / "build/kafka").mkdir()
        for jar in jars:
            (self._folder / "build/kafka" / jar.name).symlink_to(jar)
        cloned = set(_cloned())
        for file in self._folder.rglob("*"):
            inside = file.relative_to(self._folder)
            if not _KEPT & set(inside.parts) and file.is_file() and str(inside) not in cloned:
                file.unlink()

    def run(self, command: str, limit_s: float) -> tuple[int, str]:
        """Let bash run a command; return its exit code and all that it said, paths as from this checkout."""
        with subprocess.Popen(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                text, _ = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                text, _ = process.communicate()
                return 124, f"{text}\n(killed after {limit_s:.0f} s)"
        return process.returncode, text.replace(f"{self._folder}/", "")

    def stop_broker(self) -> None:
        """Stop the broker of this checkout, if it runs."""
        self.run("docker/kafka/kafka.sh stop", 60)


def _cloned() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _copy_files(folder: Path) -> None:
    (folder / "build").mkdir(parents=True, exist_ok=True)
    for name in _cloned():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
        if re.fullmatch(r"requirements.*\.lock", name):
            os.utime(target, (_OLD_S, _OLD_S))
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())


def _programs_but(hidden: set[str]) -> Path:
    """A folder with a link to every program on the PATH but these."""
    folder = FOLDERS / "bin"
    if not folder.exists():
        folder.mkdir()
        for place in map(Path, os.environ["PATH"].split(":")):
            for program in place.iterdir() if place.is_dir() else ():
                if program.name not in hidden and not (folder / program.name).is_symlink():
                    (folder / program.name).symlink_to(program)
    return folder


def _installed_command() -> Path:
    """A folder with the command `tidemark`, as a page for those who have the wheel calls it."""
    command = FOLDERS / "command/tidemark"
    if not command.exists():
        command.parent.mkdir(parents=True, exist_ok=True)
        begun = command.with_suffix(f".{os.getpid()}")
        begun.write_text('#!/bin/sh\nexec python -m app "$@"\n')
        begun.chmod(0o755)
        begun.replace(command)
    return command.parent


def _remove(made: Path) -> None:
    if made.is_dir() and not made.is_symlink():
        shutil.rmtree(made)
    else:
        made.unlink()
