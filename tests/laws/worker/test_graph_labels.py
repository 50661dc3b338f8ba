"""Labels come out of workers as of one call over all rows, whatever dies, and whatever is lost with it."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.audit.topics import audit
from app.config import Settings
from operators.labels.settings import Bins, Label, TrendScan, TripleBarrier
from schemas.frame import decode_frame
from schemas.labels import labels_of
from tests.oracles.labels import Row, columns_slowly, labels_slowly
from tests.stage.graph_lives import (
    LOSSES,
    each_death,
    live,
    require_death_changes_nothing,
    require_lost_nodes_are_made_anew,
    require_moved_tasks_go_on,
    require_state_behind_is_brought_up,
    rows_of,
)
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

pytestmark = pytest.mark.takes_s(90)

# Labels of joined rows, of a stream and of bars, which wait for time and for rows; what looks back and joins
# behind them.
WIDTH = 0.05
BARRIERS: Mapping[str, Any] = {"price": "wave", "sigma": "width", "up": 1, "down": 1.5, "horizon_ns": 6}
TRENDS: Mapping[str, Any] = {"price": "wave", "shortest": 3, "longest": 4, "max_ns": 9}
LABELS: Mapping[str, Any] = {
    "base": {
        "from": "aligned",
        "features": {
            "wave": "50 + abs(abs(quote_bid - 20) - 10)",
            "width": f"0.0 * wave + {WIDTH}",
            "side": "sign(quote_bid - 12)",
        },
    },
    "barrier": {"kind": "label", "from": "base", "triple_barrier": BARRIERS, "out": {}},
    "trend": {"kind": "label", "from": "base", "trend_scan": TRENDS, "out": {}},
    "soon": {
        "kind": "label",
        "from": "quote",
        "fixed_horizon": {"price": "bid", "horizon_rows": 2, "max_ns": 9, "across_sessions": True},
        "out": {"columns": ["label", "label_end_ns"], "status": "column"},
    },
    "status": {"from": "quote", "features": {"stopped": "abs(bid - 9) < 3"}},
    "mids": {"from": "quote", "features": {"wave": "50 + abs(bid - 7)"}},
    "cost": {
        "kind": "label",
        "from": "base",
        "realised_spread": {
            "price": "quote_bid",
            "side": "side",
            "mid": "wave",
            "quotes": "mids",
            "horizon_ns": 5,
        },
        "out": {},
    },
    "bars": {
        "kind": "bars",
        "from": "aligned",
        "every": {"time_ns": 3},
        "price": "quote_bid",
        "size": "quote_bid",
    },
    "sign_of_bars": {
        "kind": "label",
        "from": "bars",
        "sign": {"horizon_rows": 2, "max_ns": 12, "band": 0.2},
        "out": {},
    },
    "follows": {
        "kind": "label",
        "from": "base",
        "bins": {"price": "wave", "horizon_ns": 4, "trailing": 3, "min_count": 2, "q_ppm": [500_000]},
        "out": {},
    },
    "halting": {
        "kind": "label",
        "from": "base",
        "triple_barrier": {**BARRIERS, "halts": "status", "halted": "stopped"},
        "out": {},
    },
    "behind": {"from": "barrier", "features": {"slow": "ewma(wave, span=3)"}, "out": {}},
    "seen": {
        "kind": "asof",
        "from": "base",
        "right": ["barrier"],
        "columns": {"barrier": ["label", "ret"]},
        "out": {},
    },
}

FOLLOWS = Bins(price="wave", horizon_ns=4, trailing=3, min_count=2, q_ppm=(500_000,))


def run(folder: Path, until_ns: int = 21) -> Market:
    """One worker, and rows up to a time."""
    market = Market(folder, graph=LABELS)
    live(market, range(1, until_ns))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    return market


def wave(bid: float | None) -> float | None:
    return None if bid is None else 50 + abs(abs(bid - 20) - 10)


@pytest.mark.parametrize(
    ("name", "label"),
    [("barrier", TripleBarrier(**BARRIERS)), ("trend", TrendScan(**TRENDS)), ("follows", FOLLOWS)],
    ids=["barrier", "trend", "follows"],
)
def test_labels_are_those_of_the_definition(tmp_path: Path, name: str, label: Label) -> None:
    rows = rows_of(run(tmp_path))
    path = [
        Row(
            one["event_ns"],
            one["symbol"],
            one["event_ns"],
            wave(one["quote_bid"]),
            scale=1.0 if name == "follows" else WIDTH,
        )
        for one in rows["aligned", 0]
    ]
    wanted = columns_slowly(labels_slowly(path, label, lambda _: 0, 21), label, 1)
    found = rows[name, 0]
    assert [{column: row[column] for column in wanted[0]} for row in found] == wanted
    assert {row["label"] for row in found} >= ({0, 1} if name == "follows" else {-1, 1})
    assert 0 < len(found) < len(path)  # the others wait
    places = [(row["left_offset"], row["left_index"]) for row in rows["aligned", 0]]
    assert [(row["left_offset"], row["left_index"]) for row in found] == places[: len(found)]


def test_a_spread_is_of_the_mid_some_time_later(tmp_path: Path) -> None:
    market = run(tmp_path)
    found = rows_of(market)["cost", 0]
    assert found
    for row in found:
        later = [ns for ns in range(1, row["event_ns"] + 6) if ns % ("ABCDEF".index(row["symbol"]) + 2)]
        mid = 50 + abs(later[-1] - 7)
        assert row["later_mid"] == mid
        assert row["realised_spread"] == 2 * row["side"] * (row["quote_bid"] - mid)
        assert row["label_end_ns"] == row["event_ns"] + 5


def test_halts_are_found_from_an_event_to_its_end(tmp_path: Path) -> None:
    rows = rows_of(run(tmp_path))
    found, plain = rows["halting", 0], rows["barrier", 0]
    assert [row["label"] for row in found] == [row["label"] for row in plain[: len(found)]]
    for row in found:
        if row["label"] is not None:
            step = "ABCDEF".index(row["symbol"]) + 2  # a quote of each time that this does not divide
            ends = row["event_ns"], row["label_end_ns"]
            quotes = [ns for ns in range(1, ends[1] + 1) if ns % step]
            first = max([ns for ns in quotes if ns <= ends[0]], default=quotes[0])
            assert row["halted_inside"] == any(abs(ns - 9) < 3 for ns in quotes if ns >= first), row
    assert {row["halted_inside"] for row in found} >= {True, False}


def test_labels_of_bars_look_at_later_bars(tmp_path: Path) -> None:
    rows = rows_of(run(tmp_path, 41))
    found = rows["sign_of_bars", 0]
    assert {row["label"] for row in found} >= {0, 1}
    for symbol in "ABCDEF":
        own = [row for row in found if row["symbol"] == symbol]
        for event, after in zip(own, own[2:], strict=False):
            assert event["label"] == (after["close"] / event["close"] - 1 > 0.2)
            assert event["label_end_ns"] == after["end_ns"]


def test_joined_labels_are_of_rows_at_or_before_and_say_that_they_are_labels(tmp_path: Path) -> None:
    market = run(tmp_path)
    rows = rows_of(market)
    labels = {(row["symbol"], row["event_ns"]): row["label"] for row in rows["barrier", 0]}
    seen = rows["seen", 0]
    assert seen
    assert all(row["barrier_label"] == labels[row["symbol"], row["event_ns"]] for row in seen)
    for name, marked in (("seen", ["barrier_label", "barrier_ret"]), ("soon", ["label", "label_end_ns"])):
        assert labels_of(schema_of(market, name)) == marked
    assert labels_of(schema_of(market, "aligned")) == []


def test_the_audit_judges_labels_and_what_is_behind_them(tmp_path: Path) -> None:
    report = audit(run(tmp_path).pipeline)
    assert report.violations == []
    assert report.reach.passed_over.nodes == {}
    assert report.reach.passed_over.features == {}
    assert report.rows_out["barrier"] > 0


def schema_of(market: Market, name: str) -> pa.Schema:
    """The columns of the first frame of an output, as a reader has them."""
    return decode_frame(market.messages(name)[0].value).schema


@each_death(LOSSES)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    market = require_death_changes_nothing(tmp_path, LABELS, point, guarantee, lose)
    assert audit(market.pipeline).violations == []


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, LABELS)


def test_labels_that_lost_all_are_made_anew_from_aligned_rows_and_streams(tmp_path: Path) -> None:
    require_lost_nodes_are_made_anew(tmp_path, LABELS)


def test_labels_are_the_same_over_partitions_that_move(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, LABELS)


SOON: Mapping[str, Any] = {"horizon_ns": 5}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"kind": "label"}, "none is given"),
        ({"kind": "label", "sign": SOON, "fixed_horizon": SOON}, "2 of them are given"),
        ({"kind": "label", "sign": SOON, "features": {"x": "1"}}, 'kind = "label" has no features'),
        ({"kind": "label", "sign": SOON, "every": {"trades": 2}}, "is a key of bars"),
        ({"kind": "label", "sign": SOON, "right": ["quote"]}, "is a key of a join"),
        ({"kind": "label", "sign": SOON, "hours": "regular"}, "hours is a key of features"),
        ({"features": {"x": "1"}, "sign": SOON}, 'sign is a key of a label: it needs kind = "label"'),
        ({"kind": "label", "sign": {"horizon_ns": 0}}, "greater than 0"),
        ({"kind": "label", "triple_barrier": SOON}, "sigma"),
        ({"kind": "label", "sign": SOON, "out": {"serve": True}}, "serve"),
    ],
)
def test_labels_that_cannot_be_are_refused_with_their_key(node: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"graph": {"outcome": {"from": "aligned", **node}}})
