"""The wheel holds the client library alone, and works where neither Kafka nor PyTorch nor our folders are."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.golden.frames import GOLDEN_FRAME, GOLDEN_LAYOUT

ROOT = Path(__file__).resolve().parents[2]

READER = """
import sys
from pathlib import Path

import app
import gpu_sink
from gpu_sink.contract import FRONTIER, LAYOUT, NEWEST, RELEASED, ROWS, SEALED
from gpu_sink.frames import Place, decode_frame
from gpu_sink.source import AlignedStream

assert app.WHOSE == "somebody else's", app.__file__
assert Path(gpu_sink.__file__).is_relative_to(sys.argv[1]), gpu_sink.__file__
for heavy in ("torch", "confluent_kafka"):
    assert heavy not in sys.modules, f"{heavy} was imported before it was needed"
headers = [(LAYOUT, sys.argv[3].encode()), (ROWS, b"3")]
headers += [(name, b"0") for name in (FRONTIER, RELEASED, SEALED, NEWEST)]
frame = decode_frame(Path(sys.argv[2]).read_bytes(), headers, Place("aligned", 0, 0))
print(frame.rows.column("symbol").to_pylist())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what it is made of, so that nothing is left in the working tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for file in [ROOT / "pyproject.toml", ROOT / "LICENSE", *sorted((ROOT / "gpu_sink").glob("*.*"))]:
        copy = source / file.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
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


@pytest.mark.slow
def test_the_wheel_reads_a_frame_beside_a_foreign_app(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text('WHOSE = "somebody else\'s"\n')
    (tmp_path / "service.py").write_text(READER)
    reading = subprocess.run(
        [sys.executable, "service.py", str(site), str(GOLDEN_FRAME), GOLDEN_LAYOUT],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert reading.returncode == 0, reading.stderr
    assert reading.stdout.strip() == "['ES', 'ES', 'NQ']"
