"""Every kernel is ready before the first row: nothing is compiled or read from a cache while rows wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stage.programs import ROOT

SCRIPT = """
import sys
from pathlib import Path
from app.config import Settings
from app.wiring.pipeline import warm_up
from tests.stage.kernels import exit_with_new_forms
from tests.laws.worker.test_warm import live

exit_with_new_forms(lambda: warm_up(Settings()), lambda: live(Path(sys.argv[1])))
"""
LONG = "A_SYMBOL_LONGER_THAN_A_WORD"


def live(folder: Path) -> None:
    """A worker's life in short, in both guarantees and all directions.

    Rows in order and out of it, late ones, without a value, commits, local state written and
    taken up again, last-known entries, rows let go.
    """
    from tests.stage.market import Market

    asked: list[tuple[dict[str, object], dict[str, object]]] = [
        ({}, {}),
        ({"carry": "column"}, {"guarantee": "at_least_once"}),
        ({"direction": "forward", "tolerance_ns": 50, "allow_exact": False}, {}),
        ({"direction": "nearest", "tolerance_ns": 50}, {"format": "avro"}),
        ({"allow_exact": False, "tolerance_ns": 50}, {}),
    ]
    for number, (pipeline, worker) in enumerate(asked):
        quick = {"checkpoint_interval_ms": 1, "last_known_interval_ms": 1, **worker}
        market = Market(folder / str(number), pipeline=pipeline, worker=quick)
        for _ in range(2):
            hand = market.worker()
            for lower in range(0, 30_000, 6_000):
                for symbol in ("A", LONG):
                    market.quote(*range(lower, lower + 6_000, 2), symbol=symbol)
                    market.quote(lower + 6_000, lower + 5_000, symbol=symbol)
                    market.trade(lower + 5_500, lower + 5_400, lower + 6_000, symbol=symbol)
                market.send("quote", b"A", market.block("quote", [lower + 5_300], columns={"bid": [None]}))
                market.trade(1)
                for _ in range(4):
                    hand.turn()
                    market.pass_commit_interval()
            hand.close()


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_no_kernel_is_new_to_a_worker_after_its_warm_up(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
