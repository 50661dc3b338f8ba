"""Graphs with every kind of bars and of labels, trades for them, and what the audit finds in their rows."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl
import pyarrow as pa

from app.audit.findings import Findings
from app.audit.joined import Begun, root_rows
from app.audit.node_rules import NodeRules
from app.audit.nodes import Heads, check_rows
from app.audit.walk import frame_of
from app.graph.trial import Trial
from operators.bars.settings import BarSettings, Every, Expected, Measure, Remainder
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import plan_graph
from operators.graph.running import MakeNode
from operators.labels.declare import LabelSettings
from operators.rows.groups import Groups
from schemas.clocks import BEGINNING_NS, NS_PER_DAY, NS_PER_S
from tests.oracles.bars import Trade
from tests.stage.bar_nodes import SESSIONS, layout_of, sealed_of

YEAR_END_NS: Final = 366 * NS_PER_DAY
AGGREGATES: Final = {
    "paid": "sum(price * size)",
    "mean": "mean(price - lag(price, rows=1))",
    "weighed": "wmean(price, size)",
    "least": "min(price)",
    "most": "max(size)",
    "first": "first(d)",
    "last": "last(ewma(price, span=3))",
    "number": "count(price)",
}
SIMPLE: Final[Sequence[tuple[Every, str]]] = (
    ("trades", "3"),
    ("range", "2"),
    ("volatility", "0.01"),
    ("cusum", "2"),
    ("renko", "1"),
)
AMOUNTS: Final[Sequence[Every]] = ("volume", "dollars")
REMAINDERS: Final[Sequence[Remainder]] = ("drop", "carry", "split")
LEANING: Final[Sequence[Every]] = ("imbalance", "runs")
MEASURES: Final[Sequence[Measure]] = ("trades", "volume", "dollars")
STEPS: Final[Sequence[Every]] = ("week", "month", "year")


def bars(name: str, every: Every, upstream: str = "aligned", **more: Any) -> NodeSettings:
    features = more.pop("features", {})
    settings = BarSettings(every=every, **more)
    return NodeSettings(name=name, upstream=upstream, features=features, bars=settings, output=Output())


def graph_of_bars(*, whole: bool, in_sessions: bool) -> GraphSettings:
    """Every kind of bars; trades are divided where sizes are whole numbers."""
    ends: dict[str, Any] = {"close_at_session_end": in_sessions}
    nodes = [
        bars("grid", "time", step_ns=3 * NS_PER_S, direction="d", **ends),
        bars("all", "time", step_ns=3 * NS_PER_S, empty=in_sessions, features=AGGREGATES, **ends),
        bars("back", "renko", limit="1", reversal=3, known_after_ns=NS_PER_S, **ends),
        bars("long", "time", "grid", step_ns=9 * NS_PER_S, **ends),
    ]
    nodes += [bars(every, every, limit=limit, features=AGGREGATES, **ends) for every, limit in SIMPLE]
    for every in AMOUNTS:
        for remainder in REMAINDERS[: 3 if whole else 2]:
            limit, where = "7" if every == "volume" else "60", "size < 8"
            more = {"remainder": remainder, "direction": "d", "where": where, **ends}
            nodes.append(bars(f"{every}_{remainder}", every, limit=limit, **more))
    for every in LEANING:
        for measure in MEASURES:
            expected = Expected(measure=measure, exp_ticks_init=3, span_b=3.0)
            side = "d" if measure == "volume" else ""
            more = {"direction": side, "expected": expected, **ends}
            nodes.append(bars(f"{every}_{measure}", every, **more))
    if in_sessions:
        nodes += [
            bars("own", "time", step_ns=4 * NS_PER_S, origin="session"),
            bars("session", "day", "grid", origin="session"),
        ]
    behind = NodeSettings(
        name="behind",
        upstream="all",
        features={"slow": "ewma(close, span=3)", "two": "rolling_sum(volume, rows=2)", "big": "notional * 2"},
        output=Output(),
    )
    return GraphSettings(name="g", sessions=SESSIONS, nodes=(*nodes, behind))


def graph_of_calendar() -> GraphSettings:
    """Bars of days, weeks, months and years, and of the days of UTC."""
    nodes = [
        bars("local", "day", origin="zone", timezone="America/New_York"),
        bars("utc", "day", origin="utc"),
        bars("session", "day", origin="session", direction="d"),
        *(bars(every, every, timezone="Europe/Berlin", features=AGGREGATES) for every in STEPS),
    ]
    return GraphSettings(name="g", nodes=tuple(nodes))


def label(name: str, key: str, quotes: str = "", upstream: str = "base", **values: Any) -> NodeSettings:
    halts = values.pop("halts", "")
    settings = LabelSettings(key=key, values=values, quotes=quotes, halts=halts)
    return NodeSettings(name=name, upstream=upstream, features={}, label=settings, output=Output())


def graph_of_labels(*, across: bool) -> GraphSettings:
    """Every kind of labels, with what they wait for; formulas, a join and bars among them."""
    base = {
        "width": "0.0 * price + 0.05",
        "mid": "price * 1.0",
        "side": "sign(price - 3)",
        "op": "price * 1.0 + d",
        "hi": "price + 1.0",
        "lo": "price - 1.0",
        "stopped": "price > lag(price, rows=1) + 1",
    }
    more: dict[str, Any] = {"across_sessions": across, "price": "price"}
    walls = {**more, "sigma": "width", "up": 1.0, "down": 1.5, "horizon_ns": 6 * NS_PER_S}
    ohlc = {**walls, "price": "mid", "ohlc": ("op", "hi", "lo")}
    late: dict[str, Any] = {
        "across_sessions": across,
        "direction": "d",
        "mid": "mid",
        "horizon_ns": 4 * NS_PER_S,
    }
    nodes = [
        NodeSettings(name="base", upstream="aligned", features=base, output=Output()),
        label("fixed", "fixed_horizon", horizon_ns=4 * NS_PER_S, **more),
        label("logs", "fixed_horizon", horizon_rows=2, max_ns=9 * NS_PER_S, returns="log", **more),
        label("either", "fixed_horizon", horizon_rows=2, horizon_ns=3 * NS_PER_S, max_pending=2, **more),
        label("sign", "sign", horizon_ns=5 * NS_PER_S, band=0.5, band_column="width", **more),
        label("walls", "triple_barrier", **walls),
        label("rows", "triple_barrier", horizon_rows=3, vertical="sign", side="side", both="null", **walls),
        label("stops", "triple_barrier", side=-1, returns="log", **ohlc),
        label("nulls", "triple_barrier", both="null", min_sigma=0.01, max_pending=3, **ohlc),
        label("costs", "meta", side="side", cost=0.01, **walls),
        label("profits", "meta", side="side", need_barrier=True, **walls),
        label("trend", "trend_scan", shortest=3, longest=6, step=2, t_min=1.0, max_ns=20 * NS_PER_S, **more),
        label("spread", "realised_spread", "base", relative=True, **late),
        label("impact", "price_impact", "base", **late),
        label("halted", "fixed_horizon", halts="base", halted="stopped", horizon_ns=4 * NS_PER_S, **more),
        label("beside", "triple_barrier", halts="walls", halted="stopped", vertical="sign", **walls),
        NodeSettings(
            name="behind",
            upstream="walls",
            features={"slow": "ewma(mid, span=3)", "mean": "rolling_mean(price, rows=3)"},
            output=Output(),
        ),
        NodeSettings(
            name="seen",
            upstream="base",
            features={},
            join=JoinSettings(
                rights=("walls", "trend"), columns={"walls": ("label", "size"), "trend": ("t_value",)}
            ),
            output=Output(),
        ),
        bars("lots", "trades", limit="2"),
        label("of_bars", "sign", upstream="lots", horizon_rows=1, max_ns=9 * NS_PER_S, band=0.01),
    ]
    return GraphSettings(name="g", sessions=SESSIONS, nodes=tuple(nodes))


def trial_over(
    graph: GraphSettings,
    rows: Sequence[Trade],
    end_ns: int,
    numbers: type = int,
    make: MakeNode | None = None,
) -> Trial:
    """The graph over these trades, which are complete below a time."""
    batch = sealed_of(rows, BEGINNING_NS, numbers, Groups()).rows
    layout = layout_of(numbers)
    plan = plan_graph(graph, layout, meaning="0")
    return Trial(
        make=lambda: Graph(plan, make),
        rows=pa.RecordBatch.from_pylist([], layout) if batch is None else batch,
        on="event_ns",
        key=("symbol",),
        plan=plan,
        end_ns=end_ns,
    )


def findings_in(
    trial: Trial, graph: GraphSettings, name: str, made: pa.RecordBatch, size: int, gone: int = 0
) -> Findings:
    """What the audit finds in the rows of a node, both sides read so many at a time.

    The first `gone` rows of the root are left no more.
    """

    def read(_: str, begun: Begun, /) -> Iterator[pl.DataFrame]:
        begun(gone)
        for lower in range(gone, trial.rows.num_rows, size):
            yield frame_of(pa.Table.from_batches([trial.rows.slice(lower, size)]))

    rules = NodeRules.of(
        graph, name, {"aligned": ("symbol",)}, "event_ns", {"aligned": trial.rows.schema.names}
    )
    findings, heads = Findings(), Heads("event_ns")
    wanted = root_rows(rules, read, heads.begin_aligned, trial.day.complete_ns(trial.day.count))
    parts = [made.slice(lower, size) for lower in range(0, made.num_rows, size)]
    check_rows(rules, wanted, iter(parts), findings, repeats=False, heads=heads)
    return findings
