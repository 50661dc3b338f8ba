"""The mutation check: each comparison that decides what is sealed, changed alone, must make some test fail.

    python -m tests.mutation [FILE ...]     only these files; all of `TARGETS` without

Works in a temporary copy of the tree, one mutant at a time, in plain Python without numba.  Exits 1 where a
mutant survives that `equivalent.py` does not explain, or where an explanation explains nothing.
"""

import importlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import mutants

ROOT = Path(__file__).parents[2]
COPIED = ("operators", "schemas", "tests", "pyproject.toml")
SLOW_IMPORTS = ("numba", "numpy", "pyarrow.compute", "pyarrow.parquet", "pytest", "hypothesis.strategies")
HANG_S = 120  # a loop that ends no more is found out, too
KILLED = ("killed", "hangs")  # any other verdict says that the tests never ran to their end

UNIT, LAWS, PROPERTY = "tests/unit/operators/", "tests/laws/join/", "tests/property/"
SCENES = [
    LAWS + "test_sealing.py",
    LAWS + "test_looking_ahead.py",
    UNIT + "inputs/test_set_aside.py",
    LAWS + "test_resume.py",
    LAWS + "test_watermarks.py",
    UNIT + "rows/test_pending.py",
    UNIT + "inputs/test_pausing.py",
    LAWS + "test_idle.py",
]
ENDS = PROPERTY + "test_time_ends.py"
STREAM, RESUME = PROPERTY + "test_streaming_asof.py", PROPERTY + "test_streaming_resume.py"
KERNELS = [PROPERTY + "test_streaming_kernels.py"]
PENDING = PROPERTY + "test_pending.py"
AHEAD = [UNIT + "inputs/test_max_ahead.py", STREAM]
KEPT = [UNIT + "join/test_snapshot.py", UNIT + "join/test_last_known.py"]
INPUTS = [UNIT + "inputs/test_task_inputs.py"]
WHOLE = [*SCENES, STREAM, RESUME]
# What is most likely to notice comes first: the run ends at the first test that fails.
TARGETS = {
    "operators/join/seal_kernel.py": [PROPERTY + "test_seal_kernel.py", *KERNELS, *WHOLE],
    "operators/join/forward_kernel.py": [PROPERTY + "test_forward_kernel.py", *WHOLE],
    "operators/rows/order_kernel.py": [*KERNELS, PENDING, *WHOLE],
    "operators/join/sealer.py": WHOLE,
    "operators/join/forward.py": [*WHOLE, ENDS],
    "operators/join/context.py": [*SCENES, *KEPT, STREAM, RESUME],
    "operators/inputs/set_aside.py": [*INPUTS, *SCENES, *AHEAD, RESUME],
    "operators/rows/pending.py": [PENDING, *WHOLE],
    "operators/inputs/pausing.py": SCENES,
    "operators/inputs/watermark.py": [*SCENES, *AHEAD, RESUME],
    "operators/inputs/intake.py": [UNIT + "inputs/test_intake.py", UNIT + "inputs/test_max_ahead.py", *WHOLE],
    "operators/inputs/max_ahead.py": AHEAD,
    "operators/inputs/max_ahead_kernel.py": AHEAD,
    "operators/inputs/inputs.py": [*INPUTS, *SCENES, *KEPT, *AHEAD, RESUME],
    "operators/join/root.py": [*SCENES, *KEPT, STREAM, RESUME],
    "operators/graph/task_graph.py": [*SCENES, *KEPT, *AHEAD, RESUME],
    "operators/inputs/resuming.py": [UNIT + "inputs/test_resuming.py", RESUME],
    "operators/entries.py": [UNIT + "test_entries.py", *KEPT],
    "operators/rows/kept.py": [*KEPT, RESUME],
    "operators/join/restore.py": [*KEPT, RESUME],
    "operators/join/last_known.py": [*KEPT, RESUME],
}


def main(files: list[str], say: Callable[[str], object]) -> int:
    """Run the check over these files and say a line per mutant; return the exit status."""
    for module in SLOW_IMPORTS:
        importlib.import_module(module)
    survived, explained = 0, set()
    with tempfile.TemporaryDirectory() as folder:
        tree = _copy(Path(folder) / "tree")
        if noticed := _killed_by(tree, sorted({test for file in files for test in TARGETS[file]})):
            say(f"the tests fail without any change: {noticed}")
            return 2
        for file in files:
            unchanged = (tree / file).read_text()
            for mutant in mutants(unchanged, file):
                if mutant.name in EQUIVALENT:
                    explained.add(mutant.name)
                    verdict = "equivalent"
                else:
                    (tree / file).write_text(mutant.source)
                    verdict = _killed_by(tree, TARGETS[file]) or "SURVIVED"
                    (tree / file).write_text(unchanged)
                    survived += verdict not in KILLED
                say(f"{verdict:10} {mutant.line:4} {mutant.name}")
    idle = sorted(name for name in EQUIVALENT if name.split(":")[0] in files and name not in explained)
    for name in idle:
        say(f"no such mutant any more: {name}")
    say(f"{survived} survived")
    return 1 if survived or idle else 0


def _copy(tree: Path) -> Path:
    tree.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)
    return tree


def _killed_by(tree: Path, tests: list[str]) -> str:
    """How the tests notice: `killed`, `hangs`, or not at all.  Runs them in a child with the libraries."""
    child = os.fork()
    if child == 0:
        try:
            _become_a_test_run(tree, tests)
        finally:
            os._exit(os.EX_SOFTWARE)  # never back into the parent's work
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "hangs" if os.WTERMSIG(status) == signal.SIGALRM else "killed"
    code = os.WEXITSTATUS(status)
    return "" if code == 0 else "killed" if code in (1, 2) else f"broken {code}"


def _become_a_test_run(tree: Path, tests: list[str]) -> None:
    signal.alarm(HANG_S)
    os.chdir(tree)
    sys.path[:] = [str(tree), *(place for place in sys.path if place not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    sys.dont_write_bytecode = True
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    pytest = importlib.import_module("pytest")
    options = [
        "-x",
        "-q",
        "--noconftest",
        "--assert=plain",  # no test is rewritten, none has to explain itself
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.mutation.quick",
        "-c",
        "pyproject.toml",
    ]
    os._exit(int(pytest.main([*options, *tests])))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    sys.exit(main(sys.argv[1:] or [*TARGETS], _say))
