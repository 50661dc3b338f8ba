"""What cannot be joined is refused before the first row, and the message says why."""

from typing import Any

import pyarrow as pa
import pytest

from operators.join.settings import AsofSettings, SettingsError
from schemas.stream import Stream, StreamError
from tests.stage.scenes import QUOTE, TRADE


def make(**changed: Any) -> AsofSettings:
    asked: dict[str, Any] = {"left": TRADE, "rights": (QUOTE,)}
    return AsofSettings(**asked | changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tolerance_ns": -1}, "tolerance_ns is -1"),
        ({"direction": "forward"}, "needs tolerance_ns"),
        ({"direction": "nearest"}, "needs tolerance_ns"),
        ({"direction": "nearest", "tolerance_ns": 2**62 + 1}, "146 years"),
        ({"direction": "forward", "carry": "column", "tolerance_ns": 1}, 'carry = "column"'),
        ({"grace_ns": {"qoute": 1}}, "names 'qoute'"),
        ({"grace_ns": {"quote": -1}}, "grace_ns of quote is -1"),
        ({"buffer_size_max": {"quote": -1}}, "buffer_size_max of quote is -1"),
        ({"buffer_rows_max": {"quotes": 1}}, "buffer_rows_max names 'quotes'"),
        ({"columns": {"trade": ("symbol",)}}, "names 'trade'"),
        ({"columns": {"quote": ("bidd",)}}, "no column 'bidd'"),
        ({"rights": (QUOTE, QUOTE)}, "names must differ"),
        ({"rights": ()}, "no right stream"),
        ({"rights": (Stream(name="quote", schema=QUOTE.schema, key=("symbol", "bid")),)}, "2"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        make(**changed)


def test_a_stream_without_the_clock_is_refused() -> None:
    with pytest.raises(StreamError, match="known_ns"):
        make(clock="known")


def test_a_clash_of_output_columns_is_refused() -> None:
    schema = pa.schema([*TRADE.schema, ("quote_bid", pa.int64())])
    with pytest.raises(SettingsError, match="columns twice: quote_bid"):
        make(left=Stream(name="trade", schema=schema))


def test_a_type_no_row_can_be_picked_from_is_refused() -> None:
    schema = pa.schema([*QUOTE.schema, ("texts", pa.list_(pa.string_view()))])
    with pytest.raises(SettingsError, match="column texts of type list<item: string_view>"):
        make(rights=(Stream(name="quote", schema=schema),))


def test_right_columns_are_nullable_and_left_ones_as_they_were() -> None:
    schema = pa.schema([pa.field("event_ns", pa.int64(), nullable=False), *list(TRADE.schema)[1:]])
    aligned = make(left=Stream(name="trade", schema=schema)).aligned_schema()
    assert not aligned.field("event_ns").nullable
    assert aligned.field("quote_bid").nullable
    assert not aligned.field("left_offset").nullable


def test_the_fingerprint_changes_with_what_kept_state_means() -> None:
    prints = {
        make().fingerprint(),
        make(tolerance_ns=1).fingerprint(),
        make(carry="column").fingerprint(),
        make(columns={"quote": ("bid",)}).fingerprint(),
    }
    assert len(prints) == 4
    assert make(grace_ns={"quote": 1}).fingerprint() == make().fingerprint()


@pytest.mark.parametrize("tolerance_ns", [0, 1, 2**62])
def test_looking_ahead_needs_a_tolerance_and_no_more(tolerance_ns: int) -> None:
    for direction in ("forward", "nearest"):
        assert make(direction=direction, tolerance_ns=tolerance_ns).hold_ns == tolerance_ns
    assert make(tolerance_ns=tolerance_ns).hold_ns == 0
