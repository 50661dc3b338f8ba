"""The picture of a replay: trades with the quotes they matched; the day's rows, seals and ages of match."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import LineCollection
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, StrMethodFormatter

from app.day.close_up import CloseUp
from app.day.feature_view import FeatureView
from app.reading.aligned import Frames
from app.words import duration
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY, NS_PER_S

Float64s: TypeAlias = npt.NDArray[np.float64]

BINS: Final = 160
DECADE: Final = 10  # values that lie so far apart are shown by their logarithms, with a tick each decade
EMPTY: Final = np.array([0.0, 1.0])
POINTS_SHOWN: Final = 400  # rows of a feature of which each has a point
LANES_MAX: Final = 5  # partitions of which each has its number beside it
INK, FAINT, BAND, STOOD = "#26323c", "#8a97a3", "#e9eff4", "#c9d6e2"
# Of a trade at the ask or above, between, at the bid or below: apart for every eye.
SIDES: Final = {"at the ask": "#c4501b", "between": "#6b7680", "at the bid": "#1b6ca8"}
STREAMS: Final = ("#26323c", "#8a97a3", "#b08d3c", "#4d8f5b")


def draw(
    path: Path,
    title: str,
    moments: Mapping[str, Int64s],
    frames: Frames,
    ages: Mapping[str, Int64s],
    near: CloseUp | None = None,
    feature: FeatureView | None = None,
) -> None:
    """Draw a run into a PNG; see `compose`."""
    compose(title, moments, frames, ages, near, feature).savefig(path, dpi=110)


def compose(
    title: str,
    moments: Mapping[str, Int64s],
    frames: Frames,
    ages: Mapping[str, Int64s],
    near: CloseUp | None = None,
    feature: FeatureView | None = None,
) -> Figure:
    """Draw a run.

    `moments` has the pipeline clock of every row by stream, `ages` the match's age in ns by right stream.
    Without `near` there is no panel of single trades, and without `feature` none of a feature.
    """
    heights = [*([4.7] if near else []), *([2.6] if feature else []), 3.5]
    figure = Figure(figsize=(11, sum(heights) + (0 if near else 0.4)), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    figure.suptitle(title, x=0.012, ha="left", color=INK, fontsize=13, fontweight="bold")
    below: Figure | SubFigure = figure
    span_ns = _span_ns(moments)
    if near is not None or feature is not None:
        grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        *above, below = [figure.add_subfigure(grid[number]) for number in range(len(heights))]
        if near is not None:
            draw_matches(above[0].add_subplot(), near)
        if feature is not None:
            panel = above[-1].add_subplot()
            draw_feature(panel, feature)
            panel.set_xlim(*_days(np.array(span_ns)))
            _tell_market_time(panel, span_ns)
    # Of a day that was sealed at its end in one piece no frontier lies among its rows.
    sealed = any(span_ns[0] <= frontier <= span_ns[1] for frontier in frames.complete_ns)
    grid = below.add_gridspec(2, 2, width_ratios=[1.5, 1], height_ratios=[2.2, 1])
    rate = below.add_subplot(grid[0 if sealed else slice(None), 0])
    draw_rates(rate, moments, span_ns, near)
    lowest = rate
    if sealed:
        rate.tick_params(labelbottom=False)
        lowest = below.add_subplot(grid[1, 0], sharex=rate)
        draw_seals(lowest, frames)
    _tell_market_time(lowest, span_ns)
    draw_ages(below.add_subplot(grid[:, 1]), ages)
    return figure


def draw_matches(panel: Axes, near: CloseUp) -> None:
    """Trades on the band between bid and ask, each with a line to the quote that it matched."""
    lower, upper = near.span_ns
    base = lower // NS_PER_S * NS_PER_S
    _draw_band(panel, near, base)
    trades, matches = _seconds(near.trade_ns, base), _seconds(near.match_ns, base)
    lines = np.stack(
        [np.column_stack([trades, near.price]), np.column_stack([matches, near.match_price])], axis=1
    )
    panel.add_collection(LineCollection(list(lines), colors=INK, linewidths=1, zorder=3, gid="matches"))
    for name, mask in sides(near).items():
        points = Line2D(trades[mask], near.price[mask], color=SIDES[name], markersize=9, zorder=5, gid=name)
        points.set(marker="o", linestyle="", label=f"trade {name}")
        panel.add_line(points)
    points = Line2D(matches, near.match_price, color="white", markersize=6, zorder=4)
    points.set(marker="o", linestyle="", markeredgecolor=INK, label="the quote that it matched")
    panel.add_line(points)
    oldest = int(np.abs(near.trade_ns - near.match_ns).argmax())
    age_ns = int(near.trade_ns[oldest] - near.match_ns[oldest])
    panel.annotate(
        f"{duration(abs(age_ns))} {'old' if age_ns >= 0 else 'ahead'}",
        ((trades[oldest] + matches[oldest]) / 2, (near.price[oldest] + near.match_price[oldest]) / 2),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center",
        color=INK,
        fontsize=9,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
    )
    panel.set_xlim(*_seconds(np.array([lower, upper]), base))
    panel.ticklabel_format(useOffset=False)
    panel.margins(y=0.12)
    panel.set_xlabel(f"seconds after {_moment(base)} UTC", color=INK)
    panel.set_title(f"{near.key}: trades and their quotes", loc="left", color=INK)
    panel.legend(
        frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 1), handletextpad=0, columnspacing=1
    )
    _plain(panel)


def draw_feature(panel: Axes, feature: FeatureView) -> None:
    """The values of a feature, each up to the next row's; where there is none, a gap."""
    days = _days(feature.times_ns)
    marker = "." if days.size <= POINTS_SHOWN else ""
    panel.plot(
        days,
        feature.values,
        color=INK,
        linewidth=1,
        marker=marker,
        markersize=4,
        drawstyle="steps-post",
        gid="feature",
    )
    panel.ticklabel_format(axis="y", useOffset=False)
    panel.margins(y=0.12)
    panel.set_title(f"{feature.key}: {feature.name}", loc="left", color=INK)
    panel.set_title(feature.caption, loc="right", color=FAINT, fontsize=9)
    _plain(panel)


