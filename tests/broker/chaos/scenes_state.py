"""Scenes of local state on a full or failing disk, and of a worker that is fed too fast (F18 to F20)."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.broker.chaos.stage import Stage
from tests.stage.day_runs import until
from tests.stage.programs import ROOT

FILE_SIZE_MAX = 8 << 10  # bytes a state's log may grow to, in place of a disk that is full
DISK_SIZE = "256k"
ROWS_MAX = 400  # of a stream that may wait
GROWTH_SIZE_MAX = 256 << 20  # bytes a worker that pauses may take beside what it started with


def the_disk_is_full(stage: Stage) -> None:
    """F18: the state's files cannot grow: the worker stops, and goes on once they can."""
    with stage.feed.flowing():
        full = stage.crew.hire(file_size_max=FILE_SIZE_MAX, until_final=False)
        stage.note = full.gave_up("nothing is lost")
        again = stage.crew.hire()
        stage.recovers(again)
    stage.finish(again)


def a_small_disk_is_full(stage: Stage) -> None:
    """F18 on a file system of 256 KiB that no other process sees."""
    state = stage.settings.worker.state
    state.mkdir(parents=True)
    align = [sys.executable, "-m", "app", "align", "--config", str(stage.config), "--slot", "0"]
    mount = f'mount -t tmpfs -o size={DISK_SIZE} none "$0" && exec "$@"'
    log = stage.folder / "worker-full.log"
    with stage.feed.flowing():
        with log.open("wb") as sink:
            command = ["unshare", "-m", "sh", "-c", mount, str(state), *align]
            done = subprocess.run(command, cwd=ROOT, stderr=sink, timeout=90, check=False)
        last = log.read_text().strip().splitlines()[-1]
        assert (done.returncode, last[:9]) == (1, "stopped: "), log.read_text()
        stage.note = last
        again = stage.crew.hire()
        stage.recovers(again)
    stage.finish(again)


def may_mount() -> str:
    """Why no file system can be mounted here; empty where it can."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return "no unshare here"
    asked = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    done = subprocess.run(asked, capture_output=True, check=False)
    return "" if done.returncode == 0 else "no right to mount a file system"


def the_state_is_damaged(stage: Stage) -> None:
    """F19: a worker is killed, a file of its state flipped, cut or deleted, and it starts again; thrice."""
    rng = random.Random(stage.seed)
    kinds = ("*.log", "MANIFEST-*", "CURRENT")
    with stage.feed.flowing():
        for kind, harm in zip(kinds, rng.sample([_flip, _cut, _delete], 3), strict=True):
            hand = stage.crew.hire(until_final=False)
            hand.has_tasks()
            stage.rows_seen(200)
            hand.send(signal.SIGKILL)
            hand.died()
            for file in sorted(stage.settings.worker.state.rglob(kind)):
                harm(file, rng)
        again = stage.crew.hire()
        stage.recovers(again)
    stage.finish(again)


def more_than_it_may_hold(stage: Stage) -> None:
    """F20: trades pour in while the quotes stand still: they are paused, and no row is dropped."""
    hand = stage.crew.hire()
    stage.feed.step()
    stage.rows_seen()
    before = hand.size_max()
    for _ in range(12):
        stage.feed.step(400, quiet=("quote",))
    until(lambda: '"paused"' in hand.said(), "the trades are paused")
    stage.feed.step()
    grown = hand.size_max() - before
    stage.finish(hand)
    assert '"resumed"' in hand.said()
    assert grown < GROWTH_SIZE_MAX
    stage.note = f"grew by {grown >> 20} MiB"


def _flip(file: Path, rng: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content)


def _cut(file: Path, rng: random.Random) -> None:
    os.truncate(file, rng.randrange(file.stat().st_size + 1))


def _delete(file: Path, _rng: random.Random) -> None:
    file.unlink()
