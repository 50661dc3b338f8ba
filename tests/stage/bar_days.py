"""A graph of every kind of bars over a real day, for runs of `graph_days`: ticks are of 1/10,000."""

from collections.abc import Mapping
from typing import Any, Final

SIDE: Final = "sign(price - mid(quote_bid_price, quote_ask_price))"
EXPECTED: Final = {"exp_ticks_init": 100, "span_b": 1_000.0}


def bars(every: Mapping[str, Any], source: str = "aligned", **more: Any) -> dict[str, Any]:
    """The table of a node."""
    side = {"side": SIDE} if source == "aligned" else {}
    return {"kind": "bars", "from": source, "every": dict(every), "out": {}, **side, **more}


BARS: Final[dict[str, Any]] = {
    "seconds": bars({"time": "1s"}),
    "minutes": bars({"time": "1m"}, features={"spread": "mean(quote_ask_price - quote_bid_price)"}),
    "hours": bars({"time": "1h"}, "minutes", features={"widest": "max(spread)"}),
    "ticks": bars({"trades": 100}, features={"paid": "wmean(price, size)"}),
    "lots": bars({"volume": 20_000}, remainder="carry"),
    "money": bars({"dollars": 1_000_000}, remainder="split"),
    "leaning": bars({"imbalance": "volume", **EXPECTED}),
    "runs": bars({"runs": "trades", **EXPECTED}, "trade"),
    "restless": bars({"volatility": 1e-6}),
    "moves": bars({"cusum": 500}),
    "spans": bars({"range": 500}, "trade"),
    "bricks": bars({"renko": 500}),
    "days": bars({"calendar": "day"}, "seconds"),
    "signal": {
        "from": "minutes",
        "features": {"ret_5": "log_return(close, rows=5)", "slow": "ewma(volume, span=10)"},
        "out": {},
    },
}
