"""The picture of a replay, read back as data: what is drawn is what was joined."""

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from app.day.close_up import CloseUp
from app.day.feature_view import FeatureView
from app.day.picture import compose, draw
from app.reading.aligned import Frames
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY, NS_PER_S
from schemas.frame import FrameHeaders

OPEN_NS = 1_705_329_000 * NS_PER_S
NONE = np.empty(0, dtype=np.int64)
# Three quotes a second apart; a trade at the ask, one between and one at the bid, half a second after each.
NEAR = CloseUp(
    key="A",
    trade_ns=OPEN_NS + np.array([1, 3, 5]) * NS_PER_S // 2,
    price=np.array([11.0, 10.6, 10.2]),
    match_ns=OPEN_NS + np.array([0, 1, 2]) * NS_PER_S,
    match_price=np.array([11.0, 11.0, 10.2]),
    quote_ns=OPEN_NS + np.array([0, 1, 2]) * NS_PER_S,
    bid=np.array([10.0, 10.1, 10.2]),
    ask=np.array([11.0, 11.0, 11.2]),
)


def moments(rows: int) -> Int64s:
    return OPEN_NS + np.arange(rows, dtype=np.int64) * NS_PER_S


def frames(*frontiers_ns: int) -> Frames:
    made = Frames()
    for partition, frontier_ns in enumerate(frontiers_ns):
        headers = FrameHeaders(
            layout="0", complete_ns=frontier_ns, rows=2, released_ns=1, sealed_ns=3, newest_ns=OPEN_NS + 9
        )
        made.add(partition, headers)
    return made


def artist(figure: Figure, gid: str) -> Any:
    """The one thing of a picture that has this name."""
    (found,) = [one for panel in figure.get_axes() for one in panel.get_children() if one.get_gid() == gid]
    return found


def panel(figure: Figure, title: str) -> Axes:
    (found,) = [one for one in figure.get_axes() if one.get_title("left").startswith(title)]
    return found


def seconds(line: Line2D) -> list[float]:
    return [float(second) for second in np.asarray(line.get_xdata())]


@pytest.fixture
def figure() -> Figure:
    return compose("title", {"trade": moments(9)}, frames(OPEN_NS + 5), {"quote": moments(3) - OPEN_NS}, NEAR)


def test_a_line_goes_from_each_trade_to_the_quote_that_it_matched(figure: Figure) -> None:
    lines = artist(figure, "matches")
    assert isinstance(lines, LineCollection)
    assert [segment.tolist() for segment in map(np.asarray, lines.get_segments())] == [
        [[1.5, 11.0], [1.0, 11.0]],
        [[2.5, 10.6], [2.0, 11.0]],
        [[3.5, 10.2], [3.0, 10.2]],
    ]


def test_a_bid_stands_until_the_next_quote_and_the_last_one_to_the_edge(figure: Figure) -> None:
    bid = artist(figure, "bid")
    assert seconds(bid)[:3] == [1.0, 2.0, 3.0]
    assert seconds(bid)[3] == panel(figure, "A").get_xlim()[1]
    assert np.asarray(bid.get_ydata()).tolist() == [10.0, 10.1, 10.2, 10.2]
    assert bid.get_drawstyle() == "steps-post"


def test_a_trade_is_coloured_by_where_it_stands_in_the_band(figure: Figure) -> None:
    shown = {
        name: np.asarray(artist(figure, name).get_ydata()).tolist() for name in ("at the ask", "between")
    }
    assert shown == {"at the ask": [11.0], "between": [10.6]}
    assert np.asarray(artist(figure, "at the bid").get_ydata()).tolist() == [10.2]


def test_a_frontier_is_drawn_where_it_stood_in_the_lane_of_its_partition() -> None:
    figure = compose("title", {"trade": moments(9)}, frames(OPEN_NS, OPEN_NS + NS_PER_S), {})
    segments = np.array(artist(figure, "seals").get_segments())
    assert segments.mean(axis=1)[:, 1].tolist() == [0, 1]
    assert segments[:, 0, 0].tolist() == [OPEN_NS / NS_PER_DAY, (OPEN_NS + NS_PER_S) / NS_PER_DAY]


def test_every_row_is_in_the_rates_and_every_match_in_the_ages() -> None:
    ages = np.array([0, 0, 5, 700, 10**9])
    figure = compose("title", {"trade": moments(9), "quote": moments(40)}, frames(), {"quote": ages})
    heights = sum(patch.get_height() for patch in panel(figure, "rows by age").patches)  # type: ignore[attr-defined]
    assert heights == 3
    (label,) = [text.get_text() for text in panel(figure, "rows by age").get_legend().get_texts()]  # type: ignore[union-attr]
    assert label == "quote: 3, and 2 of the same nanosecond"
    for stairs, rows in zip(panel(figure, "rows per second").patches, (9, 40), strict=True):
        values, edges, _ = stairs.get_data()  # type: ignore[attr-defined]
        assert float(np.sum(values * np.diff(edges) * NS_PER_DAY / NS_PER_S)) == pytest.approx(rows, rel=1e-4)


