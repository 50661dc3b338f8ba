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
# # From features to a trained model
#
# Features are written once, as formulas in the settings; a backtest gives their rows, the audit judges them, and a model is
# trained on them with splits that do not leak. A live worker would give the same rows, bit for bit. The day is
# generated here, so what can be learned is known beforehand: prices bounce between bid and ask, and nothing else.
#
# Run it in the folder of a clone. Where the wheel is installed, say `tidemark backtest` for `python -m app backtest`,
# and `from tidemark.gpu_sink` for `from gpu_sink`.

# %%
import json
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from gpu_sink import AlignedStream, PurgedKFold, require_no_leak

FOLDER = Path("build/notebooks")
STORE, OUT = FOLDER / "history", FOLDER / "features"
DATE = "2024-01-16"
FOLDER.mkdir(parents=True, exist_ok=True)
python = [sys.executable, "-m"]
sizes = ["--symbols", "20", "--trades", "20000", "--quotes", "100000"]
subprocess.run([*python, "replay", "generate", "--date", DATE, "--store", str(STORE), *sizes], check=True)

# %% [markdown]
# ## Features, by formula
#
# `away` says how far from the mid a trade was paid, `imbalance` which side of the book is heavier; `last` and `vol` look
# back over the symbol's earlier trades. Each has a meaning that is hashed: `graph.lock` would refuse one that changed
# under its name.

# %%
SETTINGS = """
[graph]
name = "notebook"

[graph.tick]
from = "aligned"
[graph.tick.features]
mid       = "mid(quote_bid_price, quote_ask_price)"
away      = "(price - mid) / mid * 1e4"
imbalance = "queue_imbalance(quote_bid_size, quote_ask_size)"
last      = "log_return(price, rows=1) * 1e4"
vol       = "rolling_std(last, '5m')"
[graph.tick.out]
columns = ["price", "mid", "away", "imbalance", "last", "vol"]
"""
config = FOLDER / "features.toml"
config.write_text(SETTINGS)
run = [*python, "app", "backtest", "--config", str(config), "--date", DATE]
subprocess.run([*run, "--store", str(STORE), "--out", str(OUT)], check=True, capture_output=True)
summary = json.loads((OUT / "summary.json").read_text())
print(f"{summary['rows_aligned']:,} rows, {summary['audit_violations']} violations")
assert summary["audit_violations"] == 0

# %% [markdown]
# ## Rows into arrays
#
# `AlignedStream` opens the folder of a node as it would open its topic: any Arrow reader takes it.

# %%
rows = pl.DataFrame(AlignedStream.from_folder(OUT / "tick"))
rows = rows.with_columns(at_ns=pl.col("event_ns").cast(pl.Int64)).sort("at_ns")
rows.select("symbol", "event_ns", "away", "imbalance", "last", "vol").tail(5)

# %% [markdown]
# ## A label, and when it is known
#
# The label is the way from this trade's price to the symbol's next one, in basis points of the mid. It hangs on that next
# trade, so that is where its information ends; features with nulls (the first rows of each symbol) are left out, not
# filled in.

# %%
samples = rows.with_columns(
    label=(pl.col("price").shift(-1).over("symbol") - pl.col("price")) / pl.col("mid") * 1e4,
    end_ns=pl.col("at_ns").shift(-1).over("symbol"),
)
NAMES = ["away", "imbalance", "last", "vol"]
samples = samples.drop_nulls(["label", *NAMES])
features = samples.select(NAMES).to_numpy()
label = samples["label"].to_numpy()
start_ns, end_ns = samples["at_ns"].to_numpy(), samples["end_ns"].to_numpy()
print(f"{samples.height:,} samples of {rows.height:,} rows")

# %% [markdown]
# ## Splits that do not leak
#
# `PurgedKFold` leaves out of training what overlaps the tested fold, and for as long after it as features look back.
# `require_no_leak` checks any splits, and refuses shuffled ones.

# %%
EMBARGO_NS = 300 * 10**9  # `vol` looks back five minutes
folds = PurgedKFold(5, start_ns, end_ns, embargo_ns=EMBARGO_NS)
splits = list(folds.split(features))
assert require_no_leak(splits, start_ns, end_ns, embargo_ns=EMBARGO_NS) == 5


def fitted(train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares on standardised features: mean, deviation, and weights with the constant last."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    design = np.column_stack([(features[train] - mean) / deviation, np.ones(train.size)])
    return mean, deviation, np.linalg.lstsq(design, label[train], rcond=None)[0]


def predicted(model: tuple[np.ndarray, np.ndarray, np.ndarray], test: np.ndarray) -> np.ndarray:
    """What a model says of samples that it has not seen."""
    mean, deviation, weights = model
    return (features[test] - mean) / deviation @ weights[:-1] + weights[-1]


models = [fitted(train) for train, _ in splits]
forecast = np.full(label.size, np.nan)
for model, (_, test) in zip(models, splits, strict=True):
    forecast[test] = predicted(model, test)
explained = [
    1 - np.square(label[test] - forecast[test]).sum() / np.square(label[test] - label[test].mean()).sum()
    for _, test in splits
]
print("explained variance, fold by fold:", ", ".join(f"{value:.3f}" for value in explained))
assert min(explained) > 0.05

# %% [markdown]
# ## What it has learned
#
# The weight of `away` is large and negative: a trade at the ask is followed by one further down. The other features say
# almost nothing beyond it, as they must on this market. The right picture shows forecasts against what came, in twenty
# bins of equal size.

# %%
weights = np.array([model[2][:-1] for model in models])
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
left.bar(NAMES, weights.mean(axis=0), yerr=weights.std(axis=0))
left.axhline(0, color="black", linewidth=0.5)
left.set(ylabel="bps for one deviation", title="Weights, mean and spread over five folds")
bins = np.array_split(np.argsort(forecast), 20)
right.plot([forecast[places].mean() for places in bins], [label[places].mean() for places in bins], "o-")
right.axline((0, 0), slope=1, color="gray", linewidth=0.5)
right.set(xlabel="forecast, bps", ylabel="what came, bps", title="Out of sample")
figure.tight_layout()
plt.show()

strongest = NAMES[int(np.abs(weights.mean(axis=0)).argmax())]
assert strongest == "away"
assert (weights[:, NAMES.index("away")] < 0).all()

# %% [markdown]
# From here: [models](../models.md) has estimators as nodes of the graph, fitted by a command and switched at a moment of
# event time; [gpu_sink](../gpu_sink.md) has batches for PyTorch, folds and weights of samples.
