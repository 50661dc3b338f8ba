"""An application of Quix Streams publishes a day, and reads what a worker joined of it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import DATE, TRADES, DayRun, small_days
from tests.stage.programs import ROOT
from topics.kafka.bus import KafkaBus

PYTHON = ROOT / "build/venv-quix/bin/python"
pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.takes_s(60),
    pytest.mark.skipif(
        not PYTHON.exists(),
        reason="no build/venv-quix (`make build/venv-quix/.ready`): the Quix adapters are NOT tested",
    ),
]


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    bus = KafkaBus(kafka_bootstrap, HASTY)
    days = small_days(tmp_path / "history")
    run = DayRun.on(bus, days, tmp_path / "run", f"test-{uuid4().hex[:12]}", partitions=2)
    yield run
    admin = bus.admin()
    admin.delete([name for name in admin.names() if run.pipeline.settings.pipeline.prefix in name])


def quix(what: str, run: DayRun, **more: object) -> Any:
    """Run an application to its end; return what it prints last."""
    settings = run.pipeline.settings
    config = {
        "bootstrap": settings.bus.bootstrap,
        "prefix": settings.pipeline.prefix,
        "folder": str(run.folder),
        "config": str(run.config),
        "data": str(run.folder.parent / "history"),
        "date": DATE,
        "aligned": run.topic("aligned"),
        **more,
    }
    done = subprocess.run(
        [str(PYTHON), "-m", "tests.stage.quix_application", what, json.dumps(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None


def test_a_day_goes_through_quix_in_and_out_and_each_row_is_written_once(run: DayRun) -> None:
    quix("publish", run)
    run.join()
    aligned = run.aligned()
    assert aligned.num_rows == TRADES
    assert quix("sink", run) == {"repeated": 0}
    files = sorted((run.folder / "rows").rglob("*.parquet"))
    written = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    order = [(name, "ascending") for name in ("symbol", "event_ns", "left_offset", "left_index")]
    assert written.select(aligned.column_names).sort_by(order).equals(aligned.sort_by(order))

    seen = quix("rows", run)
    assert len(seen) == TRADES
    key = [(row["symbol"], row["event_ns"], row["quote_age_ns"]) for row in seen]
    columns = [aligned.column(name).to_pylist() for name in ("symbol", "event_ns", "quote_age_ns")]
    assert sorted(map(str, key)) == sorted(map(str, zip(*columns, strict=True)))


def test_the_adapters_hold_where_quix_is_installed() -> None:
    files = ["tests/unit/gpu_sink/test_quix.py", "tests/unit/app/quix"]
    done = subprocess.run(
        [str(PYTHON), "-m", "pytest", "-q", "-p", "no:xdist", "-o", "addopts=", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4_000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
