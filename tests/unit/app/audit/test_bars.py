"""The audit's own bars are those of the oracle, where trades lean to one side (B5, B6)."""

import random

import pytest

from app.audit.bars import BarRule, Closed, Symbol, Trade
from app.graph.judge import second_judge
from operators.bars.settings import BarSettings, Every, Expected, Measure
from operators.graph.declare import GraphSettings, NodeSettings, Output
from tests.oracles.bars import Bars, bars_slowly
from tests.oracles.bars import Trade as Row
from tests.stage.bar_nodes import SESSIONS, SPANS
from tests.stage.judged_nodes import YEAR_END_NS, bars, graph_of_bars, label, trial_over

COLUMNS = ("start_ns", "end_ns", "bar_no", "count", "volume", "vwap", "close_reason", "known_ns")
END_NS = 70 * 10**9


def drawn(draws: random.Random) -> list[Row]:
    times = sorted(draws.randrange(129) * 10**9 // 2 for _ in range(draws.randrange(40)))
    return [
        Row(at_ns, "A", draws.randrange(-4, 10), draws.randrange(1, 41), place=(number, 0))
        for number, at_ns in enumerate(times)
    ]


@pytest.mark.parametrize("measure", ["trades", "volume", "dollars"])
@pytest.mark.parametrize("every", ["imbalance", "runs"])
def test_bars_that_lean_close_where_the_definition_says(every: Every, measure: Measure) -> None:
    draws = random.Random(5)
    count = 0
    for _ in range(20):
        rows = drawn(draws)
        rule = Bars(every, spans=SPANS, measure=measure, first=3, span_b=3.0, span_t=3.0)
        wanted = bars_slowly(rows, rule, END_NS)
        expected = Expected(measure=measure, exp_ticks_init=3, span_b=3.0)
        symbol = Symbol(("A",), BarRule(BarSettings(every=every, expected=expected), whole=True, sided=False))
        made: list[Closed] = []
        for number, row in enumerate(rows):
            assert row.price is not None
            assert row.size is not None
            spans = [span for span in SPANS if span[0] <= row.time_ns < span[1]]
            start_ns, end_ns = spans[0] if spans else (-1, -1)
            at_ns = row.time_ns
            trade = Trade(number, at_ns, at_ns, at_ns, row.place, start_ns, end_ns, row.price, row.size, 0)
            made += symbol.take(trade)
        made += symbol.pass_time(END_NS)
        assert [[bar.columns[name] for name in COLUMNS] for bar in made] == [
            [one[name] for name in COLUMNS] for one in wanted
        ]
        count += len(made)
    assert count > 20


def test_a_formula_reads_the_notional_of_floats_as_it_is() -> None:
    """Of whole numbers it is a decimal, which formulas see in units; one of floats may have any size."""
    graph = graph_of_bars(whole=False, in_sessions=False)
    trial = trial_over(graph, [Row(0, "A", 1_000_000.0, 1_834_160.5, place=(0, 0))], END_NS, float)
    outputs = trial.run()
    assert outputs["behind"].column("big").to_pylist() == [2 * 1_000_000.0 * 1_834_160.5]
    assert second_judge(trial, outputs, graph).difference is None


def test_what_ends_beyond_the_calendar_is_outside_every_session() -> None:
    """A calendar that ends in a month has sessions of its days, and none at the month's end."""
    features = {"slow": "ewma(close, span=3)", "one": "rolling_sum(volume, rows=1)"}
    late = {"price": "price", "direction": "d", "mid": "mid", "horizon_ns": 4 * 10**9}
    nodes = (
        bars("month", "month"),
        NodeSettings(name="behind", upstream="month", features=features, output=Output()),
        label("next", "sign", upstream="month", price="close", horizon_rows=1, max_ns=10**9),
        NodeSettings(name="base", upstream="aligned", features={"mid": "price * 1.0"}, output=Output()),
        label("spread", "realised_spread", "base", **late),
    )
    graph = GraphSettings(name="g", sessions=SESSIONS, nodes=nodes)
    rows = [Row(10**9, "A", 4, 2, place=(0, 0)), Row(998 * 10**9, "A", 5, 2, 1, place=(1, 0))]
    trial = trial_over(graph, rows, YEAR_END_NS)
    outputs = trial.run()
    assert outputs["month"].column("close").to_pylist() == [5]
    assert outputs["behind"].select(["slow", "one"]).to_pylist() == [{"slow": None, "one": 4}]
    assert outputs["next"].column("label").to_pylist() == [None]
    assert outputs["spread"].column("realised_spread").to_pylist()[1] is None
    outcome = second_judge(trial, outputs, graph)
    assert outcome.difference is None, outcome
