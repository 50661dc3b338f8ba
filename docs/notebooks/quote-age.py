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
# # Quote age at the open
#
# Each trade is joined with the quote that stood at its nanosecond, and `quote_age_ns` says how old that quote was. Two
# quotes of one price are not worth the same when one is a millisecond old and the other half a minute. This notebook
# looks at that age through a day that is generated here.
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
command = [sys.executable, "-m", "replay", "generate", "--date", DATE, "--store", str(STORE)]
subprocess.run([*command, "--symbols", "20", "--trades", "20000", "--quotes", "100000"], check=True)


def rows_of(stream: str) -> pl.DataFrame:
    """A stream of the day; the files' own folders say symbol buckets, which are no columns here."""
    folder = STORE / f"stream={stream}" / f"date={DATE}"
    return pl.read_parquet(folder / "**/*.parquet", hive_partitioning=False)


trades, quotes = rows_of("trade"), rows_of("quote")
print(f"{trades.height:,} trades and {quotes.height:,} quotes of {trades['symbol'].n_unique()} symbols")

# %% [markdown]
# ## The join
#
# One row per trade, with the last quote of its symbol at or before it. A trade without one is kept, with nulls: those
# are the trades before the first quote of the day.

# %%
joined = pl.DataFrame(asof_join(trades, {"quote": quotes}))
OPEN_NS = 1_705_415_400 * 10**9  # 09:30 in New York
joined = joined.with_columns(
    minute=(pl.col("event_ns") - OPEN_NS) // (60 * 10**9),
    age_ms=pl.col("quote_age_ns") / 1e6,
)
joined.select("event_ns", "symbol", "price", "quote_bid_price", "quote_ask_price", "quote_age_ns").head(5)

# %% [markdown]
# ## Through the day
#
# Trades are most at the open and at the close. Age is another thing: this generator draws quotes in bursts around trades,
# so the quote behind a trade is about as old at noon as at the open. On real days the two curves part, and where they do
# is worth knowing before a tolerance is chosen: put your own store and date above.

# %%
bins = joined.group_by(bin=pl.col("minute") // 10 * 10).agg(
    p50=pl.col("age_ms").median(), p99=pl.col("age_ms").quantile(0.99), trades=pl.len()
)
bins = bins.sort("bin")
figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5), sharex=True)
above.bar(bins["bin"], bins["trades"], width=9)
above.set(ylabel="trades", title="Trades and the age of their quotes, in bins of ten minutes")
below.semilogy(bins["bin"], bins["p50"], label="median")
below.semilogy(bins["bin"], bins["p99"], label="99th percentile")
below.set(xlabel="minutes since the open", ylabel="age, ms")
below.legend()
plt.show()

opening, noon = bins.row(0, named=True), bins.row(19, named=True)
for name, row in (("the first ten minutes", opening), ("ten minutes from 12:40 on", noon)):
    print(f"{name}: {row['trades']:,} trades, median age {row['p50']:,.0f} ms")
assert opening["trades"] > 2 * noon["trades"]

# %% [markdown]
# ## The first trade of each symbol
#
# At the open nothing stands yet: yesterday's last quotes are another day's. The bars are the time from the open to the
# first quote of each symbol, the dots its first trade. A dot below its bar would be a trade without a match.

# %%
first = joined.group_by("symbol").agg(trade=(pl.col("event_ns").min() - OPEN_NS) / 1e9)
quoted = quotes.group_by("symbol").agg(quote=(pl.col("event_ns").min() - OPEN_NS) / 1e9)
first = first.join(quoted, on="symbol").sort("symbol")
figure, axis = plt.subplots(figsize=(8, 3.5))
axis.bar(first["symbol"], first["quote"], label="first quote")
axis.plot(first["symbol"], first["trade"], "o", color="tab:red", label="first trade")
axis.set(ylabel="seconds since the open", title="The first quote and the first trade of each symbol")
axis.tick_params("x", rotation=90)
axis.legend()
plt.show()

early = first.filter(pl.col("trade") < pl.col("quote")).height
assert joined["quote_age_ns"].null_count() >= early
print(f"{early} symbols traded before they were quoted")

# %% [markdown]
# ## Quotes of the same nanosecond
#
# By default a quote of the trade's own nanosecond matches (`allow_exact`). Whether it may is a question to the venue: did
# it stand before the trade, or is it what the trade left behind? The strict join takes the quote before it.

# %%
exact = (joined["quote_age_ns"] == 0).sum()
before = asof_join(trades, {"quote": quotes}, allow_exact=False)
other = (pl.from_arrow(before.column("quote_bid_price")) != joined["quote_bid_price"]).sum()
print(
    f"{exact:,} of {joined.height:,} trades have a quote of their own nanosecond; strictly, {other:,} get another bid"
)
assert exact > 0
assert pl.from_arrow(before.column("quote_age_ns")).min() > 0

# %% [markdown]
# ## What a tolerance costs
#
# `tolerance_ns` is the farthest quote that still matches. The curve says which share of the trades would keep its match.
# Pick a point on it on purpose: the audit judges each row by the rule of its frame, so a later change makes no row wrong.

# %%
ages = np.sort(joined["quote_age_ns"].drop_nulls().to_numpy())
tolerances_ns = np.geomspace(1e6, 300e9, 60).astype(np.int64)
share = np.searchsorted(ages, tolerances_ns, "right") / trades.height
figure, axis = plt.subplots(figsize=(8, 3.5))
axis.semilogx(tolerances_ns / 1e9, 100 * share)
axis.set(xlabel="tolerance, seconds", ylabel="trades with a match, %", title="What a tolerance leaves")
axis.grid(visible=True, alpha=0.3)
plt.show()

strict = asof_join(trades, {"quote": quotes}, tolerance_ns=int(tolerances_ns[30]))
kept = trades.height - strict.column("quote_age_ns").null_count
assert kept == round(share[30] * trades.height)
print(f"a tolerance of {tolerances_ns[30] / 1e9:.2f} s keeps {100 * share[30]:.1f} % of the matches")
