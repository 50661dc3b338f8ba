"""The names of functions that are still to come, those that look ahead, and those of bars."""

from typing import Final

# They look forward in time, so that only a label may use them.
LOOKING_AHEAD: Final = frozenset(
    ["lead", "realised_spread", "price_impact", "triple_barrier", "fixed_horizon"]
)

# Aggregates of a bar.  `min` and `max` are row functions too.
OF_BARS: Final = frozenset(["sum", "mean", "wmean", "first", "last", "count"])

# fmt: off
TO_COME: Final = frozenset([
    "sample_asof", "resample", "cs_rank", "cs_zscore", "cs_demean", "cs_bucket", "cs_quantile",
    "cs_neutralise", "hayashi_yoshida", "epps",
])
# fmt: on
