"""`python -m tests.docs.tutorial ARCHIVE`: the tutorial typed from the archive of `make dist`, and timed.

The folder is empty, so is the home, and where this user may ask for that there is no network.  What is typed
is the page's own text and nothing else.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final

from tests.docs.pages import Step, blocks, missing_line, steps
from tests.docs.play import TUTORIAL

LIMIT_S: Final = 900.0  # for a step; the first compiles kernels
ALONE: Final = ("unshare", "--net", "--map-root-user")


@dataclass(frozen=True, slots=True)
class Typed:
    """A step that was typed: how long it took, and what was wrong with it, "" for nothing."""

    step: Step
    seconds: float
    wrong: str


def typed(folder: Path, environment: Mapping[str, str], hear: Callable[[Typed], None]) -> list[Typed]:
    """Type the page in a folder until a step goes wrong; `hear` is told of each step as it ends."""
    results: list[Typed] = []
    exports: list[str] = []  # what the reader's shell keeps from one line to the next
    python = [Step(f"python - <<'END'\n{text}END", ()) for text in blocks(TUTORIAL, "python")]
    for step in [*(step for block in blocks(TUTORIAL, "console") for step in steps(block)), *python]:
        begun_s = monotonic()
        done = subprocess.run(
            [*alone(), "bash", "-c", "\n".join([*exports, step.command])],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        missing = missing_line(step.shown, done.stdout)
        wrong = f"exit code {done.returncode}\n{done.stdout}" if done.returncode != step.code else ""
        wrong = wrong or (f"the page shows {missing!r}, and it says\n{done.stdout}" if missing else "")
        results.append(Typed(step, monotonic() - begun_s, wrong))
        hear(results[-1])
        if wrong:
            break
        exports += [step.command] if step.command.startswith("export ") else []
    return results


def alone() -> list[str]:
    """What has a command run without any network; nothing where this user may not ask for that."""
    may = shutil.which(ALONE[0]) and subprocess.run([*ALONE, "true"], capture_output=True, check=False)
    return list(ALONE) if may and may.returncode == 0 else []


def main(archive: Path) -> int:
    """Type it and print each step with its time; returns 1 where a step went wrong."""
    with TemporaryDirectory(prefix="tidemark-tutorial-") as name:
        folder, home = Path(name) / "here", Path(name) / "home"
        folder.mkdir()
        home.mkdir()
        shutil.copy2(archive, folder)
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
        results = typed(folder, environment, _say)
    total = sum(one.seconds for one in results)
    network = "without a network" if alone() else "WITH a network: this user may not go without one"
    sys.stdout.write(
        f"{len(results)} steps, {total:.0f} s, {network}: {'WRONG' if results[-1].wrong else 'ok'}\n"
    )
    return 1 if results[-1].wrong else 0


def _say(one: Typed) -> None:
    command = one.step.command.partition("\n")[0]
    sys.stdout.write(f"{one.seconds:7.1f} s  {command}\n" + (f"{one.wrong}\n" if one.wrong else ""))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
