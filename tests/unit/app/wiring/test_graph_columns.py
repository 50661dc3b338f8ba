"""What streams' tables say of columns for a graph: scales and names, and each mistake with its place."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.config import load_settings
from app.errors import UsageError
from app.wiring.graph_columns import graph_aliases, graph_scales, require_columns

ALIGNED = pa.schema(
    [
        ("symbol", pa.string()),
        ("event_ns", pa.int64()),
        ("close", pa.float64()),
        ("size", pa.int64()),
        ("quote_bid", pa.decimal128(18, 4)),
        ("quote_ask", pa.float32()),
        ("left_offset", pa.int64()),
    ]
)


def settings_of(folder: Path, trade: str = "", quote: str = "") -> Any:
    file = folder / "my.toml"
    tables = [("trade", trade), ("quote", quote)]
    file.write_text("".join(f"[streams.{name}]\n{text}\n" for name, text in tables if text))
    return load_settings(file)


def refused(folder: Path, **tables: str) -> str:
    with pytest.raises(UsageError) as caught:
        require_columns(settings_of(folder, **tables), ALIGNED, ("symbol",))
    return str(caught.value)


def test_columns_of_right_streams_have_the_prefix_of_their_stream(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        trade='scales = { close = 10_000 }\naliases = { close = "price" }',
        quote='scales = { bid = 10_000 }\naliases = { bid = "bid_price" }',
    )
    assert graph_scales(settings) == {
        "aligned": {"close": 10_000, "quote_bid": 10_000},
        "trade": {"close": 10_000},
        "quote": {"bid": 10_000},
    }
    assert graph_aliases(settings) == {
        "aligned": {"close": "price", "quote_bid": "quote_bid_price"},
        "trade": {"close": "price"},
        "quote": {"bid": "bid_price"},
    }
    require_columns(settings, ALIGNED, ("symbol",))


def test_two_columns_can_change_their_names(tmp_path: Path) -> None:
    swapped = 'aliases = { bid = "ask", ask = "bid" }'
    require_columns(settings_of(tmp_path, quote=swapped), ALIGNED, ("symbol",))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"trade": "scales = { clse = 100 }"},
            "streams.trade.scales.clse: stream trade brings no column clse to the join; close?",
        ),
        ({"quote": "scales = { bi = 100 }"}, "stream quote brings no column bi to the join; bid?"),
        ({"trade": "scales = { size = 100 }"}, "size is int64: a scale makes whole numbers of a float"),
        ({"trade": 'aliases = { symbol = "name" }'}, "symbol names a row, and keeps its name"),
        ({"trade": 'aliases = { event_ns = "at" }'}, "event_ns names a row, and keeps its name"),
        ({"quote": 'aliases = { bid = "symbol" }'}, "symbol names a row; choose another name"),
        ({"trade": 'aliases = { close = "size" }'}, "size is called size in the graph already"),
        ({"trade": 'aliases = { close = "quote_bid" }'}, "quote_bid is called quote_bid in the graph"),
        (
            {"quote": 'aliases = { bid = "x", ask = "x" }'},
            "streams.quote.aliases.bid: quote_ask is called quote_x in the graph already",
        ),
        ({"trade": 'aliases = { close = "for" }'}, "and no word of Python, not 'for'"),
        ({"trade": 'aliases = { close = "a-b" }'}, "a name in formulas is letters, digits and _"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_its_place(
    tmp_path: Path, tables: dict[str, str], message: str
) -> None:
    said = refused(tmp_path, **tables)
    assert said.startswith(f"{tmp_path / 'my.toml'}:2  streams.")
    assert message in said.splitlines()[0]
