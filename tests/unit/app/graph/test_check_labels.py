"""`graph check` of graphs with labels: honest ones pass, and each planted fault is named for what it is."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from app.graph import experiments as module
from app.graph.check import arrival, verdict
from app.graph.trial import Trial
from operators.bars.settings import BarSettings
from operators.graph.declare import GraphSettings, JoinSettings, NodeSettings, Output
from operators.graph.graph import Graph
from operators.graph.plan import PlannedNode, plan_graph
from operators.graph.running import MakeNode
from operators.labels.declare import LabelSettings
from operators.labels.node import LabelNode
from operators.rows.groups import Groups
from operators.sealed import Sealed
from schemas.clocks import NS_PER_S
from tests.stage.bar_nodes import SESSIONS, drawn_rows, layout_of
from tests.stage.graphs import graph_file
from tests.stage.planted_joins import in_place_of
from tests.stage.planted_nodes import NextPrice, differing
from tests.stage.programs import App

pytestmark = [pytest.mark.slow, pytest.mark.takes_s(60)]

HORIZON_NS = 4 * NS_PER_S
BARRIERS: dict[str, Any] = {
    "price": "price",
    "sigma": "width",
    "up": 1.0,
    "down": 1.0,
    "horizon_ns": HORIZON_NS,
}


def label(name: str, upstream: str, key: str, quotes: str = "", **values: Any) -> NodeSettings:
    settings = LabelSettings(key=key, values=values, quotes=quotes, halts=values.pop("halts", ""))
    return NodeSettings(name=name, upstream=upstream, features={}, label=settings, output=Output())


def formulas(name: str, upstream: str, **features: str) -> NodeSettings:
    return NodeSettings(name=name, upstream=upstream, features=features, output=Output())


GRAPH = GraphSettings(
    name="g",
    sessions=SESSIONS,
    nodes=(
        formulas("base", "aligned", width="0.0 * price + 0.05", mid="price * 1.0", side="sign(price - 9)"),
        formulas("status", "aligned", halted="price > lag(price, rows=1)"),
        label("barrier", "base", "triple_barrier", **BARRIERS),
        label("halting", "base", "triple_barrier", halts="status", halted="halted", **BARRIERS),
        label("trend", "base", "trend_scan", price="price", shortest=3, longest=4, max_ns=8 * NS_PER_S),
        label("cost", "base", "realised_spread", "base", direction="side", mid="mid", horizon_ns=HORIZON_NS),
        NodeSettings(
            name="lots",
            upstream="aligned",
            features={},
            bars=BarSettings(every="trades", limit="2"),
            output=Output(),
        ),
        label("sign_of_bars", "lots", "sign", horizon_rows=1, max_ns=9 * NS_PER_S, band=0.01),
        NodeSettings(
            name="seconds",
            upstream="aligned",
            features={},
            bars=BarSettings(every="time", step_ns=2 * NS_PER_S, known_after_ns=9 * NS_PER_S),
            output=Output(),
        ),
        label("sign_of_seconds", "seconds", "sign", horizon_ns=2 * NS_PER_S),
        formulas("behind", "barrier", slow="ewma(price, span=3)"),
        NodeSettings(
            name="seen",
            upstream="base",
            features={},
            join=JoinSettings(rights=("barrier",), columns={"barrier": ("label", "size")}),
            output=Output(),
        ),
    ),
)


def trial_of(seed: int = 1, make: MakeNode | None = None) -> Trial:
    plan = plan_graph(GRAPH, layout_of(int), meaning="0")
    return Trial(
        make=lambda: Graph(plan, make),
        rows=drawn_rows(seed),
        on="event_ns",
        key=("symbol",),
        plan=plan,
    )


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer cuts and moments than of a day, which has more rows."""
    for name, count in (("CUTS", 60), ("SINGLE_ROWS_MAX", 60), ("MOMENTS", 24), ("KILLS", 16)):
        monkeypatch.setattr(module, name, count)


def outcomes_of(trial: Trial, seed: int = 1) -> list[Any]:
    return list(module.experiments(trial, trial.run(), seed))


def test_an_honest_graph_of_labels_passes_every_experiment() -> None:
    for seed in range(2):
        trial = trial_of(seed)
        assert all(rows.num_rows for rows in trial.run().values())
        outcomes = outcomes_of(trial, seed)
        assert differing(outcomes) == set()
    by_name = {one.name: one.result for one in outcomes}
    assert by_name["look-ahead"] == "equal before each, labels where they end before"
    assert by_name["symbols"].endswith(" rows more, which together wait for rows of other symbols")
    assert by_name["labels"].endswith(" rows, none too early")


class PlantedLabel(LabelNode):
    """Labels with a fault."""

    def __init__(self, planned: PlannedNode, groups: Groups) -> None:
        assert planned.label is not None
        own: Any = planned.label
        super().__init__(planned.name, planned.meaning, own.rows, own.settings, groups, own.sessions)


