"""Of sealed rows: why a feature has no value, row by row, and how many rows of a part have which reason."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from operators.sealed import Sealed, Statuses
from schemas.reasons import NULL_IN, OK, REASONS, Nulls


def statuses_of(sealed: Sealed, feature: str) -> Statuses:
    """The reason of each row, a place in `REASONS`; `sealed` has rows, and the feature is one of its columns.

    Where nobody says why a value is null, it came so from somewhere else: a row that a join did not match.
    """
    statuses = sealed.reasons.get(feature)
    if statuses is not None:
        return statuses
    assert sealed.rows is not None, "rows without rows"
    column = sealed.rows.column(feature)
    if column.null_count == 0:
        return np.zeros(len(column), np.uint8)
    nulls: Statuses = column.is_null().to_numpy(zero_copy_only=False).astype(np.uint8)
    nulls *= np.uint8(NULL_IN)
    return nulls


class NullCounts:
    """Counts the nulls of features in parts of the rows of a seal."""

    def __init__(self, sealed: Sealed, features: Iterable[str]) -> None:
        rows = sealed.rows
        assert rows is not None, "nothing to count"
        self._statuses = {
            name: statuses_of(sealed, name)
            for name in features
            if name in sealed.reasons or rows.column(name).null_count
        }

    def between(self, lower: int, upper: int) -> Nulls:
        """Those of the rows from `lower` to before `upper`."""
        counted: dict[str, dict[str, int]] = {}
        for name, statuses in self._statuses.items():
            counts = np.bincount(statuses[lower:upper], minlength=len(REASONS))[1:].tolist()
            if any(counts):
                pairs = zip(REASONS[1:], counts, strict=True)
                counted[name] = {reason: count for reason, count in pairs if count}
        return counted


def status_column(sealed: Sealed, feature: str) -> pa.Array:
    """The reasons as a column of rows."""
    return pa.array(statuses_of(sealed, feature))


def joined_reasons(first: Sealed, second: Sealed) -> Mapping[str, Statuses]:
    """The reasons of the rows of both, one after the other."""
    if not first.reasons and not second.reasons:
        return {}
    rows = [0 if part.rows is None else part.rows.num_rows for part in (first, second)]
    joined = {}
    for name in first.reasons.keys() | second.reasons.keys():
        parts = zip((first, second), rows, strict=True)
        joined[name] = np.concatenate(
            [statuses_of(part, name) if count else np.zeros(0, np.uint8) for part, count in parts]
        )
    return joined


def packed_reasons(sealed: Sealed, features: Sequence[str]) -> pa.Array:
    """The reasons of these features as one value a row, `binary`: a byte for each, null where all are ok.

    A feature that nobody gives a reason of has none here, whether it is null or not.
    """
    assert sealed.rows is not None, "rows without rows"
    count = sealed.rows.num_rows
    if not any(name in sealed.reasons for name in features):
        return pa.nulls(count, pa.binary())
    reasons = np.zeros((count, len(features)), np.uint8)
    for number, name in enumerate(features):
        if name in sealed.reasons:
            reasons[:, number] = sealed.reasons[name]
    there = reasons.any(axis=1)
    offsets = np.concatenate([[0], np.cumsum(there) * len(features)]).astype(np.int32)
    validity = pa.array(there).buffers()[1]
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(reasons[there]))]
    return pa.Array.from_buffers(pa.binary(), count, buffers)


def unpacked_reasons(packed: pa.Array, columns: Mapping[str, pa.Array]) -> dict[str, Statuses]:
    """The reasons of columns that have any, from what `packed_reasons` made of them in this order.

    A null that has no reason there came so from somewhere else.
    """
    there = packed.is_valid().to_numpy(zero_copy_only=False)
    known = packed.drop_null()
    if not len(known):
        return {}
    offsets = np.frombuffer(known.buffers()[1], np.int32)[known.offset : known.offset + len(known) + 1]
    data = np.frombuffer(known.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    reasons = np.zeros((len(packed), len(columns)), np.uint8)
    reasons[there] = data.reshape(len(known), len(columns))
    result = {}
    for number, (name, column) in enumerate(columns.items()):
        if column.null_count or reasons[:, number].any():
            statuses: Statuses = np.ascontiguousarray(reasons[:, number])
            nulls = column.is_null().to_numpy(zero_copy_only=False)
            statuses[nulls & (statuses == OK)] = NULL_IN
            result[name] = statuses
    return result
