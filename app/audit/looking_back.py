"""The functions of formulas that look back, by name: the audit's own, and how near a value has to be."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import polars as pl

from app.audit import bar_estimators, lags, models, sides_of_trades, since, trades, trends, windows
from app.audit.past import Past
from app.audit.reach import Need, Needs, lagged, of_fill, of_memory, of_window

ONE_ROUNDING: Final = 1e-15  # relative: a few last bits, where each side rounds on its way
IN_ORDER: Final = 1e-9  # of floats that are added one after another

Compute = Callable[..., pl.Series]  # (past, *values, **settings)


class LookingBack(NamedTuple):
    """One function.

    `compute`    its values, for all rows.
    `tolerance`  relative; 0 for the same bits.
    `needs`      of a call with these settings: which rows its value hangs on.
    `length`     the setting that a text behind the values is.
    """

    compute: Compute
    tolerance: float
    needs: Needs
    length: str = "ns"


def _extreme(*, largest: bool, back: bool) -> Compute:
    return partial(windows.extreme, largest=largest, back=back)


def _recursion(compute: Compute, *, more_rows: int = 0, by_time: bool = False) -> LookingBack:
    return LookingBack(
        compute, IN_ORDER, of_memory(more_rows, by_time=by_time), "half_life_ns" if by_time else "ns"
    )


def _of_bars(compute: Compute, *, more_rows: int = 0) -> LookingBack:
    return LookingBack(compute, IN_ORDER, of_window(more_rows=more_rows, rows=bar_estimators.BARS))


SIDE: Final = of_window("session", until_start=True)

LOOKING_BACK: Final[Mapping[str, LookingBack]] = {
    "lag": LookingBack(lags.lag, 0, lagged),
    "diff": LookingBack(lags.diff, 0, lagged),
    "pct_change": LookingBack(lags.pct_change, 0, lagged),
    "log_return": LookingBack(lags.log_return, ONE_ROUNDING, lagged),
    "cumsum": LookingBack(since.cumsum, 0, SIDE),
    "time_since": LookingBack(partial(since.since_event, in_rows=False), 0, of_memory()),
    "count_since": LookingBack(partial(since.since_event, in_rows=True), 0, of_memory()),
    "fill_forward": LookingBack(since.fill_forward, 0, of_fill),
    "rolling_count": LookingBack(windows.rolling_count, 0, of_window()),
    "rolling_sum": LookingBack(windows.rolling_sum, 0, of_window()),
    "rolling_mean": LookingBack(windows.rolling_mean, 0, of_window()),
    "rolling_var": LookingBack(windows.rolling_var, ONE_ROUNDING, of_window()),
    "rolling_std": LookingBack(windows.rolling_std, ONE_ROUNDING, of_window()),
    "rolling_min": LookingBack(_extreme(largest=False, back=False), 0, of_window()),
    "rolling_max": LookingBack(_extreme(largest=True, back=False), 0, of_window()),
    "rolling_median": LookingBack(windows.rolling_median, 0, of_window()),
    "rolling_quantile": LookingBack(windows.rolling_quantile, 0, of_window()),
    "rolling_rank": LookingBack(windows.rolling_rank, 0, of_window()),
    "rolling_skew": LookingBack(partial(windows.shape, power=3), IN_ORDER, of_window()),
    "rolling_kurt": LookingBack(partial(windows.shape, power=4), IN_ORDER, of_window()),
    "rolling_cov": LookingBack(windows.rolling_cov, ONE_ROUNDING, of_window()),
    "rolling_corr": LookingBack(windows.rolling_corr, ONE_ROUNDING, of_window()),
    "rolling_beta": LookingBack(windows.rolling_beta, ONE_ROUNDING, of_window()),
    "rolling_zscore": LookingBack(windows.rolling_zscore, ONE_ROUNDING, of_window(more_rows=1)),
    "rolling_argmax": LookingBack(_extreme(largest=True, back=True), 0, of_window()),
    "rolling_argmin": LookingBack(_extreme(largest=False, back=True), 0, of_window()),
    "ewma": _recursion(since.ewma),
    "ewma_time": _recursion(since.ewma_time, by_time=True),
    "decay_accum": _recursion(since.decay_accum, by_time=True),
    "ewm_std": _recursion(since.ewm_std),
    "tick_rule": LookingBack(since.tick_rule, 0, SIDE),
    "lee_ready": LookingBack(sides_of_trades.lee_ready, 0, SIDE),
    "emo": LookingBack(sides_of_trades.emo, 0, SIDE),
    "clnv": LookingBack(sides_of_trades.clnv, 0, SIDE),
    "direction": LookingBack(sides_of_trades.direction, 0, SIDE),
    "trade_return": LookingBack(trades.trade_return, ONE_ROUNDING, lagged),
    "vwap": LookingBack(trades.vwap, ONE_ROUNDING, of_window("session")),
    "twap": LookingBack(trades.twap, ONE_ROUNDING, SIDE),
    "ewma_volatility": _recursion(since.ewma_volatility, more_rows=1),
    "ewma_variance_rate": _recursion(since.ewma_variance_rate, more_rows=1, by_time=True),
    "realised_variance": LookingBack(trades.realised_variance, IN_ORDER, of_window("session", more_rows=1)),
    "bipower_variation": LookingBack(trades.bipower_variation, IN_ORDER, of_window("session", more_rows=2)),
    "two_scale_variance": LookingBack(trades.two_scale_variance, IN_ORDER, of_window("session")),
    "ofi": LookingBack(trades.ofi, ONE_ROUNDING, of_window("session", more_rows=1, alone=True)),
    "ofi_levels": LookingBack(trades.ofi_levels, ONE_ROUNDING, lambda _: Need(rows=1)),
    "trade_imbalance": LookingBack(trades.trade_imbalance, ONE_ROUNDING, of_window("session")),
    "kyle_rls": _recursion(trades.kyle_of_updates, more_rows=1),
    "kyle_window": LookingBack(trades.kyle_window, IN_ORDER, of_window("session", more_rows=1)),
    "roll_spread": LookingBack(
        trades.roll_spread, IN_ORDER, of_window("session", more_rows=2, rows=trades.ROLL_ROWS)
    ),
    "vpin": LookingBack(trades.vpin_of_trades, ONE_ROUNDING, of_window("none", until_start=True)),
    "hedge_ratio": _recursion(models.hedge_ratio),
    "hawkes": LookingBack(models.hawkes, IN_ORDER, models.of_events),
    "hawkes_two_sided": LookingBack(models.hawkes_two_sided, IN_ORDER, models.of_events),
    "local_level": _recursion(models.local_level),
    "hmm": _recursion(models.hmm),
    "cusum": LookingBack(models.cusum, IN_ORDER, of_memory(more_rows=1)),
    "trend_scan": LookingBack(trends.trend_scan, IN_ORDER, trends.of_spans),
    "bvc": _of_bars(bar_estimators.bvc, more_rows=1),
    "parkinson": _of_bars(bar_estimators.parkinson),
    "garman_klass": _of_bars(bar_estimators.garman_klass),
    "rogers_satchell": _of_bars(bar_estimators.rogers_satchell),
    "yang_zhang": _of_bars(bar_estimators.yang_zhang, more_rows=1),
    "amihud": _of_bars(bar_estimators.amihud, more_rows=1),
    "hasbrouck": _of_bars(bar_estimators.hasbrouck, more_rows=1),
    "corwin_schultz": _of_bars(bar_estimators.corwin_schultz, more_rows=1),
}


def looked_back(name: str, past: Past, values: list[pl.Series], settings: Mapping[str, Any]) -> pl.Series:
    """What a function gives for the columns it is passed; rows without a symbol see none."""
    return LOOKING_BACK[name].compute(past, *values, **settings)