def _draw_band(panel: Axes, near: CloseUp, base_ns: int) -> None:
    """Bid and ask as they stood, and darker from each matched quote to the trade that took it."""
    lower, upper = near.span_ns
    first = max(int(np.searchsorted(near.quote_ns, lower, side="right")) - 1, 0)
    last = int(np.searchsorted(near.quote_ns, upper, side="right"))
    quotes, bid, ask = near.quote_ns[first:last], near.bid[first:last], near.ask[first:last]
    steps = _seconds(np.append(quotes, upper), base_ns)
    bids, asks = np.append(bid, bid[-1:]), np.append(ask, ask[-1:])
    panel.fill_between(steps, bids, asks, step="post", color=BAND, linewidth=0, zorder=1)
    for side, prices in (("ask", asks), ("bid", bids)):
        panel.step(steps, prices, where="post", color=FAINT, linewidth=1, zorder=2, gid=side)
        panel.plot(steps[:-1], prices[:-1], ".", color=FAINT, markersize=4, zorder=2)
    spans = _seconds(np.column_stack([near.match_ns, near.trade_ns]), base_ns)
    for span, lowest, highest in zip(spans, *near.standing(near.match_ns), strict=True):
        panel.fill_between(span, lowest, highest, color=STOOD, linewidth=0, zorder=1.5)


def sides(near: CloseUp) -> dict[str, npt.NDArray[np.bool_]]:
    """Which trades stand at the ask or above, between, at the bid or below, of the quotes at their time."""
    bid, ask = near.standing(near.trade_ns)
    at_ask, at_bid = near.price >= ask, near.price <= bid
    return {"at the ask": at_ask, "between": ~at_ask & ~at_bid, "at the bid": at_bid & ~at_ask}


def draw_rates(
    panel: Axes, moments: Mapping[str, Int64s], span_ns: tuple[int, int], near: CloseUp | None
) -> None:
    """Rows per second of each stream over the day, on a logarithmic scale where they differ much."""
    lower, upper = span_ns
    edges = np.linspace(lower, upper, BINS + 1)
    rates: list[Float64s] = []
    for colour, (name, times) in zip(STREAMS * len(moments), moments.items(), strict=False):
        counts, _ = np.histogram(times, edges)
        per_second = counts / ((upper - lower) / BINS / NS_PER_S)
        rates.append(per_second[per_second > 0])
        panel.stairs(per_second, _days(edges), baseline=None, color=colour, linewidth=1.4, label=name)
    if near is not None:
        panel.axvline(_days(near.trade_ns[:1])[0], color=STREAMS[2], linewidth=1.4, label="shown above")
    panel.set_xlim(*_days(edges[[0, -1]]))
    _scale(panel.yaxis, np.concatenate([*rates, np.empty(0)]), lambda rate, _: f"{rate:,.5g}")
    panel.set_title("rows per second", loc="left", color=INK)
    panel.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=9, borderaxespad=0.1)
    _plain(panel)


