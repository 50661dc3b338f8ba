"""Functions of a node behind bars have the values of their definition over the rows of the bars."""

import random
from typing import Any, Final

import pyarrow as pa
import pytest

from operators.bars.node import BarsNode
from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, NodeSettings
from operators.graph.plan import plan_graph
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from schemas.clocks import END_NS, NS_PER_S
from tests.oracles.bars import Trade
from tests.oracles.features.rows import Rows
from tests.oracles.features.table import ORACLES
from tests.property.history_cases import differences
from tests.stage.bar_nodes import SESSIONS, layout_of, sealed_of

OHLC: Final = "open high low close"
FEW: Final = {"rows": 4, "min_count": 2}

# A function, its columns, and its settings.
CALLS: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("parkinson", "high low empty", FEW),
    ("garman_klass", OHLC, FEW),
    ("rogers_satchell", f"{OHLC} empty", FEW),
    ("yang_zhang", f"{OHLC} empty", FEW),
    ("bvc", "close", FEW),
    ("amihud", "close volume", FEW),
    ("hasbrouck", "close volume flow", FEW),
    ("corwin_schultz", "high low close empty", FEW),
    ("roll_spread", "close", FEW),
    ("vpin", "volume side", {"V": 3, "n": 2}),
    ("cusum", "close volume", {}),
    ("local_level", "close", {"q": 1.0, "r": 2.0}),
]
BY_NAME: Final = frozenset({"empty", "flow"})  # values that may be left out


def call_of(name: str, columns: str, settings: dict[str, Any]) -> str:
    values = [each for each in columns.split() if each not in BY_NAME]
    named = {"empty": "empty", "flow": "signed_volume"}
    values += [f"{named[each]}={each}" for each in columns.split() if each in BY_NAME]
    return f"{name}({', '.join([*values, *(f'{key}={value!r}' for key, value in settings.items())])})"


def trades(numbers: type) -> list[Trade]:
    """Trades of two symbols through sessions and the time between them, with quiet seconds."""
    of = random.Random(5)
    return [
        Trade(
            (number // 2) * NS_PER_S + number % 2,
            of.choice("AB"),
            numbers(of.randint(95, 105)),
            numbers(of.randint(1, 3)),
            of.choice((-1, 0, 1)),
            place=(number, 0),
        )
        for number in range(120)
        if number % 11
    ]


@pytest.mark.parametrize("numbers", [int, float])
@pytest.mark.parametrize(
    "bars",
    [BarSettings(every="time", step_ns=2 * NS_PER_S, empty=True), BarSettings(every="trades", limit="3")],
    ids=["time", "trades"],
)
def test_estimators_are_those_of_their_definition_over_rows_of_bars(bars: BarSettings, numbers: type) -> None:
    nodes = (
        NodeSettings(
            name="bars",
            upstream="aligned",
            features={},
            bars=BarSettings(
                every=bars.every, limit=bars.limit, step_ns=bars.step_ns, empty=bars.empty, direction="d"
            ),
        ),
        NodeSettings(
            name="signal",
            upstream="bars",
            features={
                "flow": "buy_volume - sell_volume",
                "side": "sign(flow)",
                **{name: call_of(name, columns, settings) for name, columns, settings in CALLS},
            },
        ),
    )
    planned = plan_graph(
        GraphSettings(name="g", nodes=nodes, sessions=SESSIONS), layout_of(numbers), meaning="0"
    ).nodes
    groups = Groups()
    assert planned[0].bars is not None
    made = BarsNode("bars", planned[0].meaning, planned[0].bars, groups).take(
        (sealed_of(trades(numbers), END_NS, numbers, groups),)
    )
    out = FormulaNode("signal", planned[1].features, groups).take((made,)).rows
    assert out is not None
    assert made.keys is not None
    columns = {name: out[name].to_pylist() for name in out.schema.names}
    rows = Rows(
        made.keys.time_ns.tolist(),
        made.keys.group.tolist(),
        [None if session < 0 else session for session in made.keys.session.tolist()],
        columns,
    )
    for name, of_columns, settings in CALLS:
        operands = [[_as_float(value) for value in columns[each]] for each in of_columns.split()]
        wanted = ORACLES[name](rows, operands, settings)
        allowed = ORACLES[name].allowance(settings)
        assert not differences(columns[name], wanted, allowed), name
        assert sum(value is not None for value in columns[name]) > len(wanted) // 3, name
    assert pa.types.is_float64(out.schema.field("parkinson").type)


def _as_float(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) else float(value)
