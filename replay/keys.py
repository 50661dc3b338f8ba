"""The message key of a row: the values of its key columns as text, joined by a colon (`spot:BTCUSDT`)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.order import Rows, as_array
from schemas.batch import Int32s

NO_KEY = -1


def key_texts(rows: Rows, key: tuple[str, ...]) -> pa.Array | pa.ChunkedArray:
    """Return each row's message key as a string; null where any of its key columns is."""
    columns = [rows.column(name).cast(pa.string()) for name in key]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, ":")


def key_codes(rows: pa.RecordBatch, key: tuple[str, ...]) -> tuple[Int32s, list[bytes]]:
    """Return each row's index into the distinct message keys, and those; `NO_KEY` where a row has none."""
    coded = key_texts(rows, key).dictionary_encode()
    codes = as_array(pc.fill_null(coded.indices, NO_KEY)).astype(np.int32, copy=False)
    return codes, [text.encode() for text in coded.dictionary.to_pylist()]
