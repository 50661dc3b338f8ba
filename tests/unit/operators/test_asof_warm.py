"""Every kernel of the join of tables is ready after `warm`, whose tables it is that are joined."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from operators.asof import asof_join
from tests.stage.programs import ROOT

SCRIPT = """
from operators.asof import warm
from tests.stage.kernels import exit_with_new_forms
from tests.unit.operators.test_asof_warm import joins

exit_with_new_forms(warm, joins)
"""


def joins() -> None:
    """Joins of more rows than a tile has, of pandas and Polars, sorted and not, in every direction."""
    random = np.random.default_rng(1)
    count = 70_000
    frame = pd.DataFrame(
        {
            "event_ns": random.integers(0, 10**9, count),
            "symbol": random.choice(["A", "B", "LONGER THAN A WORD"], count),
            "venue": random.integers(0, 5, count),
            "price": random.random(count),
            "size": random.integers(0, 100, count).astype(np.int32),
        }
    )
    ordered = frame.sort_values("event_ns", ignore_index=True)
    for left, right in ((frame, frame), (ordered, ordered), (pl.from_pandas(ordered), pl.from_pandas(frame))):
        for by in ("symbol", ["venue", "symbol"], "venue", None):
            for direction in ("backward", "forward", "nearest"):
                asof_join(left, right, by=by, direction=direction, tolerance="1ms")
                asof_join(left, right, by=by, direction=direction)
            asof_join(left, right, by=by, carry="column")


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_no_kernel_is_new_to_a_join_of_tables_after_warming() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
