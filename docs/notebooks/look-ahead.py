# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Look-ahead, shown by one wrong join
#
# A signal on prices that are a random walk cannot earn anything. Here is one that does, because of a single join: times are
# cut to whole seconds before it, as many files have them. The same join on nanoseconds earns nothing, as it must, and
# the ages say which rows looked ahead. The day is generated here.
#
# Run it in the folder of a clone. Where the wheel is installed, say `from tidemark import asof_join` and
# `python -m tidemark.replay`.

# %%
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from operators.asof import asof_join

STORE = Path("build/notebooks/history")
DATE = "2024-01-16"
SECOND_NS = 10**9
command = [sys.executable, "-m", "replay", "generate", "--date", DATE, "--store", str(STORE)]
subprocess.run([*command, "--symbols", "20", "--trades", "20000", "--quotes", "100000"], check=True)


def rows_of(stream: str) -> pl.DataFrame:
    """A stream of the day."""
    folder = STORE / f"stream={stream}" / f"date={DATE}"
    return pl.read_parquet(folder / "**/*.parquet", hive_partitioning=False)


trades = rows_of("trade")
mids = rows_of("quote").select(
    "symbol",
    "event_ns",
    quoted_ns=pl.col("event_ns"),  # stays what it is, whatever is done to the time that is joined on
    mid=(pl.col("bid_price") + pl.col("ask_price")) / 2,
)

# %% [markdown]
# ## The signal and what it earns
#
# At each trade: buy where the mid lies above the price that was paid, sell where it lies below, and hold for a second. What
# that earns is measured with the mid that truly stood, at the trade and a second later; only the signal differs.


# %%
def matched(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    """The last mid of the symbol at or before each row of `left`."""
    return pl.DataFrame(asof_join(left, {"quote": right}))


def cut(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose time is that of their second."""
    return rows.with_columns(event_ns=pl.col("event_ns") // SECOND_NS * SECOND_NS)


now = matched(trades, mids)
later = matched(trades.with_columns(event_ns=pl.col("event_ns") + SECOND_NS), mids)
moved_bps = ((later["quote_mid"] - now["quote_mid"]) / now["quote_mid"] * 1e4).fill_null(0.0).to_numpy()


def earned(joined: pl.DataFrame) -> np.ndarray:
    """What the signal of these matches earns, trade by trade, in basis points."""
    return np.sign((joined["quote_mid"] - trades["price"]).fill_null(0.0).to_numpy()) * moved_bps


right, wrong = earned(now), earned(matched(cut(trades), cut(mids)))
figure, axis = plt.subplots(figsize=(8, 4))
axis.plot(np.cumsum(wrong), color="tab:red", label="times cut to seconds")
axis.plot(np.cumsum(right), color="tab:blue", label="nanoseconds")
axis.set(xlabel="trades", ylabel="earned, basis points", title="One random walk, two joins")
axis.legend()
plt.show()


def error(earnings: np.ndarray) -> float:
    """The standard error of the mean."""
    return float(earnings.std() / np.sqrt(earnings.size))


for name, earnings in (("seconds", wrong), ("nanoseconds", right)):
    print(f"{name:12} {earnings.mean():+.3f} bps a trade, give or take {error(earnings):.3f}")
assert wrong.mean() > 10 * error(wrong), "the wrong join must look like a discovery"
assert abs(right.mean()) < 4 * error(right), "a random walk earns nothing"

# %% [markdown]
# ## Where it comes from
#
# Within a second the last quote counts, also for the trades before it. The true age of each match, trade time less quote
# time, says so: where it is negative, the quote came after the trade.

# %%
seen = matched(cut(trades), cut(mids))
age_ms = ((trades["event_ns"] - seen["quote_quoted_ns"]) / 1e6).to_numpy()
figure, axis = plt.subplots(figsize=(8, 3.5))
axis.hist(age_ms, bins=np.arange(-1000, 1001, 25), color="lightgray")
axis.hist(age_ms[age_ms < 0], bins=np.arange(-1000, 1001, 25), color="tab:red")
axis.set(xlabel="true age of the match, ms", ylabel="trades", title="Red: the quote came after the trade")
plt.show()

ahead = age_ms < 0
print(f"{ahead.sum():,} of {ahead.size:,} rows looked ahead")
print(f"they earn {wrong[ahead].mean():+.3f} bps each, the others {wrong[~ahead].mean():+.3f}")
assert (now["quote_age_ns"].drop_nulls() >= 0).all()
assert ahead.sum() > 1_000

# %% [markdown]
# ## What stands against it
#
# Every time is int64 nanoseconds, from the file to the frame, and each joined row carries its age. `python -m app audit`
# joins again with another program and names each row whose match it could not have known; a live worker emits a row only
# when no earlier quote can come any more. There is a second clock against a subtler kind: `clock = "known"` joins on the
# moment at which your receiver had the quote. On this day that changes the match of so many rows:

# %%
known = pl.DataFrame(asof_join(trades, {"quote": rows_of("quote")}, on="known_ns"))
event = pl.DataFrame(asof_join(trades, {"quote": rows_of("quote")}))
changed = (known["quote_known_ns"] != event["quote_known_ns"]).sum()
print(f"{changed:,} of {trades.height:,} trades have another quote by the receiver's clock")
assert 0 < changed < trades.height
