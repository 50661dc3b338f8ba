"""A storm over a group of two versions: `make storm-versions OLD=<commit> MINUTES=3 SEED=1`.

Every other worker that starts runs the code of an earlier commit, the one that is never killed among them;
so tasks go from one version to the other and back, with their commits, frames and transactions.  What is
promised is what one version promises.  The report says how many workers were of which.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.broker.chaos.storm.__main__ import main
from tests.stage.programs import ROOT

THIN: Final = 4  # 4,800 rows/s: what is tried is the hand-over, and the older workers take seconds to start
FOLDER: Final = ROOT / "build/versions"
WARM: Final = "from app.wiring.pipeline import warm_up; warm_up()"


def checkout(commit: str) -> Path:
    """The files of a commit in a folder of their own, with the kernels of a worker compiled.

    Raises ValueError where there is no such commit.
    """
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise ValueError(f"there is no commit {commit!r} here: git log names those that are")
    folder = FOLDER / found.stdout.strip()[:12]
    if not (folder / ".complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["git", "archive", found.stdout.strip()], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
        (folder / ".complete").touch()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", WARM], cwd=folder, env=environment, check=True)
    return folder


if __name__ == "__main__":
    commit, minutes, seed = sys.argv[1:4]
    try:
        older = checkout(commit)
    except ValueError as absent:
        sys.exit(f"error: {absent}")
    sys.stdout.write(f"every other worker is of {older}\n")
    sys.exit(main(float(minutes), int(seed), timed=False, tolerance=True, older=older, thin=THIN))
