"""The names of functions: those that are there, those that are still to come, those that look ahead."""

from collections.abc import Mapping
from typing import Final

# What each function takes, in order, as words for a message.
FUNCTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "where": ("condition", "value if true", "value if false"),
    "sign": ("value",),
    "abs": ("value",),
    "log": ("value",),
}

# They look forward in time, so that only a label may use them.
LOOKING_AHEAD: Final = frozenset(
    ["lead", "realised_spread", "price_impact", "triple_barrier", "fixed_horizon", "trend_scan"]
)

# Aggregates of a bar.  `min` and `max` are row functions too.
OF_BARS: Final = frozenset(["sum", "mean", "wmean", "first", "last", "count"])

# fmt: off
TO_COME: Final = frozenset([
    "exp", "sqrt", "power", "min", "max", "clip", "xor", "lag", "diff", "pct_change", "log_return",
    "cumsum", "time_since", "count_since", "fill_forward", "sample_asof", "resample", "rolling_count",
    "rolling_sum", "rolling_mean", "rolling_var", "rolling_std", "rolling_min", "rolling_max",
    "rolling_median", "rolling_quantile", "rolling_rank", "rolling_skew", "rolling_kurt", "rolling_cov",
    "rolling_corr", "rolling_beta", "rolling_zscore", "rolling_argmax", "rolling_argmin", "ewma",
    "ewma_time", "decay_accum", "ewm_std", "cs_rank", "cs_zscore", "cs_demean", "cs_bucket", "cs_quantile",
    "cs_neutralise", "mid", "spread", "relative_spread", "weighted_mid", "micro_price", "queue_imbalance",
    "tick_rule", "quote_rule", "lee_ready", "emo", "clnv", "direction", "p_buy", "bvc", "signed_volume",
    "effective_spread", "trade_return", "quote_age", "vwap", "twap", "ewma_volatility",
    "ewma_variance_rate", "realised_variance", "bipower_variation", "two_scale_variance", "parkinson",
    "garman_klass", "rogers_satchell", "yang_zhang", "ofi", "ofi_levels", "trade_imbalance", "kyle_rls",
    "kyle_window", "amihud", "hasbrouck", "roll_spread", "corwin_schultz", "vpin", "hayashi_yoshida",
    "epps", "hedge_ratio", "hawkes", "hawkes_two_sided", "local_level", "hmm", "cusum",
])
# fmt: on

KNOWN: Final = (*FUNCTIONS, *sorted(TO_COME | LOOKING_AHEAD | OF_BARS))


def absence(name: str) -> str:
    """Return why a formula of rows cannot call `name`, which is none of `FUNCTIONS`, but of `KNOWN`."""
    if name in LOOKING_AHEAD:
        return f"{name} looks ahead; only a label node may, and labels are never served"
    if name in OF_BARS:
        return f"{name} belongs to bar nodes, which are not there yet in this version"
    return f"{name} is not there yet in this version; the functions are {', '.join(FUNCTIONS)}"
