"""The oracle of every function that sees other rows, by its name in a formula."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tests.oracles.features import averages, estimators, ewma, flow, lags, models, rolling, trades, trends
from tests.oracles.features.rows import Oracle

# Relative 1e-12: what the handbook allows sums added in blocks or lanes, between machines.
IN_BLOCKS: Final = 4_096

ORACLES: Final[Mapping[str, Oracle]] = MappingProxyType(
    {
        "lag": Oracle(lags.lag, ulps=0),
        "diff": Oracle(lags.diff, ulps=0),
        "pct_change": Oracle(lags.pct_change, ulps=0),
        "log_return": Oracle(lags.log_return, ulps=0),
        "cumsum": Oracle(lags.cumsum, ulps=0),
        "time_since": Oracle(lags.time_since, ulps=0),
        "count_since": Oracle(lags.count_since, ulps=0),
        "fill_forward": Oracle(lags.fill_forward, ulps=0),
        "rolling_count": Oracle(rolling.rolling_count, ulps=0),
        "rolling_sum": Oracle(rolling.rolling_sum, ulps=0),
        "rolling_mean": Oracle(rolling.rolling_mean, ulps=0),
        "rolling_var": Oracle(rolling.rolling_var, ulps=1),
        "rolling_std": Oracle(rolling.rolling_std, ulps=1),
        "rolling_min": Oracle(rolling.rolling_min, ulps=0),
        "rolling_max": Oracle(rolling.rolling_max, ulps=0),
        "rolling_median": Oracle(rolling.rolling_median, ulps=0),
        "rolling_quantile": Oracle(rolling.rolling_quantile, ulps=0),
        "rolling_rank": Oracle(rolling.rolling_rank, ulps=0),
        "rolling_skew": Oracle(rolling.rolling_skew, ulps=0),
        "rolling_kurt": Oracle(rolling.rolling_kurt, ulps=0),
        "rolling_cov": Oracle(rolling.rolling_cov, ulps=1),
        # A rounding each of Sxy, two roots of rounded sums, their product and the quotient.
        "rolling_corr": Oracle(rolling.rolling_corr, ulps=4),
        "rolling_beta": Oracle(rolling.rolling_beta, ulps=2),
        # A rounding each of the distance to the mean, the root of the rounded variance, and the quotient.
        "rolling_zscore": Oracle(rolling.rolling_zscore, ulps=3),
        "rolling_argmax": Oracle(rolling.rolling_argmax, ulps=0),
        "rolling_argmin": Oracle(rolling.rolling_argmin, ulps=0),
        "ewma": Oracle(ewma.ewma, ulps=0),
        "ewma_time": Oracle(ewma.ewma_time, ulps=0),
        "decay_accum": Oracle(ewma.decay_accum, ulps=0),
        "ewm_std": Oracle(ewma.ewm_std, ulps=0),
        "tick_rule": Oracle(trades.tick_rule, ulps=0),
        "lee_ready": Oracle(trades.lee_ready, ulps=0),
        "emo": Oracle(trades.emo, ulps=0),
        "clnv": Oracle(trades.clnv, ulps=0),
        "direction": Oracle(trades.direction, ulps=0),
        "trade_return": Oracle(trades.trade_return, ulps=0),
        # A rounding each of the two sums and of the quotient.
        "vwap": Oracle(averages.vwap, ulps=2),
        "twap": Oracle(averages.twap, ulps=2),
        "ewma_volatility": Oracle(averages.ewma_volatility, ulps=0),
        "ewma_variance_rate": Oracle(averages.ewma_variance_rate, ulps=0),
        "realised_variance": Oracle(averages.realised_variance, ulps=0, window_ulps=IN_BLOCKS),
        "bipower_variation": Oracle(averages.bipower_variation, ulps=0, window_ulps=IN_BLOCKS),
        "two_scale_variance": Oracle(averages.two_scale_variance, ulps=0),
        "ofi": Oracle(flow.ofi, ulps=0, window_ulps=2),
        "ofi_levels": Oracle(flow.ofi_levels, ulps=2),
        "trade_imbalance": Oracle(flow.trade_imbalance, ulps=2),
        "kyle_rls": Oracle(flow.kyle_rls, ulps=0),
        "kyle_window": Oracle(flow.kyle_window, ulps=IN_BLOCKS),
        "roll_spread": Oracle(flow.roll_spread, ulps=2),
        "vpin": Oracle(flow.vpin, ulps=1),
        "hedge_ratio": Oracle(models.hedge_ratio, ulps=0),
        "hawkes": Oracle(models.hawkes, ulps=0),
        "hawkes_two_sided": Oracle(models.hawkes_two_sided, ulps=0),
        "local_level": Oracle(models.local_level, ulps=0),
        "hmm": Oracle(models.hmm, ulps=0),
        "cusum": Oracle(models.cusum, ulps=0),
        "trend_scan": Oracle(trends.trend_scan, ulps=0),
        # The tail of the normal distribution makes many of the deviation's last bit.
        "bvc": Oracle(estimators.bvc, ulps=IN_BLOCKS),
        "parkinson": Oracle(estimators.parkinson, ulps=0),
        "garman_klass": Oracle(estimators.garman_klass, ulps=0),
        "rogers_satchell": Oracle(estimators.rogers_satchell, ulps=0),
        "yang_zhang": Oracle(estimators.yang_zhang, ulps=IN_BLOCKS),
        "amihud": Oracle(estimators.amihud, ulps=0),
        "hasbrouck": Oracle(estimators.hasbrouck, ulps=0),
        "corwin_schultz": Oracle(estimators.corwin_schultz, ulps=0),
    }
)
