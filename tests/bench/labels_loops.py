"""Labels as they are made elsewhere: by a loop over bars in the manner of mlfinlab, or by Polars.

mlfinlab's `getEvents` takes each event's path out of a pandas series of closes, and asks for the first close
beyond each barrier; its trend scan fits a line to each span of each event.
"""

import math
from typing import Final

import numpy as np
import pandas as pd
import polars as pl

NAMES: Final = {1: "up", -1: "down", 0: "rows"}


def triple_barrier(bars: pd.DataFrame, multiple: float, horizon: int) -> pd.DataFrame:
    """L1: the first close of the next bars of its symbol beyond a barrier, or the last of them."""
    made = []
    for symbol, own in bars.groupby("symbol"):
        closes = pd.Series(own["close"].to_numpy(), index=own["event_ns"].to_numpy())
        widths = multiple * own["sigma"].to_numpy()
        for i in range(len(closes) - 1):
            path = closes.iloc[i + 1 : i + 1 + horizon]
            price = closes.iloc[i]
            above = path[path >= price * (1.0 + widths[i])].index.min()
            below = path[path <= price * (1.0 - widths[i])].index.min()
            first = min(above if above == above else math.inf, below if below == below else math.inf)
            if first == math.inf and len(path) < horizon:
                continue
            end_ns = int(path.index[-1]) if first == math.inf else int(first)
            label = 0 if first == math.inf else (1 if first == above else -1)
            exit_price = path.loc[end_ns]
            made.append((symbol, closes.index[i], label, exit_price / price - 1.0, NAMES[label], end_ns))
    return pd.DataFrame(made, columns=["symbol", "event_ns", "label", "ret", "barrier", "label_end_ns"])


def fixed_horizon(bars: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """L2, by Polars: the return to the bar of the symbol so many later."""
    later = (pl.col("close").shift(-horizon) / pl.col("close") - 1.0).over("symbol")
    end_ns = pl.col("event_ns").shift(-horizon).over("symbol")
    return bars.select("symbol", "event_ns", label=later, label_end_ns=end_ns).drop_nulls()


def trend_scan(bars: pd.DataFrame, shortest: int, longest: int) -> pd.DataFrame:
    """L5: the sign of the steepest slope, by its t-value, of lines through the next closes."""
    made = []
    for symbol, own in bars.groupby("symbol"):
        closes, times = own["close"].to_numpy(), own["event_ns"].to_numpy()
        for i in range(len(closes) - longest + 1):
            scanned = [_t_value(closes[i : i + span]) for span in range(shortest, longest + 1)]
            best = int(np.argmax(np.abs(scanned)))
            end_ns = times[i + shortest + best - 1]
            made.append((symbol, times[i], np.sign(scanned[best]), scanned[best], end_ns))
    return pd.DataFrame(made, columns=["symbol", "event_ns", "label", "t_value", "label_end_ns"])


def _t_value(prices: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """That of the slope of a line through prices at 0, 1, 2 and so on."""
    count = prices.size
    x = np.arange(count) - (count - 1) / 2.0
    y = prices - prices.mean()
    squares = (x * x).sum()
    slope = (x * y).sum() / squares
    residues = y - slope * x
    return float(slope / math.sqrt((residues * residues).sum() / (count - 2) / squares))
