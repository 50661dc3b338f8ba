"""Which symbol each sealed row is of, and when: for rows that come from elsewhere than a root."""

import numpy as np
import pyarrow as pa

from operators.rows.groups import Groups
from operators.sealed import RowKeys
from schemas.stream import message_keys


def row_keys(rows: pa.RecordBatch, key: tuple[str, ...], clock: str, groups: Groups) -> RowKeys:
    """The keys of rows by their columns: `key` names those of the left stream, `clock` the time.

    A row with a null in its key has no symbol.
    """
    keys = message_keys(rows, key)
    assert isinstance(keys, pa.Array), "the keys of one batch are one array"
    encoded = keys.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    group = groups.codes(encoded.dictionary.cast(pa.binary()), codes)
    return RowKeys(group, np.asarray(rows.column(clock).to_numpy(zero_copy_only=False), np.int64))
