"""D12 as docs/graph.md builds it: an auction's print is in bars, and has no side in signed flow."""

import pyarrow as pa

from operators.bars.settings import BarSettings
from operators.graph.declare import NodeSettings, Output
from tests.oracles.features.handbook import F2
from tests.stage.small_graphs import outputs_of

KEY = [("event_ns", pa.int64()), ("symbol", pa.string())]
STREAMS = {
    "trade": pa.schema([*KEY, ("price", pa.float64()), ("size", pa.int64()), ("auction", pa.bool_())]),
    "quote": pa.schema([*KEY, ("bid_price", pa.float64())]),
}
NODES = (
    NodeSettings(
        name="flow",
        upstream="aligned",
        features={
            "side": "where(auction, 0, tick_rule(price))",
            "move": "log_return(price)",
        },
        output=Output(),
    ),
    NodeSettings(
        name="bars",
        upstream="aligned",
        features={},
        bars=BarSettings(every="trades", limit="8"),
        output=Output(),
    ),
)


def test_the_first_trade_of_the_handbook_as_an_opening_print_has_no_side_and_opens_its_bar() -> None:
    trades = [
        {"event_ns": ns, "symbol": "A", "price": price, "size": size, "auction": number == 0}
        for number, (ns, price, size) in enumerate(
            zip(F2.time_ns, F2.columns["price"], F2.columns["size"], strict=True)
        )
    ]
    made = outputs_of(NODES, STREAMS, {"trade": trades})
    flow, bars = made["flow"], made["bars"]
    assert [row["side"] for row in flow][:3] == [0, 1, 1]
    assert flow[0]["move"] is None
    assert flow[1]["move"] is not None  # the print is the price before
    assert (bars[0]["open"], bars[0]["volume"]) == (F2.columns["price"][0], 20)
