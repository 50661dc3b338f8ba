"""The names of functions that are still to come, those that look ahead, and those of bars."""

from typing import Final

# They look forward in time, so that only a label may use them.
LOOKING_AHEAD: Final = frozenset(
    ["lead", "realised_spread", "price_impact", "triple_barrier", "fixed_horizon", "trend_scan"]
)

# Aggregates of a bar.  `min` and `max` are row functions too.
OF_BARS: Final = frozenset(["sum", "mean", "wmean", "first", "last", "count"])

# fmt: off
TO_COME: Final = frozenset([
    "cumsum", "time_since", "count_since", "fill_forward",
    "sample_asof", "resample",
    "rolling_min", "rolling_max", "rolling_median", "rolling_quantile", "rolling_rank",
    "rolling_argmax",
    "rolling_argmin", "ewma_time", "decay_accum", "ewm_std", "cs_rank", "cs_zscore", "cs_demean",
    "cs_bucket", "cs_quantile", "cs_neutralise", "micro_price", "tick_rule", "lee_ready", "emo", "clnv",
    "direction", "bvc", "trade_return", "twap", "ewma_volatility", "ewma_variance_rate",
    "realised_variance", "bipower_variation", "two_scale_variance", "parkinson", "garman_klass",
    "rogers_satchell", "yang_zhang", "ofi", "ofi_levels", "kyle_rls",
    "amihud", "hasbrouck", "corwin_schultz", "vpin", "hayashi_yoshida", "epps",
    "hedge_ratio", "hawkes", "hawkes_two_sided", "local_level", "hmm", "cusum",
])
# fmt: on
