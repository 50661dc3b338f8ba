"""An outlier that has left leaves nothing behind: a million rows later values are those of a late start."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from operators.formula.features import Features, read_features, root_source
from operators.formula.functions.declare import Example
from operators.formula.functions.table import FUNCTIONS
from operators.formula.history import Reach
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.property.history_cases import LOOKING_BACK, PLAIN_PYTHON

pytestmark = pytest.mark.takes_s(60)

ROWS: Final = 3_000 if PLAIN_PYTHON else 1_000_000
LAST: Final = 300  # rows of the last session
NEAR: Final = 1_200  # rows that a node takes which starts close by
OUTLIER: Final = 1e300


OVER_SESSIONS = {"vpin"}  # its open bucket is kept over sessions, so that every row before counts


def table_of(example: Example, random: np.random.Generator) -> pa.RecordBatch:
    """The rows of an example again and again; floats differ a little, and the first is an outlier."""
    arrays: dict[str, pa.Array] = {}
    for name, cells in example.rows.items():
        again = np.resize(np.arange(len(cells)), ROWS)
        nulls = np.array([cell is None for cell in cells])[again]
        values = np.array([0 if cell is None else cell for cell in cells])[again]
        if values.dtype == np.float64 or name in ("x", "y"):
            values = values * (1 + 1e-3 * random.standard_normal(ROWS))
            values[0], nulls[0] = OUTLIER, False
        arrays[name] = pa.array(values, mask=nulls)
    return pa.record_batch(arrays)


class Rows:
    """Two symbols in turn, three rows at a time, some rows without a symbol, and sessions of many rows."""

    def __init__(self, rows: pa.RecordBatch, random: np.random.Generator) -> None:
        count = np.arange(ROWS)
        self.rows = rows
        self.group = np.where(random.random(ROWS) < 0.01, -1, random.integers(0, 2, ROWS)).astype(np.int32)
        self.time_ns = count // 3 * 100_000_000
        breaks = [*range(0, ROWS - LAST, max(ROWS // 9, 1)), (ROWS - LAST) // 3 * 3]
        self.session = np.searchsorted(breaks, count // 3 * 3, side="right") - 1

    def take(self, node: FormulaNode, lower: int, upper: int) -> pa.Array:
        keys = RowKeys(
            self.group[lower:upper], self.time_ns[lower:upper], self.session[lower:upper].astype(np.int64)
        )
        out = node.take((Sealed(self.rows.slice(lower, upper - lower), 0, keys=keys),)).rows
        assert out is not None
        return out["result"]


def new_node(features: Features) -> FormulaNode:
    groups = Groups()
    groups.codes(pa.array([b"A", b"B"], pa.binary()), np.arange(2, dtype=np.int32))
    return FormulaNode("long", features, groups)


def bits(parts: Sequence[pa.Array]) -> list[Any]:
    """Which rows are null, and the bits of the others."""
    values = pa.concat_arrays(parts)
    data = values.fill_null(False) if pa.types.is_boolean(values.type) else values.fill_null(0)
    return [
        values.is_null().to_numpy(zero_copy_only=False).tobytes(),
        data.to_numpy(zero_copy_only=False).tobytes(),
    ]


@pytest.mark.parametrize("name", LOOKING_BACK)
def test_a_million_rows_behind_an_outlier_are_the_same_in_parts_and_from_close_by(name: str) -> None:
    random = np.random.default_rng(1)
    example = FUNCTIONS[name].example
    table = table_of(example, random)
    features, errors = read_features(
        "long", root_source("aligned", table.schema), {"result": example.formula}
    )
    assert features is not None, errors
    rows = Rows(table, random)
    whole = rows.take(new_node(features), 0, ROWS)
    cuts = [0, *np.sort(random.integers(0, ROWS, 9)).tolist(), ROWS]
    node, parts, entries = new_node(features), [], dict[bytes, bytes]()
    for number, (lower, upper) in enumerate(pairwise(cuts)):
        if number == 5:
            snapshot = node.snapshot()
            entries.update(snapshot.puts)
            node = new_node(features)
            node.restore(entries.items())
        parts += [rows.take(node, lower, upper)] if upper > lower else []
    assert bits(parts) == bits([whole])
    first = ROWS - LAST  # what hangs on the session alone sees no row before it
    reach = features.reaches["result"]
    assert reach.rows < NEAR // 4
    assert reach == Reach(reach.rows, 0) or reach.ns <= 100_000_000 * NEAR // 12
    if name not in OVER_SESSIONS:
        near = rows.take(new_node(features), ROWS - NEAR, ROWS)
        assert bits([near[NEAR - LAST :]]) == bits([whole[first:]])
    assert whole[first:].null_count < LAST
