"""The hash of rows and their parity: equal to the oracle, and blind to how Arrow holds the values."""

import itertools
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.hashing.parity import Parity, sealed_hashes
from operators.hashing.row_hash import row_hashes
from tests.oracles.row_hash import parity, row_hash

INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=64)
TEXTS = st.one_of(st.sampled_from(["", "\0", "AAPL", "12345678", "123456789"]), st.text(max_size=20))
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), INTS),
    (pa.uint8(), st.integers(0, 255)),
    (pa.float64(), FLOATS),
    (pa.bool_(), st.booleans()),
    (pa.string(), TEXTS),
    (pa.large_binary(), st.binary(max_size=20)),
    (pa.binary(9), st.binary(min_size=9, max_size=9)),
    (pa.list_(pa.float64()), st.lists(FLOATS | st.none(), max_size=3)),
    (pa.list_(pa.string(), 2), st.lists(TEXTS, min_size=2, max_size=2)),
    (
        pa.struct([("x", pa.int64()), ("y", pa.string())]),
        st.fixed_dictionaries({"x": INTS, "y": TEXTS | st.none()}),
    ),
]
COLUMN = st.sampled_from(KINDS).flatmap(
    lambda kind: st.tuples(st.just(kind[0]), st.lists(kind[1] | st.none(), min_size=6, max_size=6))
)
COLUMNS = st.lists(COLUMN, min_size=1, max_size=4)


def arrays_of(columns: list[tuple[pa.DataType, list[object]]]) -> list[pa.Array]:
    return [pa.array(values, kind) for kind, values in columns]


@given(COLUMNS)
def test_a_row_hashes_as_the_oracle_says(columns: list[tuple[pa.DataType, list[object]]]) -> None:
    found = row_hashes(arrays_of(columns), 6)
    rows = zip(*(values for _, values in columns), strict=True)
    assert found.tolist() == [row_hash(row) for row in rows]


@given(COLUMNS, st.integers(0, 6), st.integers(0, 6))
def test_a_cut_of_columns_hashes_as_its_rows(
    columns: list[tuple[pa.DataType, list[object]]], one: int, other: int
) -> None:
    lower, upper = min(one, other), max(one, other)
    arrays = arrays_of(columns)
    cut = row_hashes([array.slice(lower, upper - lower) for array in arrays], upper - lower)
    assert cut.tolist() == row_hashes(arrays, 6)[lower:upper].tolist()


@given(st.lists(TEXTS | st.none(), max_size=6), st.lists(FLOATS | st.none(), max_size=6))
def test_how_values_are_held_does_not_count(texts: list[str | None], floats: list[float | None]) -> None:
    plain = pa.array(texts, pa.string())
    for held in (
        plain.dictionary_encode(),
        pa.array(texts, pa.large_string()),
        pa.array(texts, pa.string_view()),
        pa.concat_arrays([plain, plain]).slice(len(texts)),
    ):
        assert row_hashes([held], len(texts)).tolist() == row_hashes([plain], len(texts)).tolist()
    numbers = pa.array(floats, pa.float64())
    encoded = row_hashes([numbers.dictionary_encode()], len(floats))
    assert encoded.tolist() == row_hashes([numbers], len(floats)).tolist()


@settings(max_examples=50)
@given(st.lists(INTS | st.none(), max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_the_parity_does_not_know_where_frames_were_cut(values: list[int | None], cuts: list[int]) -> None:
    rows = pa.record_batch({"x": pa.array(values, pa.int64())})
    hashes = sealed_hashes(rows)
    bounds = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    rolled = Parity()
    for lower, upper in itertools.pairwise(bounds):
        rolled = rolled.roll(sealed_hashes(rows.slice(lower, upper - lower)))
    assert rolled == Parity().roll(hashes)
    assert (rolled.rows, rolled.first, rolled.second) == (len(values), *parity(hashes.tolist()))
    assert Parity.parse(str(rolled)) == rolled


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([None], pa.int64()), pa.array([0], pa.int64())),
        (pa.array([None], pa.string()), pa.array([""])),
        (pa.array([""]), pa.array(["\0"])),
        (pa.array([[]], pa.list_(pa.int64())), pa.array([[None]], pa.list_(pa.int64()))),
        (pa.array([None], pa.list_(pa.int64())), pa.array([[]], pa.list_(pa.int64()))),
    ],
)
def test_a_null_is_no_value(one: pa.Array, other: pa.Array) -> None:
    assert row_hashes([one], 1)[0] != row_hashes([other], 1)[0]
