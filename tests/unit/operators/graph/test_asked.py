"""R53 at a query time: what is left of a sum at the time of a row that asks, of its own stream or another."""

import math

import pyarrow as pa

from operators.graph.declare import JoinSettings, NodeSettings, Output
from tests.stage.small_graphs import outputs_of

HALF_LIFE_NS = 5_000_000_000
C = math.log(2.0) / HALF_LIFE_NS
KEY = [("event_ns", pa.int64()), ("symbol", pa.string())]
STREAMS = {
    "trade": pa.schema([*KEY, ("price", pa.float64())]),
    "quote": pa.schema([*KEY, ("lean", pa.float64())]),
}
FADED = "pressure_s * exp(-(pressure_age_ns * (0.6931471805599453 / 5_000_000_000)))"
NODES = (
    NodeSettings(
        name="pressure",
        upstream="quote",
        features={"left": "decay_accum(lean, '5s')", "s": "decay_accum(lean, '5s', at='query')"},
        output=Output(),
    ),
    NodeSettings(
        name="met",
        upstream="aligned",
        features={},
        join=JoinSettings(rights=("pressure",), columns={"pressure": ("s",)}),
    ),
    NodeSettings(name="now", upstream="met", features={"s": FADED}, output=Output()),
)


def test_a_sum_fades_to_the_time_of_the_row_that_asks() -> None:
    quotes = [(10**9, 3.0), (4 * 10**9, 1.5), (6 * 10**9, None), (9 * 10**9, -2.0)]
    asks = [10**9, 2 * 10**9, 6 * 10**9, 20 * 10**9]
    made = outputs_of(
        NODES,
        STREAMS,
        {
            "trade": [{"event_ns": ns, "symbol": "A", "price": 1.0} for ns in asks],
            "quote": [{"event_ns": ns, "symbol": "A", "lean": lean} for ns, lean in quotes],
        },
    )
    at_4 = math.exp(-(3e9 * C)) * 3.0 + 1.5
    at_9 = math.exp(-(5e9 * C)) * at_4 - 2.0
    at_6 = math.exp(-(2e9 * C)) * at_4
    assert [row["left"] for row in made["pressure"]] == [3.0, at_4, at_4, at_9]
    assert [row["s"] for row in made["pressure"]] == [3.0, at_4, at_6, at_9]
    wanted = [3.0, 3.0 * math.exp(-(1e9 * C)), at_6, at_9 * math.exp(-(11e9 * C))]
    assert [row["s"] for row in made["now"]] == wanted
