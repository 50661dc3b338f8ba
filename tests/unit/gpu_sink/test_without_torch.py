"""Where PyTorch is not installed, the example says so in one line."""

import subprocess
import sys

from tests.stage.programs import ROOT

HIDDEN = "import sys; sys.modules['torch'] = None; import gpu_sink.example"


def test_the_example_without_pytorch_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith("the example needs PyTorch, install tidemark-gpu-sink[torch]\n")
