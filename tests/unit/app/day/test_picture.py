"""What the picture of a replay shows, read back from its axes as numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from app.day.picture import BINS, draw
from app.reading.aligned import Frames
from schemas.batch import Int64s
from schemas.clocks import NS_PER_S
from schemas.frame import FrameHeaders

OPEN_NS = 1_705_329_000 * NS_PER_S  # 14:30 UTC
OPEN_HOURS = 14.5
NONE = np.empty(0, dtype=np.int64)


class Pictures:
    """Draws pictures and returns their panels: rate, lag, age."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._figures: list[Figure] = []
        write = Figure.savefig

        def kept(figure: Figure, *arguments: Any, **options: Any) -> None:
            self._figures.append(figure)
            write(figure, *arguments, **options)

        monkeypatch.setattr(Figure, "savefig", kept)

    def draw(self, moments: Mapping[str, Int64s], frames: Frames, ages: Mapping[str, Int64s]) -> list[Axes]:
        draw(self._path, "the title", moments, frames, ages)
        figure = self._figures.pop()
        assert matplotlib.image.imread(self._path).shape[:2] == (990, 1210)
        assert figure.get_suptitle() == "the title"
        return figure.get_axes()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pictures:
    return Pictures(tmp_path / "replay.png", monkeypatch)


def moments(rows: int) -> Int64s:
    return OPEN_NS + np.arange(rows, dtype=np.int64) * NS_PER_S


def frames(*frontiers_ns: int, lag_ns: int = 4 * NS_PER_S) -> Frames:
    made = Frames()
    for frontier_ns in frontiers_ns:
        headers = FrameHeaders(
            layout="0",
            complete_ns=frontier_ns,
            rows=2,
            released_ns=1,
            sealed_ns=3,
            newest_ns=frontier_ns + lag_ns,
        )
        made.add(0, headers)
    return made


def points(panel: Axes) -> list[tuple[float, float]]:
    """The (x, y) of all marks that are not joined by a line."""
    return [
        (float(x), float(y))
        for line in panel.lines
        if line.get_linestyle() == "None"
        for x, y in zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True)
    ]


def labels(panel: Axes) -> list[str]:
    """The words of a panel's legend."""
    legend = panel.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def test_the_rate_of_each_stream_times_its_bins_is_its_rows(pictures: Pictures) -> None:
    rate, _, _ = pictures.draw({"trade": moments(9), "quote": moments(3)}, frames(), {"quote": NONE})
    assert labels(rate) == ["trade", "quote"]
    bin_s = 8 / BINS
    for line, rows in zip(rate.lines, (9, 3), strict=True):
        hours, per_s = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert per_s.sum() * bin_s == pytest.approx(rows)
        assert hours[0] == pytest.approx(OPEN_HOURS)
        assert hours[-1] == pytest.approx(OPEN_HOURS + (8 - bin_s) / 3_600)
    assert rate.get_yscale() == "symlog"


def test_every_frame_of_the_day_has_a_point_at_its_frontier_as_high_as_its_lag(pictures: Pictures) -> None:
    within = frames(OPEN_NS + NS_PER_S, OPEN_NS + 8 * NS_PER_S, OPEN_NS - 1, OPEN_NS + 9 * NS_PER_S)
    rate, lag, _ = pictures.draw({"trade": moments(9)}, within, {"quote": NONE})
    second = 1 / 3_600
    expected = [(OPEN_HOURS + second, 4.0), (OPEN_HOURS + 8 * second, 4.0)]
    assert points(lag) == [pytest.approx(point) for point in expected]
    assert lag.get_xlim() == rate.get_xlim()


def test_a_frontier_ahead_of_the_newest_row_has_no_lag(pictures: Pictures) -> None:
    _, lag, _ = pictures.draw({"trade": moments(9)}, frames(OPEN_NS + NS_PER_S, lag_ns=-1), {})
    assert [seconds for _, seconds in points(lag)] == [0.0]


def test_every_match_is_counted_at_its_age_and_an_age_of_0_at_1_ns(pictures: Pictures) -> None:
    ages = np.array([0, 3, 3, 7], dtype=np.int64) * NS_PER_S
    _, _, age = pictures.draw({"trade": moments(9)}, frames(), {"quote": ages})
    assert labels(age) == ["quote"]
    bars = [bar.get_bbox() for bar in age.patches if isinstance(bar, Rectangle)]
    counted = {(bar.x0, bar.x1): bar.y1 for bar in bars if bar.y1}
    assert list(counted.values()) == [1, 2, 1]
    for (lower, upper), seconds in zip(counted, (1e-9, 3, 7), strict=True):
        assert lower <= seconds * 1.001 < upper
    assert (age.get_xscale(), age.get_yscale()) == ("log", "log")


def test_a_run_without_a_match_has_no_ages(pictures: Pictures) -> None:
    _, _, age = pictures.draw({"trade": moments(1)}, frames(OPEN_NS), {"quote": NONE})
    assert not age.patches
    assert labels(age) == []


def test_a_run_without_a_row_is_empty_panels(pictures: Pictures) -> None:
    rate, lag, age = pictures.draw({"trade": NONE}, Frames(), {"quote": NONE})
    assert [np.asarray(line.get_ydata()).sum() for line in rate.lines] == [0]
    assert (points(lag), list(age.patches)) == ([], [])
