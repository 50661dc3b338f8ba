"""Which rows of a feature the picture shows, why the others are null, and what cannot be shown."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app.config import load_settings
from app.day.feature_view import feature_view, require_feature
from app.errors import UsageError
from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.plan import plan_graph
from schemas.reasons import REASONS

ROWS = pa.table(
    {
        "symbol": ["B", "A", "A", "B", "A"],
        "event_ns": [1, 2, 3, 4, 5],
        "vol": [9.0, None, 2.0, None, None],
        "up": [True, True, False, None, True],
        "vol_status": pa.array([0, 2, 0, 1, 3], pa.uint8()),
    }
)
NODES = (
    NodeSettings(name="tick", upstream="aligned", features={"vol": "event_ns / 2"}, output=Output()),
    NodeSettings(name="inner", upstream="tick", features={"x": "vol + 1"}),
)
PLAN = plan_graph(GraphSettings(name="g", nodes=NODES), ROWS.select(["symbol", "event_ns"]).schema)


def view(name: str, rows: pa.Table = ROWS, shown: str | None = None) -> Any:
    return feature_view(rows, name, "event_ns", ["symbol"], shown)


def test_the_key_with_the_most_rows_is_shown_unless_the_picture_has_one() -> None:
    found = view("tick.vol")
    assert (found.key, found.times_ns.tolist()) == ("A", [2, 3, 5])
    np.testing.assert_array_equal(found.values, [np.nan, 2.0, np.nan])
    assert view("tick.vol", shown="B").times_ns.tolist() == [1, 4]
    assert view("tick.vol", shown="C") is None
    assert view("tick.vol", ROWS.slice(0, 0)) is None


def test_nulls_are_counted_by_reason_where_the_rows_say_it() -> None:
    assert view("tick.vol").nulls == {REASONS[2]: 1, REASONS[3]: 1}
    assert view("tick.vol").caption == "3 rows, gaps: 1 warming, 1 domain"
    assert view("tick.vol", ROWS.drop_columns("vol_status")).caption == "3 rows, gaps: 2 null"


def test_a_boolean_is_drawn_as_0_and_1() -> None:
    assert view("tick.up").values.tolist() == [1.0, 0.0, 1.0]
    assert view("tick.up").caption == "3 rows"


def test_rows_of_several_key_columns_are_told_apart() -> None:
    rows = ROWS.append_column("venue", pa.array(["x", "x", "y", "x", "y"]))
    found = feature_view(rows, "tick.vol", "event_ns", ["venue", "symbol"], "y:A")
    assert found is not None
    assert found.times_ns.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tock.vol", "no node tock of .* has an output; tick?"),
        ("inner.x", "no node inner of .* has an output"),
        ("tick.vl", "the output of tick has no column vl; vol?"),
        ("tick.symbol", "symbol is string, and a number can be drawn"),
        ("vol", "no node vol of .* has an output"),
    ],
)
def test_what_no_output_has_is_refused_before_anything_runs(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("")
    with pytest.raises(UsageError, match=message):
        require_feature(name, load_settings(tmp_path / "my.toml"), PLAN)


def test_without_a_graph_no_feature_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("")
    with pytest.raises(UsageError, match=r"has an output$"):
        require_feature("tick.vol", load_settings(tmp_path / "my.toml"), None)
