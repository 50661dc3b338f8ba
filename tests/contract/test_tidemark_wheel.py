"""The wheel `tidemark` installs one name, whose join, commands and runs work far from the repository."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

from tests.docs.pages import blocks

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(135), pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(numpy.__file__).parents[1]
NEEDS = ("numpy", "pyarrow", "numba", "llvmlite")

JOIN = """
import sys
import app
import tidemark

assert app.WHOSE == "somebody else's", app.__file__
assert not {"numba", "pyarrow"} & sys.modules.keys(), "imported before it was needed"
from tidemark import AlignedStream
assert not {"numba", "confluent_kafka"} & sys.modules.keys(), "imported before it was needed"

import pyarrow as pa
from tidemark import StreamingAsof, asof_join, warm

warm()
assert tidemark.asof_join is asof_join
assert {"AlignedStream", "StreamingAsof", "asof_join", "warm"} < set(dir(tidemark))
assert not hasattr(tidemark, "asof")
trades = pa.table({"symbol": ["A", "B"], "event_ns": [10, 20], "price": [1.0, 2.0]})
quotes = pa.table({"symbol": ["A", "B", "B"], "event_ns": [5, 15, 25], "bid": [0.5, 0.6, 0.7]})
joined = asof_join(trades, {"quote": quotes})
print(tidemark.__version__, joined.column("quote_bid").to_pylist(), joined.column("quote_age_ns").to_pylist())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the wheel in it."""
    out, site = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "distribution", "--out", str(out)], check=True, cwd=ROOT)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        folders = {Path(name).parts[0] for name in archive.namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"tidemark"}
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    page = {file.relative_to(ROOT) for file in (ROOT / "app/serve/static").rglob("*") if file.is_file()}
    assert all((site / "tidemark" / file).is_file() for file in page)
    return site


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python beside a foreign `app`, with the wheel and these packages."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text('WHOSE = "somebody else\'s"\n')
    needs = tmp_path / "needs"
    needs.mkdir()
    for name in NEEDS:
        for package in INSTALLED.glob(f"{name}*"):
            (needs / package.name).symlink_to(package)

    def run_python(*arguments: str, others: Path = needs) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", *arguments],  # -S: not what this Python has installed
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{site}:{others}", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run_python


def test_the_join_works_where_nothing_but_its_needs_is_installed(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "notebook.py").write_text(JOIN)
    done = run("notebook.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0.1.0 [0.5, 0.6] [5, 5]\n"


@pytest.mark.parametrize("page", ["README.md", "docs/site/tutorial.md"])
def test_the_python_of_a_page_for_the_wheel_runs_as_it_stands(
    page: str, run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "notebook.py").write_text("\n".join(blocks(ROOT / page, "python")))
    done = run("notebook.py", others=INSTALLED)
    assert done.returncode == 0, done.stderr


def test_the_commands_say_what_to_install_and_with_it_run_a_backtest(
    run: Callable[..., subprocess.CompletedProcess[str]], site: Path, tmp_path: Path
) -> None:
    command = str(site / "bin" / "tidemark")
    without = run(command, "--help")
    assert without.returncode == 1
    assert without.stderr.endswith("the commands need pip install 'tidemark[app]'\n")
    helped = run(command, "--help", others=INSTALLED)
    assert "Usage: tidemark [OPTIONS] COMMAND" in helped.stdout, helped.stderr
    assert run(command, "--version", others=INSTALLED).stdout == "tidemark 0.1.0\n"
    stopped = run(command, "kafka", "stop", others=INSTALLED)
    assert (stopped.returncode, stopped.stderr) == (0, "kafka: not running\n")
    nowhere = run(command, "align", "--bootstrap", "127.0.0.1:9", others=INSTALLED)
    assert "start one with `tidemark kafka start`, or name yours with --bootstrap" in nowhere.stderr
    day = ["--date", "2024-01-15", "--store", "history"]
    sizes = ["--trades", "200", "--quotes", "1000"]
    made = run("-m", "tidemark.replay", "generate", *day, *sizes, others=INSTALLED)
    assert made.returncode == 0, made.stderr
    done = run(command, "backtest", *day, others=INSTALLED)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "build/backtest/2024-01-15/summary.json").read_text())
    assert (summary["rows_aligned"], summary["audit_violations"]) == (200, 0)
