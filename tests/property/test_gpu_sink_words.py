"""Looking words up by keys is looking them up by Arrow, whatever the words, nulls and slices."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from gpu_sink.columns.word_keys import WordKeys

words = st.one_of(st.binary(max_size=7), st.sampled_from([b"", b"\0", b"A", b"A\0", b"ES", b"NQ"]))


@given(
    known=st.lists(words, unique=True, max_size=30),
    rows=st.lists(st.one_of(st.none(), words), min_size=1, max_size=60),
    unknown=st.booleans(),
    cut=st.integers(0, 59),
    lower=st.integers(0, 59),
)
def test_keys_find_what_arrow_finds(
    known: list[bytes], rows: list[bytes | None], unknown: bool, cut: int, lower: int
) -> None:
    if not unknown:
        rows = [word if word in known else None for word in rows]
    column = pa.array(rows, pa.binary())[min(cut, len(rows) - 1) :]
    lower = min(lower, len(column) - 1)
    keys = WordKeys()
    keys.learn(known)
    out = np.empty(len(column) - lower, np.int32)
    valid = column.is_valid().to_numpy(zero_copy_only=False)[lower:]
    unknown_count = keys.look_up(column, lower, valid, out)
    expected = pc.index_in(column.slice(lower), value_set=pa.array(known, pa.binary()))
    expected = np.array(expected.fill_null(len(known)))
    np.testing.assert_array_equal(out[valid], expected[valid])
    assert unknown_count == np.count_nonzero(expected[valid] == len(known))
