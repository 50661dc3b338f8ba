"""A graph of labels over the bars of a real day, for runs of `graph_days`."""

from typing import Any, Final

from tests.stage.bar_days import bars

LATER: Final = {"max": "30m"}
SIGNAL: Final = {
    "ret_1": "log_return(close, rows=1, reset='session')",
    "vol_20": "rolling_std(ret_1, rows=20, reset='session')",
}
BARRIERS: Final = {"sigma": "vol_20", "up": 2, "down": 2, "horizon": "5m", "path": "ohlc"}


def label(key: str, **settings: Any) -> dict[str, Any]:
    """The table of a node."""
    return {"kind": "label", "from": "signal", key: settings, "out": {}}


LABELS: Final[dict[str, Any]] = {
    "bars": bars({"time": "5s"}),
    "signal": {"from": "bars", "features": SIGNAL, "out": {}},
    "barriers": label("triple_barrier", **BARRIERS),
    "later": label("fixed_horizon", horizon_rows=12, **LATER),
    "trend": label("trend_scan", **LATER),
    "way": label("sign", horizon="1m", band=0.5, band_column="vol_20"),
    "behind": {"from": "barriers", "features": {"slow": "ewma(volume, span=10)"}, "out": {}},
}
