"""A settings file with a graph of row formulas, beside a small history that has its columns."""

from pathlib import Path
from typing import Final

from tests.stage.day_runs import small_days

TICK: Final = """\
[graph]
name = "equities"
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
spread_bps = "1e4 * (quote_ask_price - quote_bid_price) / mid"
[graph.tick.out]
[graph.side]
from = "tick"
[graph.side.features]
signed = "sign(price - mid) * size"
far = "log(price / mid)"
"""


def graph_file(folder: Path, text: str = TICK, name: str = "my.toml") -> Path:
    """Write the settings and make the day of `folder`/history, unless it is there; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    if not (folder / "history").exists():
        small_days(folder / "history")
    return folder / name
