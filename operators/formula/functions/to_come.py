"""Names that no formula of rows may call: still to come, looking ahead, of bars, or nodes."""

from typing import Final

# They look forward in time, so that only a label may use them.
LOOKING_AHEAD: Final = frozenset(
    ["lead", "realised_spread", "price_impact", "triple_barrier", "fixed_horizon"]
)

# Aggregates of a bar.  `min` and `max` are row functions too.
OF_BARS: Final = frozenset(["sum", "mean", "wmean", "first", "last", "count"])

# They change the rows (R20, R21), as bars of time do.
OF_STEPS: Final = frozenset(["sample_asof", "resample"])

# fmt: off
TO_COME: Final = frozenset([
    "cs_rank", "cs_zscore", "cs_demean", "cs_bucket", "cs_quantile", "cs_neutralise",
    "hayashi_yoshida", "epps",
])
# fmt: on
