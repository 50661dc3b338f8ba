"""The message keys of rows on their way out, numbered (`schemas.stream` has the rule)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.order import as_array
from schemas.batch import Int32s
from schemas.stream import message_keys

NO_KEY = -1


def key_codes(rows: pa.RecordBatch, key: tuple[str, ...]) -> tuple[Int32s, list[bytes]]:
    """Return each row's index into the distinct message keys (`NO_KEY` without a key), and these keys."""
    coded = message_keys(rows, key).dictionary_encode()
    codes = as_array(pc.fill_null(coded.indices, NO_KEY)).astype(np.int32, copy=False)
    return codes, coded.dictionary.to_pylist()