class Early(PlantedLabel):
    """Takes the end of the horizon for passed before it is."""

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        (sealed,) = upstream
        times = [] if sealed.keys is None else sealed.keys.time_ns.tolist()
        self.complete_ns = max([sealed.complete_ns, *times])
        made = super().take((sealed._replace(complete_ns=self.complete_ns + HORIZON_NS // 2),))
        return made._replace(complete_ns=min(made.complete_ns, sealed.complete_ns))


class Beyond(PlantedLabel):
    """Has in each label the price of the last row that came, which may be behind its end."""

    last = 0

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        (sealed,) = upstream
        if sealed.rows is not None and sealed.rows.num_rows:
            self.last = pc.max(sealed.rows.column("price")).as_py() or 0
        made = super().take(upstream)
        if made.rows is None:
            return made
        place = self.layout.get_field_index("exit_price")
        prices = pa.array([float(self.last)] * made.rows.num_rows)
        return made._replace(rows=made.rows.set_column(place, self.layout.field(place), prices))


class HaltsToCome(PlantedLabel):
    """Takes for halted in each label whoever was so last, which may be behind its end."""

    last = False

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        statuses = upstream[1].rows
        if statuses is not None and statuses.num_rows:
            self.last = bool(statuses.column("halted")[-1].as_py())
        made = super().take(upstream)
        if made.rows is None:
            return made
        place = self.layout.get_field_index("halted_inside")
        halted = pa.array([self.last] * made.rows.num_rows)
        return made._replace(rows=made.rows.set_column(place, self.layout.field(place), halted))


class AnySymbol(PlantedLabel):
    """Takes all rows for those of one symbol."""

    def take(self, upstream: tuple[Sealed, ...]) -> Sealed:
        (sealed,) = upstream
        if sealed.keys is None:
            return super().take(upstream)
        keys = sealed.keys._replace(group=sealed.keys.group * 0)
        made = super().take((sealed._replace(keys=keys),))
        if made.rows is None or made.keys is None:
            return made
        codes = {"A": 0, "B": 1, "C": 2}
        group = [codes[symbol] for symbol in made.rows.column("symbol").to_pylist()]
        return made._replace(keys=made.keys._replace(group=pa.array(group, pa.int32()).to_numpy()))


@pytest.mark.parametrize(
    ("at", "node", "words"),
    [
        ("barrier", Early, "barrier.label: is given before its label_known_ns: nobody could know it by then"),
        ("barrier", Beyond, "barrier.exit_price: is a label that hangs on rows behind its info_end_ns"),
        (
            "halting",
            HaltsToCome,
            "halting.halted_inside: is a label that hangs on rows behind its info_end_ns",
        ),
        ("trend", AnySymbol, "trend.label: mixes symbols: its value hangs on rows of another symbol"),
        ("behind", NextPrice, "behind.slow: looks ahead: its value hangs on rows that come later"),
    ],
)
def test_a_planted_fault_of_labels_is_named_with_its_node(at: str, node: Any, words: str) -> None:
    trial = trial_of(make=in_place_of(at, node))
    assert verdict(trial, trial.run(), outcomes_of(trial))[0] == words


def test_rows_of_more_partitions_are_compared_as_far_as_one_pass_has_them() -> None:
    trial = trial_of()
    wanted = trial.run()
    alone = trial.gather_runs([trial.run(day) for day in trial.day.by_symbol()])
    more: Any = type("Run", (), {"rows": {name: pa.table(rows) for name, rows in alone.items()}})
    outcome = arrival(trial, wanted, [("alone", more)])
    assert outcome.difference is None
    assert "rows more, which together wait" in outcome.result
    less: Any = type("Run", (), {"rows": {name: pa.table(rows.slice(1)) for name, rows in alone.items()}})
    assert arrival(trial, wanted, [("less", less)]).difference is not None


LABELS = """\
[graph]
[graph.tick]
from = "aligned"
[graph.tick.features]
width = "0.0 * price + 0.001"
[graph.outcome]
kind = "label"
from = "tick"
triple_barrier = { sigma = "width", up = 1, down = 1, horizon = "1m" }
[graph.outcome.out]
"""


def test_a_check_over_a_day_plays_labels(run_app: App, tmp_path: Path) -> None:
    words = ("--store", tmp_path / "history", "--seed", "5")
    answer = run_app("graph", "check", "-c", graph_file(tmp_path, LABELS), *words)
    assert answer.code == 0, (answer.out, answer.err)
    by_name = {line.split("  ")[1]: line for line in answer.out.splitlines()[1:-1]}
    assert by_name["labels"].endswith("none too early")
    assert "equal" in by_name["arrival"]


def test_a_planted_label_used_as_a_feature_is_refused_with_its_place(run_app: App, tmp_path: Path) -> None:
    text = LABELS + '[graph.after]\nfrom = "outcome"\n[graph.after.features]\nx = "label + 1"\n'
    answer = run_app("graph", "check", "-c", graph_file(tmp_path, text), "--store", tmp_path / "history")
    assert (answer.code, answer.out) == (2, "")
    assert "after.x" in answer.err
    assert "label" in answer.err
