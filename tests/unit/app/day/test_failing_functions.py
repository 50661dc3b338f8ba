"""A function that hangs or eats memory ends the worker with one line, and a replay ends the same."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.stage.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(120)]

DATE = "2024-01-15"
MEMORY = 8 << 30  # bytes of addresses; kernels and libraries take most of 4 GiB
LIMIT_S = 400
LIMITS = {"hanging": "2s", "hungry": "100s"}  # of a call
SOURCE = """\
import time

import pyarrow as pa


def hanging(rows: pa.Table) -> pa.Table:
    time.sleep(3_600)
    return rows


def hungry(rows: pa.Table) -> pa.Table:
    held = []
    while True:
        held.append(bytearray(1 << 28))
"""


def ended(folder: Path, function: str) -> tuple[int, str]:
    """How a worker on the embedded bus ends, and the last line that it says."""
    (folder / "my_nodes.py").write_text(SOURCE)
    lines = [
        "[graph.own]",
        'from = "aligned"',
        f'function = "my_nodes.py:{function}"',
        'tile = "15m"',
        f'time_limit = "{LIMITS[function]}"',
        'returns = { y = "float64" }',
        "[graph.own.out]",
    ]
    (folder / "my.toml").write_text("\n".join(lines))
    words = [sys.executable, "-m", "app", "backtest", "--through-wire", "--config", str(folder / "my.toml")]
    words += ["--date", DATE, "--store", str(folder / "history"), "--out", str(folder / "out")]
    limits = (MEMORY, MEMORY)
    done = subprocess.run(
        words,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limits),
    )
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("hanging", "stopped: my_nodes.py:6: node own: the function took longer than time_limit = 2s"),
        ("hungry", "MemoryError"),
    ],
)
def test_the_worker_ends_with_a_line_and_a_replay_with_the_same(
    tmp_path: Path, function: str, words: str
) -> None:
    generate_day(HistoryStore(tmp_path / "history"), DATE, symbols=2, trades=200, quotes=400)
    first = ended(tmp_path, function)
    assert first[0] == 1
    assert words in first[1]
    assert ended(tmp_path, function) == first
