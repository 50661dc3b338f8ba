"""A checkout to type in: the files of this one, its packages, and kernels that stay compiled between runs."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from tests.stage.kernel_copies import copy_kernels
from tests.stage.programs import ROOT

FOLDER: Final = ROOT / "build/docs/checkout"  # always the same: kernels are kept by the path of their source
_KEPT: Final = {"__pycache__", "build", ".venv"}
_OLD_S: Final = 1_000_000_000  # `make` installs packages where a lock file is newer than them


class Checkout:
    """What a reader has: a clone with `.venv`, data beside it, and a `bin` to find programs in."""

    def __init__(self, *, java: bool) -> None:
        """Without `java` none is on the PATH, and so no broker can be started."""
        self.java = java
        _copy_files()
        copy_kernels(FOLDER)
        if not (FOLDER.parent / "shared").exists() and (ROOT.parent / "shared").exists():
            (FOLDER.parent / "shared").symlink_to(ROOT.parent / "shared")
        hidden = {"TIDEMARK_", "BOOTSTRAP", "KAFKA_", "MAKE", "PORT", "PYTEST_", "NUMBA_", "COLUMNS"}
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(tuple(hidden))
        }
        path = os.environ["PATH"] if java else str(_programs_but({"java", "mvn"}))
        self._environment["PATH"] = f"{FOLDER / '.venv/bin'}:{path}"

    def turn_over(self, *, keep: set[str]) -> None:
        """Leave what was cloned and of `build` what is to be kept; a broker begins anew."""
        self.stop_broker()
        for made in (FOLDER / "build").iterdir():
            if made.name not in keep:
                _remove(made)
        jars = [folder for folder in (ROOT / "build/kafka").glob("jars-*") if (folder / ".complete").exists()]
        (FOLDER / "build/kafka").mkdir()
        for jar in jars:
            (FOLDER / "build/kafka" / jar.name).symlink_to(jar)
        cloned = set(_cloned())
        for file in FOLDER.rglob("*"):
            inside = file.relative_to(FOLDER)
            if not _KEPT & set(inside.parts) and file.is_file() and str(inside) not in cloned:
                file.unlink()

    def run(self, command: str, limit_s: float) -> tuple[int, str]:
        """Let bash run a command; return its exit code and all that it said, paths as from this checkout."""
        with subprocess.Popen(
            ["bash", "-c", command],
            cwd=FOLDER,
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
        return process.returncode, text.replace(f"{FOLDER}/", "")

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


def _copy_files() -> None:
    (FOLDER / "build").mkdir(parents=True, exist_ok=True)
    for name in _cloned():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
        if re.fullmatch(r"requirements.*\.lock", name):
            os.utime(target, (_OLD_S, _OLD_S))
    if not (FOLDER / ".venv").exists():
        (FOLDER / ".venv").symlink_to((ROOT / ".venv").resolve())


def _programs_but(hidden: set[str]) -> Path:
    """A folder with a link to every program on the PATH but these."""
    folder = FOLDER.parent / "bin"
    if not folder.exists():
        folder.mkdir()
        for place in map(Path, os.environ["PATH"].split(":")):
            for program in place.iterdir() if place.is_dir() else ():
                if program.name not in hidden and not (folder / program.name).is_symlink():
                    (folder / program.name).symlink_to(program)
    return folder


def _remove(made: Path) -> None:
    if made.is_dir() and not made.is_symlink():
        shutil.rmtree(made)
    else:
        made.unlink()
