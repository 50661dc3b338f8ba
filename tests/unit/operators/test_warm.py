"""Every kernel is ready before the first row, and no later call compiles another form of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
from operators.rows import bytes_kernel, order_kernel
from operators.join import forward_kernel, seal_kernel
from operators.warm import warm
from tests.stage.scenes import make_join, quotes, trades

KERNELS = [
    bytes_kernel.copy_spans, order_kernel.append_in_order, order_kernel.merge_tail, order_kernel.count_below,
    seal_kernel.match_backward, seal_kernel.refresh_last,
    forward_kernel.settle, forward_kernel.release, forward_kernel.match_forward, forward_kernel.match_nearest,
]
warm()
assert [len(kernel.signatures) for kernel in KERNELS] == [1] * len(KERNELS)
for carry, direction in (("row", "backward"), ("column", "backward"), ("row", "forward"), ("row", "nearest")):
    asked = dict(carry=carry, direction=direction, tolerance_ns=5, allow_exact=False)
    join = make_join(**asked)
    join.push("quote", quotes((2, "A", 1), (1, "A", None)))
    join.push("trade", trades((4, "A"), (3, None)))
    after = make_join(**asked)
    after.restore(join.snapshot().puts)
    assert join.finish().equals(after.finish())
assert [len(kernel.signatures) for kernel in KERNELS] == [1] * len(KERNELS)
"""


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_warming_compiles_every_kernel_in_its_only_form() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, check=True)