@pytest.mark.parametrize("near", [NEAR, None])
def test_a_run_is_kept_as_a_picture_of_the_readmes_width(tmp_path: Path, near: CloseUp | None) -> None:
    draw(tmp_path / "replay.png", "title", {"trade": moments(9)}, frames(OPEN_NS + 5), {}, near)
    pixels = matplotlib.image.imread(tmp_path / "replay.png")
    assert pixels.shape[1] == 1_210
    assert pixels.shape[0] > (800 if near else 400)


def test_a_day_of_one_row_is_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "replay.png", "title", {"trade": moments(1)}, frames(OPEN_NS + 1), {"quote": moments(1)})
    assert (tmp_path / "replay.png").exists()


@pytest.mark.parametrize("ages", [{"quote": NONE}, {"quote": np.zeros(2, np.int64)}])
def test_a_run_without_a_row_or_without_a_match_of_another_time_is_drawn(
    tmp_path: Path, ages: dict[str, Int64s]
) -> None:
    draw(tmp_path / "replay.png", "title", {"trade": NONE}, Frames(), ages)
    assert (tmp_path / "replay.png").exists()


def labels(figure: Figure) -> list[str]:
    figure.canvas.draw()
    axes = [axis for one in figure.get_axes() for axis in (one.xaxis, one.yaxis)]
    return [text for axis in axes for minor in (False, True) for text in tick_texts(axis, minor) if text]


def tick_texts(axis: Any, minor: bool) -> list[str]:
    return [text.get_text() for text in axis.get_ticklabels(minor=minor)]


@pytest.mark.parametrize("newest", [1, 10**9])
def test_no_tick_is_a_power_however_near_the_values_lie(newest: int) -> None:
    ages = np.array([newest, 2 * newest, 5 * 10**9])
    day = {"trade": moments(9), "quote": np.repeat(moments(40), 3)}
    told = labels(compose("title", day, frames(OPEN_NS), {"quote": ages}, NEAR))
    assert len(told) > 10
    assert not [text for text in told if "^" in text or "e+" in text]


def test_ticks_of_ages_are_durations_and_of_rows_whole() -> None:
    figure = compose("title", {"trade": moments(9)}, frames(), {"quote": np.array([1, 5]) * NS_PER_S})
    figure.canvas.draw()
    ages = panel(figure, "rows by age")
    assert {"1 s", "5 s"} <= set(tick_texts(ages.xaxis, minor=False))
    assert len(set(rows := tick_texts(ages.yaxis, minor=False))) == len(rows)
    assert ages.get_xlim() == (NS_PER_S, 5 * NS_PER_S + 1)


def test_a_panel_of_frontiers_is_drawn_only_where_one_lies_among_the_rows() -> None:
    day = {"trade": moments(9)}
    shown = [one.get_title("left") for one in compose("", day, frames(OPEN_NS), {}).get_axes()]
    ended = [one.get_title("left") for one in compose("", day, frames(OPEN_NS + NS_PER_DAY), {}).get_axes()]
    assert [title[:12] for title in shown] == ["rows per sec", "the frontier", "rows by age "]
    assert [title[:12] for title in ended] == ["rows per sec", "rows by age "]


def test_times_of_a_short_day_are_told_apart() -> None:
    for rows in (2, 60, 5_000):
        figure = compose("title", {"trade": moments(rows)}, frames(), {})
        figure.canvas.draw()
        times = tick_texts(panel(figure, "rows per second").xaxis, minor=False)
        assert len(times) == len(set(times)) > 1


def test_a_feature_is_drawn_with_its_own_values_and_a_gap_where_there_is_none() -> None:
    values = np.array([1.0, np.nan, 3.0, 2.5])
    view = FeatureView("tick.vol", "A", moments(4), values, {"warming": 1})
    figure = compose("title", {"trade": moments(4)}, frames(OPEN_NS), {}, NEAR, view)
    line = artist(figure, "feature")
    np.testing.assert_array_equal(line.get_ydata(), values)
    np.testing.assert_allclose(line.get_xdata() * NS_PER_DAY, moments(4), rtol=1e-12)
    shown = panel(figure, "A: tick.vol")
    assert shown.get_title("right") == "4 rows, gaps: 1 warming"


def test_a_feature_is_drawn_without_single_trades_too() -> None:
    view = FeatureView("tick.vol", "A", moments(2), np.array([1.0, 2.0]))
    figure = compose("title", {"trade": moments(2)}, frames(OPEN_NS), {}, None, view)
    assert panel(figure, "A: tick.vol").get_title("right") == "2 rows"
