"""Errors of a graph are printed with file, line and a caret under the place they are about."""

import tomllib

import pyarrow as pa
import pytest

from operators.graph.declare import GraphSettings, NodeSettings, Output
from operators.graph.errors import GraphError, NodeError
from operators.graph.plan import plan_graph
from operators.graph.render import render_errors, render_value

ALIGNED = pa.schema(
    {"symbol": pa.string(), "price": pa.float64(), "quote_bid_size": pa.int64(), "quote_bid": pa.float64()}
)


def rendered(text: str) -> str:
    """What is wrong with the graph of a file, as it is printed."""
    nodes = []
    for name, table in tomllib.loads(text)["graph"].items():
        if isinstance(table, dict):
            out = table.get("out")
            output = None if out is None else Output(tuple(out["columns"]) if "columns" in out else None)
            features = table.get("features", {})
            nodes.append(NodeSettings(name=name, upstream=table["from"], features=features, output=output))
    with pytest.raises(GraphError) as caught:
        plan_graph(GraphSettings(name="equities", nodes=tuple(nodes)), ALIGNED)
    return render_errors("bad.toml", text, caught.value.errors)


def test_each_error_has_its_line_and_a_caret() -> None:
    text = """\
[graph]
name = "equities"

[graph.tick]
from = "aligned"
[graph.tick.features]   # all of them
mid    = "(price + quote_bid) / 2"
vol_5m = "rolling_std(mid, 5)"
imb    = "quote_bid_size / bid_sz"
fwd    = "2 * lead(mid, rows=1)"
"""
    assert (
        rendered(text)
        == """\
bad.toml:8  tick.vol_5m: rolling_std takes a window as '5m' or rows=5, not 5
    vol_5m = "rolling_std(mid, 5)"
                               ^
bad.toml:9  tick.imb: aligned has no column bid_sz; quote_bid_size?
    imb    = "quote_bid_size / bid_sz"
                               ^^^^^^
bad.toml:10  tick.fwd: lead looks ahead; only a label node may, and labels are never served
    fwd    = "2 * lead(mid, rows=1)"
                  ^^^^
"""
    )


def test_tables_can_be_written_in_any_way() -> None:
    text = """\
[graph]
name = "equities"
"b".from = 'aligned'
b."features"."z" = "baz + price"
[graph."a"]
from = "aligned"
features = { x = "1 + foo", 'y' = 'price + bar' }
[graph.c.out]
columns = ["price", "prize"]
[graph.c]
\tfrom = "alinged"
\tfeatures.q = \"""\\
    price +
    1 / qux + lead\"""
[graph.d]
from = "aligned"
features.mid = "price + 1"
features.price = "2"
"""
    assert (
        rendered(text)
        == """\
bad.toml:4  b.z: aligned has no column baz
    b."features"."z" = "baz + price"
                        ^^^
bad.toml:7  a.x: aligned has no column foo
    features = { x = "1 + foo", 'y' = 'price + bar' }
                          ^^^
bad.toml:7  a.y: aligned has no column bar
    features = { x = "1 + foo", 'y' = 'price + bar' }
                                               ^^^
bad.toml:11  c: there is no node alinged; aligned?
    from = "alinged"
            ^^^^^^^
bad.toml:18  d.price: aligned has a column price already; a feature needs a name of its own
"""
    )


def test_a_place_behind_an_escape_is_counted_as_it_is_written() -> None:
    text = '[graph.a]\nfrom = "aligned"\nfeatures."\\u00e4x" = "\\tprice\\u0020+ foo"\n'
    assert (
        rendered(text)
        == """\
bad.toml:3  a.äx: aligned has no column foo
    features."\\u00e4x" = "\\tprice\\u0020+ foo"
                                         ^^^
"""
    )


def test_a_place_in_a_text_of_several_lines_is_on_its_own_line() -> None:
    text = "[graph.a]\r\nfrom = \"aligned\"\r\nfeatures.x = '''\r\nprice +\r\n  foo'''\r\n"
    assert (
        rendered(text)
        == """\
bad.toml:5  a.x: aligned has no column foo
    foo'''
    ^^^
"""
    )


def test_a_missing_key_is_reported_at_its_table_and_a_missing_table_at_the_top() -> None:
    text = "\n[graph]\nname = 'g'\n\n[graph.a]\nfrom = 'aligned'\n"
    errors = [
        NodeError("graph", None, "a graph of its own"),
        NodeError("a", None, "a node needs features", setting="features"),
        NodeError("a", "x", "no such key"),
        NodeError("b", None, "no such table"),
    ]
    assert (
        render_errors("bad.toml", text, errors)
        == """\
bad.toml:2  graph: a graph of its own
bad.toml:2  b: no such table
bad.toml:5  a: a node needs features
bad.toml:5  a.x: no such key
"""
    )
    assert render_errors("bad.toml", "", errors[-1:]) == "bad.toml:1  b: no such table\n"


def test_a_place_past_the_end_of_the_value_is_under_its_end() -> None:
    text = "[graph.a]\nfeatures.x = ''\n"
    assert render_errors("f", text, [NodeError("a", "x", "empty", 0, 1)]) == (
        "f:2  a.x: empty\n    features.x = ''\n                  ^\n"
    )


ROWS = """\
[calendars.x]   # a venue
sessions = [ # [not, a row]
  [1, 2], ["]", { a = 3 }
  ], # ...
  [4,
   5],
]
to = 12  # the end
"""


def test_an_error_of_a_value_is_under_it_and_of_an_element_of_an_array_under_that() -> None:
    key = ("calendars", "x", "sessions")
    assert (
        render_value("f", ROWS, ("calendars", "x", "to"), "late")
        == "f:8  late\n    to = 12  # the end\n         ^^"
    )
    assert render_value("f", ROWS, (*key, 0), "no") == 'f:3  no\n    [1, 2], ["]", { a = 3 }\n    ^^^^^^'
    assert render_value("f", ROWS, (*key, 0, 1), "no") == 'f:3  no\n    [1, 2], ["]", { a = 3 }\n        ^'
    assert render_value("f", ROWS, (*key, 2, 1), "no") == "f:6  no\n    5],\n    ^"
    assert render_value("f", ROWS, (*key, 2, 7), "no") == "f:5  no\n    [4,\n    ^^^"


def test_an_error_of_a_key_that_is_not_there_is_at_its_table() -> None:
    assert render_value("f", ROWS, ("calendars", "x", "from"), "missing") == "f:1  missing"
    assert render_value("f", ROWS, ("calendars", "x"), "whole") == "f:1  whole"
    assert render_value("f", "a = 1\r\nb = 2\r\n", ("b",), "two") == "f:2  two\n    b = 2\n        ^"
