from pathlib import Path

import matplotlib.image
import numpy as np

from app.day.picture import draw
from app.reading.aligned import Frames
from schemas.batch import Int64s
from schemas.clocks import NS_PER_S
from schemas.frame import FrameHeaders

OPEN_NS = 1_705_329_000 * NS_PER_S
NONE = np.empty(0, dtype=np.int64)


def moments(rows: int) -> Int64s:
    return OPEN_NS + np.arange(rows, dtype=np.int64) * NS_PER_S


def frames() -> Frames:
    made = Frames()
    told = FrameHeaders(
        layout="0", complete_ns=OPEN_NS + 5, rows=2, released_ns=1, sealed_ns=3, newest_ns=OPEN_NS + 9
    )
    made.add(0, told)
    return made


def assert_is_picture(path: Path) -> None:
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[0] > 500
    assert pixels.std() > 0


def test_a_run_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "replay.png", "title", {"trade": moments(9)}, frames(), {"quote": moments(3) - OPEN_NS})
    assert_is_picture(tmp_path / "replay.png")


def test_a_run_without_a_match_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "replay.png", "title", {"trade": moments(1)}, frames(), {"quote": NONE})
    assert_is_picture(tmp_path / "replay.png")


def test_a_run_without_a_row_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "replay.png", "title", {"trade": NONE}, Frames(), {"quote": NONE})
    assert_is_picture(tmp_path / "replay.png")
