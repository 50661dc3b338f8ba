"""The picture of a replay: rows per second over market time, watermark lag, age of the match."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from app.reading.aligned import Frames
from schemas.batch import Int64s
from schemas.clocks import NS_PER_DAY, NS_PER_S

Float64s: TypeAlias = npt.NDArray[np.float64]

BINS = 240


def draw(
    path: Path, title: str, moments: Mapping[str, Int64s], frames: Frames, ages: Mapping[str, Int64s]
) -> None:
    """Draw three panels into a PNG.

    `moments` has the pipeline clock of every row by stream, `ages` the match's age in ns by right stream.
    """
    figure = Figure(figsize=(11, 9), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    rate, lag, age = figure.subplots(3, 1)
    lag.sharex(rate)
    spans = [(int(m.min()), int(m.max())) for m in moments.values() if m.size]
    lower, upper = min((s[0] for s in spans), default=0), max((s[1] for s in spans), default=NS_PER_DAY) + 1
    edges = np.linspace(lower, upper, BINS + 1)
    midnight_ns = lower // NS_PER_DAY * NS_PER_DAY
    hours = _hours(edges[:-1], midnight_ns)
    for name, times in moments.items():
        counts, _ = np.histogram(times, edges)
        rate.step(hours, counts / ((upper - lower) / BINS / NS_PER_S), where="post", label=name)
    rate.set(ylabel="rows per second", yscale="symlog", title="Input")
    rate.legend(frameon=False)
    frontier, newest = np.array(frames.complete_ns), np.array(frames.newest_ns)
    shown = (frontier > lower) & (frontier <= upper)
    if shown.any():
        lag.plot(
            _hours(frontier[shown], midnight_ns),
            np.maximum(newest[shown] - frontier[shown], 0) / NS_PER_S,
            ".",
            markersize=3,
        )
    lag.set(
        ylabel="seconds",
        xlabel="market time, UTC hours",
        title="Watermark lag: newest row read less frontier",
    )
    matched = {name: values for name, values in ages.items() if values.size}
    for name, values in matched.items():
        age.hist(
            np.maximum(values, 1) / NS_PER_S, bins=np.logspace(-9, 5, 113).tolist(), alpha=0.7, label=name
        )
    age.set(
        xscale="log",
        yscale="log",
        xlabel="seconds",
        ylabel="rows",
        title="Age of the match (0 shown as 1 ns)",
    )
    if matched:
        age.legend(frameon=False)
    for panel in (rate, lag, age):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.2)
    figure.savefig(path, dpi=110)


def _hours(ns: Int64s | Float64s, midnight_ns: int) -> Float64s:
    return np.asarray((ns - midnight_ns) / (3_600 * NS_PER_S), dtype=np.float64)
