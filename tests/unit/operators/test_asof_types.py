"""Every Arrow type of a right column comes out of the join as it went in."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from operators.asof import asof_join
from operators.tables.fill import Validity
from operators.tables.gather import gather_strings
from operators.tables.threads import Workers
from operators.tables.walk import Matches, mark
from tests.stage.asof_tables import trades

NOON = dt.datetime(2024, 1, 15, 12, tzinfo=dt.UTC)
COLUMNS = [
    *(pa.array([1, 2, None], kind()) for kind in (pa.int8, pa.uint16, pa.int32, pa.uint64)),
    pa.array(np.array([1, 2, 3], np.float16)),
    pa.array([1.5, None, 2.5], pa.float32()),
    pa.array([True, None, False]),
    pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(20, 2)),
    pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal256(60, 2)),
    pa.array(["a", None, ""]),
    pa.array(["a", None, "bcd"], pa.large_string()),
    pa.array(["a", None, "longer than twelve bytes"], pa.string_view()),
    pa.array([b"\x00a", None, b""], pa.binary()),
    pa.array([b"abc", None, b"def"], pa.binary(3)),
    pa.array([b"0123456789abcdef", None, b"fedcba9876543210"], pa.uuid()),
    pa.array([NOON.date(), None, NOON.date()], pa.date32()),
    pa.array([NOON.date(), None, NOON.date()], pa.date64()),
    pa.array([NOON, None, NOON], pa.timestamp("ms", "America/New_York")),
    pa.array([dt.timedelta(seconds=1), None, dt.timedelta(0)], pa.duration("us")),
    pa.array([NOON.time(), None, NOON.time()], pa.time64("ns")),
    pa.array([(1, 2, 3), None, (4, 5, 6)], pa.month_day_nano_interval()),
    pa.array(["a", None, "b"]).dictionary_encode(),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int8()), pa.array(["a", None, "b"])),
    pa.array([[1, 2], None, []]),
    pa.array([[1, 2], None, [None, 3]], pa.list_(pa.int8(), 2)),
    pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}]),
    pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    pa.nulls(3),
    pc.run_end_encode(pa.array([7, None, 7])),
]


@pytest.mark.parametrize("values", COLUMNS, ids=lambda values: str(values.type))
@pytest.mark.parametrize("carry", ["row", "column"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_column_keeps_its_type_its_values_and_its_nulls(values: pa.Array, carry: str, pieces: int) -> None:
    column = pa.chunked_array([values] if pieces == 1 else [values[:1], values[1:]], values.type)
    right = pa.table({"event_ns": [10, 20, 30], "value": column})
    first, second, third = values.to_pylist()
    standing = first if carry == "column" and second is None else second
    last = standing if carry == "column" and third is None else third
    for left, expected in (
        ([5, 30, 20, 10, 29], [None, last, standing, first, standing]),
        ([5, 10, 20, 29, 30], [None, first, standing, standing, last]),
    ):
        joined = asof_join(trades(left), right, by=None, carry=carry)
        joined.validate(full=True)
        assert joined["right_value"].type == values.type
        assert joined["right_value"].to_pylist() == expected


def test_a_column_without_rows_keeps_its_type() -> None:
    for values in COLUMNS:
        right = pa.table({"event_ns": pa.array([], pa.int64()), "value": pa.chunked_array([], values.type)})
        joined = asof_join(trades([5]), right, by=None)
        assert joined["right_value"].type == values.type
        assert joined["right_value"].to_pylist() == [None]


def test_strings_beyond_what_one_array_can_hold_come_out_as_several() -> None:
    source = pa.array(["ab", None, "cde"])
    rows = 4_096
    positions = np.arange(rows, dtype=np.int32) % 4 - 1
    with Workers(2) as workers:
        matches = Matches(positions, mark(Validity(rows), positions, workers))
        pieces = gather_strings(source, pa.string(), matches, workers, bytes_max=2_000)
    for piece in pieces:
        piece.validate(full=True)
    assert len(pieces) > 1
    assert [text for piece in pieces for text in piece.to_pylist()] == [None, "ab", None, "cde"] * (rows // 4)
