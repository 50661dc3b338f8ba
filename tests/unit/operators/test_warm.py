"""Every kernel of the join is ready before the first row, and no later call compiles another form of it."""

import os
import subprocess
import sys

import pytest

from tests.stage.programs import ROOT
from tests.stage.scenes import make_join, quotes, trades

SCRIPT = """
from operators.warm import warm
from tests.stage.kernels import exit_with_new_forms
from tests.unit.operators.test_warm import joins

exit_with_new_forms(warm, joins)
"""


def joins() -> None:
    """Joins in every direction, of rows in and out of order, without a key and without a value."""
    for carry, direction in (
        ("row", "backward"),
        ("column", "backward"),
        ("row", "forward"),
        ("row", "nearest"),
    ):
        changed = {"carry": carry, "direction": direction, "tolerance_ns": 5, "allow_exact": False}
        join = make_join(**changed)
        join.push("quote", quotes((2, "A", 1), (1, "A", None)))
        join.push("trade", trades((4, "A"), (3, None)))
        after = make_join(**changed)
        after.restore(join.snapshot().puts)
        first, second = join.finish(), after.finish()
        assert first is not None
        assert first.equals(second)


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_no_kernel_is_new_to_a_join_after_warming() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
