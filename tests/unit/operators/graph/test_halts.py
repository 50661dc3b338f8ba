"""D11 as docs/graph.md builds it: trades of a symbol that is halted are told apart, and are in no bar."""

import pyarrow as pa

from operators.bars.settings import BarSettings
from operators.graph.declare import JoinSettings, NodeSettings, Output
from tests.oracles.features.handbook import F2, MS_NS, SECOND_NS
from tests.stage.small_graphs import outputs_of

KEY = [("event_ns", pa.int64()), ("symbol", pa.string())]
STREAMS = {
    "trade": pa.schema([*KEY, ("price", pa.float64()), ("size", pa.int64())]),
    "quote": pa.schema([*KEY, ("bid_price", pa.float64())]),
    "status": pa.schema([*KEY, ("state", pa.string())]),
}
NODES = (
    NodeSettings(name="status_now", upstream="status", features={"halted": "where(state == 'T', 0, 1)"}),
    NodeSettings(
        name="met",
        upstream="aligned",
        features={},
        join=JoinSettings(rights=("status_now",), columns={"status_now": ("halted",)}),
    ),
    NodeSettings(
        name="trades",
        upstream="met",
        features={"halted": "max(status_now_halted, 0, skip_null=True) == 1"},
        output=Output(),
    ),
    NodeSettings(
        name="bars",
        upstream="trades",
        features={},
        bars=BarSettings(every="trades", limit="1", where="not halted"),
        output=Output(),
    ),
)


def test_the_trades_of_the_handbook_between_a_pause_and_its_end_are_in_no_bar() -> None:
    trades = [
        {"event_ns": ns, "symbol": "A", "price": price, "size": size}
        for ns, price, size in zip(F2.time_ns, F2.columns["price"], F2.columns["size"], strict=True)
    ]
    other = {"event_ns": 2_500 * MS_NS, "symbol": "B", "price": 1.0, "size": 1}
    status = [(2 * SECOND_NS, "P"), (5 * SECOND_NS, "T")]
    made = outputs_of(
        NODES,
        STREAMS,
        {
            "trade": sorted([*trades, other], key=lambda row: row["event_ns"]),
            "quote": [{"event_ns": 0, "symbol": "A", "bid_price": 1.0}],
            "status": [{"event_ns": ns, "symbol": "A", "state": state} for ns, state in status],
        },
    )
    halted = [row["halted"] for row in made["trades"] if row["symbol"] == "A"]
    assert halted == [False] * 4 + [True] * 3 + [False]  # the fifth is in the nanosecond of the pause
    assert [row["halted"] for row in made["trades"] if row["symbol"] == "B"] == [False]
    sizes = [bar["volume"] for bar in made["bars"] if bar["symbol"] == "A"]
    assert sizes == [*F2.columns["size"][:4], F2.columns["size"][7]]
