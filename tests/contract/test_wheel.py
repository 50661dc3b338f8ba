"""The wheel holds the client library alone, and works where neither PyTorch nor our folders are."""

import os
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.golden.frames import GOLDEN_FRAME, GOLDEN_LAYOUT
from tests.stage.aligned import message_of, rows_of

ROOT = Path(__file__).resolve().parents[2]

NEEDS = ("numpy", "pyarrow", "confluent_kafka")
HEAVY = ("torch", "cupy", "jax", "numba")

CHECKS = f"""
import sys
from importlib.util import find_spec
from pathlib import Path

import app
import gpu_sink
from gpu_sink.source import AlignedStream

assert app.WHOSE == "somebody else's", app.__file__
assert Path(gpu_sink.__file__).is_relative_to(sys.argv[1]), gpu_sink.__file__
assert not any(find_spec(heavy) for heavy in {HEAVY}), "the environment is not clean"
assert "confluent_kafka" not in sys.modules, "imported before it was needed"
"""

READ_FRAME = """
from gpu_sink.contract import FRONTIER, LAYOUT, NEWEST, RELEASED, ROWS, SEALED
from gpu_sink.frames import Place, decode_frame

headers = [(LAYOUT, sys.argv[3].encode()), (ROWS, b"3")]
headers += [(name, b"0") for name in (FRONTIER, RELEASED, SEALED, NEWEST)]
frame = decode_frame(Path(sys.argv[2]).read_bytes(), headers, Place("aligned", 0, 0))
batches = AlignedStream.from_frames([frame]).batches()
(batch,) = batches
print([batches.dictionaries["symbol"][code] for code in batch["symbol"]], batches.dictionaries)
"""

READ_TOPIC = """
stream = AlignedStream.from_kafka(sys.argv[2], sys.argv[3], until_end=True)
print([batch["event_ns"].tolist() for batch in stream.batches(batch_rows=4, copy=True)])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what it is made of, so that nothing is left in the working tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    client = (file for file in (ROOT / "gpu_sink").rglob("*.*") if file.suffix != ".pyc")
    for file in [ROOT / "pyproject.toml", ROOT / "LICENSE", *sorted(client)]:
        copy = source / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(build, check=True, capture_output=True, env={**os.environ, "PYTHONWARNINGS": ""})
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_nothing_but_the_client(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folders = {Path(name).parts[0] for name in archive.namelist()}
        assert "gpu_sink/py.typed" in archive.namelist()
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"gpu_sink"}


@pytest.fixture
def service(wheel: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs a script beside a foreign `app`, where nothing but the wheel and its needs is installed."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    for name in NEEDS:
        for found in Path(numpy.__file__).parents[1].glob(f"{name}*"):
            (site / found.name).symlink_to(found)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text('WHOSE = "somebody else\'s"\n')

    def run(script: str, *arguments: str) -> str:
        (tmp_path / "service.py").write_text(CHECKS + script)
        reading = subprocess.run(
            [
                sys.executable,
                "-S",
                "service.py",
                str(site),
                *arguments,
            ],  # -S: not what this Python has installed
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert reading.returncode == 0, reading.stderr
        return reading.stdout.strip()

    return run


@pytest.mark.slow
def test_the_wheel_reads_a_frame_beside_a_foreign_app(service: Callable[..., str]) -> None:
    assert (
        service(READ_FRAME, str(GOLDEN_FRAME), GOLDEN_LAYOUT) == "['ES', 'ES', 'NQ'] {'symbol': ['ES', 'NQ']}"
    )


@pytest.mark.slow
@pytest.mark.broker
def test_the_wheel_reads_a_topic_beside_a_foreign_app(
    service: Callable[..., str], kafka_bootstrap: str
) -> None:
    topic = f"wheel-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for first in (0, 3):
        value, headers = message_of(rows_of([first, first + 1, first + 2]))
        producer.produce(topic, value, partition=0, headers=headers)
    assert producer.flush(30) == 0
    assert service(READ_TOPIC, kafka_bootstrap, topic) == "[[0, 1, 2, 3], [4, 5]]"
    admin.delete_topics([topic])[topic].result(30)