def draw_seals(panel: Axes, frames: Frames) -> None:
    """A line per frame and partition, where its frontier stood: rows before it were final from then on."""
    frontier, partition = np.array(frames.complete_ns, np.int64), np.array(frames.partition, np.int64)
    if frontier.size:
        panel.vlines(
            _days(frontier),
            partition - 0.36,
            partition + 0.36,
            color=INK,
            linewidth=1,
            alpha=max(0.15, min(1.0, 600 / frontier.size)),
            gid="seals",
        )
    panel.set_title(
        f"the frontier of each of {frontier.size:,} frames: rows before it were final", loc="left", color=INK
    )
    panel.set_ylabel("partition", color=INK)
    if np.unique(partition).size <= LANES_MAX:
        panel.set_yticks(np.unique(partition))
    else:
        panel.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=LANES_MAX))
    _plain(panel)


def _tell_market_time(panel: Axes, span_ns: tuple[int, int]) -> None:
    """Times of day below a panel, to the minute, and closer where the day is short."""
    span = span_ns[1] - span_ns[0]
    form = "%H:%M" if span > 10 * 60 * NS_PER_S else "%H:%M:%S" if span > 10 * NS_PER_S else "%H:%M:%S.%f"
    panel.set_xlabel("market time, UTC", color=INK)
    ticks = 8 if form == "%H:%M" else 6 if form == "%H:%M:%S" else 3
    panel.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=ticks))  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_formatter(DateFormatter(form))  # type: ignore[no-untyped-call]


def draw_ages(panel: Axes, ages: Mapping[str, Int64s]) -> None:
    """How far each match lies from its row, on a logarithmic scale where they differ much.

    Matches of the same nanosecond are counted apart.
    """
    matched = {name: np.abs(values) for name, values in ages.items() if values.size}
    apart = np.concatenate([*(values[values > 0] for values in matched.values()), np.empty(0, np.int64)])
    if _differ_much(apart):
        bins = np.geomspace(apart.min(), apart.max() + 1, 49)
    else:
        bins = (
            np.linspace(apart.min(initial=NS_PER_DAY), apart.max(initial=0) + 1, 25) if apart.size else EMPTY
        )
    for colour, (name, values) in zip(STREAMS[1:] * len(matched), matched.items(), strict=False):
        same = int((values == 0).sum())
        panel.hist(
            values[values > 0],
            bins=bins.tolist(),
            color=colour,
            alpha=0.8,
            label=f"{name}: {values.size - same:,}, and {same:,} of the same nanosecond",
        )
    _scale(panel.xaxis, apart, lambda ns, _: duration(round(ns)))
    if apart.size:
        panel.set_xlim(bins[0], bins[-1])
    panel.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.set_title("rows by age of their match", loc="left", color=INK)
    if matched:
        panel.legend(frameon=False, loc="upper left", handlelength=1)
        panel.margins(y=0.25)
    _plain(panel)


def _span_ns(moments: Mapping[str, Int64s]) -> tuple[int, int]:
    """From the first row of all streams to the last; at least a second, for a day may have one row."""
    spans = [(int(m.min()), int(m.max())) for m in moments.values() if m.size]
    lower, upper = min((s[0] for s in spans), default=0), max((s[1] for s in spans), default=NS_PER_DAY) + 1
    return lower, max(upper, lower + NS_PER_S)


def _differ_much(values: npt.NDArray[Any]) -> bool:
    """Whether values above 0 need a logarithmic scale: its ticks lie a decade apart."""
    return bool(values.size) and values.max() / values.min() >= DECADE


def _scale(axis: Axis, values: npt.NDArray[Any], words: Callable[[float, object], str]) -> None:
    """Ticks in words at either scale, and none between those of a logarithmic one, whose words are powers."""
    if _differ_much(values):
        panel = axis.axes
        (panel.set_xscale if axis is panel.xaxis else panel.set_yscale)("log")
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=5))
    axis.set_major_formatter(FuncFormatter(words))


def _plain(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=9)
    panel.grid(alpha=0.15)
    panel.set_axisbelow(True)


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // NS_PER_S, UTC).strftime("%H:%M:%S")


def _seconds(ns: Int64s, base_ns: int) -> Float64s:
    return np.asarray((ns - base_ns) / NS_PER_S, dtype=np.float64)


def _days(ns: Int64s | Float64s) -> Float64s:
    """Days since the epoch, as Matplotlib counts them."""
    return np.asarray(ns / NS_PER_DAY, dtype=np.float64)
