"""Other processes die and disks fill up: the store is at one of its checkpoints, whole, every time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from state.errors import StateLockedError
from state.store import TaskStore
from tests.stage.task_state import IDENTITY, entry, opened

ROOT = Path(__file__).resolve().parents[3]
ENTRIES_EACH = 40

WRITER = f"""
import sys
from pathlib import Path
from state.store import TaskStore
from tests.stage.task_state import IDENTITY, TINY, checkpoint_at, entry

store = TaskStore.open(Path(sys.argv[1]), IDENTITY, TINY)
for number in range(1, 100_000):
    old = [entry(number - 1, place)[0] for place in range(0, {ENTRIES_EACH}, 2)]
    store.write(checkpoint_at(number), [entry(number, place) for place in range({ENTRIES_EACH})], old)
    print(number, flush=True)
"""

FULL_DISK = """
import resource
import sys
from pathlib import Path
from state.errors import StateDiskError
from state.store import TaskStore
from tests.stage.task_state import IDENTITY, TINY, checkpoint_at, entry

store = TaskStore.open(Path(sys.argv[1]), IDENTITY, TINY)
resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 10, 32 << 10))
for number in range(1, 1_000):
    try:
        store.write(checkpoint_at(number), [entry(number, place) for place in range(40)])
    except StateDiskError as full:
        print(store.checkpoint.next_offsets["trade"], full)
        break
"""


def child(program: str, path: Path) -> subprocess.Popen[str]:
    """A Python process on the repository, its output read as text."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_after(path: Path, checkpoints: int) -> int:
    """Kill a writer once it has said that many checkpoints, and return the last one it said."""
    with child(WRITER, path) as writer:
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(checkpoints)]
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    return said[-1]


@pytest.mark.parametrize("checkpoints", [1, 30])
def test_a_killed_writer_leaves_its_last_checkpoint_whole(tmp_path: Path, checkpoints: int) -> None:
    said = kill_after(tmp_path, checkpoints)
    with opened(tmp_path) as store:
        assert store.checkpoint is not None
        reached = store.checkpoint.next_offsets["trade"]
        assert reached in (said, said + 1)  # the write may be done and the word not yet out
        assert store.checkpoint.txn_count == reached
        odd = {entry(n, place)[0] for n in range(1, reached) for place in range(1, ENTRIES_EACH, 2)}
        newest = {entry(reached, place)[0] for place in range(ENTRIES_EACH)}
        assert {key for key, _ in store.entries()} == odd | newest


def test_a_second_process_is_told_that_the_store_is_open(tmp_path: Path) -> None:
    with child(WRITER, tmp_path) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(StateLockedError, match="open already"):
            TaskStore.open(tmp_path, IDENTITY)
        writer.kill()


def test_a_disk_that_refuses_is_named_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    with child(FULL_DISK, tmp_path) as writer:
        output, _ = writer.communicate()
    kept, reason = output.split(" ", 1)
    assert "File too large" in reason
    assert str(tmp_path) in reason
    with opened(tmp_path) as store:
        assert store.checkpoint is not None
        assert store.checkpoint.next_offsets["trade"] == int(kept)
        assert sum(1 for _ in store.entries()) == int(kept) * 40
