"""Where the time goes: the legs of a median row and of a slow one, stacked, beside those of a bare copy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.patches import Patch

from tests.bench.user_latency_legs import LEGS

COLOURS: Final = ("lightgrey", "tab:olive", "tab:blue", "tab:orange", "tab:green")


def draw(contests: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw a panel per rate and guarantee; a dotted line is what is promised of p99."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    count = len(contests)
    figure, panels = plt.subplots(
        count, 1, figsize=(9, 1 + 1.6 * count), layout="constrained", squeeze=False, sharex=True
    )
    for axes, contest in zip(panels[:, 0], contests, strict=True):
        bars = [
            (f"{contender} {quantile}", near)
            for contender, figures in contest["medians"].items()
            for quantile, near in figures["near_ms"].items()
        ]
        for place, (_, near) in enumerate(bars):
            left_ms = 0.0
            for leg, colour in zip(LEGS, COLOURS, strict=True):
                width_ms = max(0.0, near.get(leg, 0.0))  # the broker's whole milliseconds may put it below
                axes.barh(place, width_ms, left=left_ms, color=colour)
                left_ms += width_ms
            axes.text(left_ms, place, f" {left_ms:.0f}", va="center", fontsize=8)
        axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=8)
        axes.invert_yaxis()
        axes.axvline(contest["verdict"]["promised_ms"], color="black", linestyle=":", linewidth=1)
        guarantee = contest["guarantee"].replace("_", " ")
        axes.set_title(f"{contest['rows_per_second']:,} rows/s, {guarantee}", loc="left", fontsize=9)
    handles = [Patch(color=colour, label=words) for words, colour in zip(LEGS.values(), COLOURS, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    panels[-1, 0].set_xlabel("milliseconds from produce(), less is better; dotted: promised p99")
    figure.savefig(path, dpi=120)
    plt.close(figure)
