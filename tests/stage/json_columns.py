"""JSON messages read into columns, and what became of them."""

from typing import Any

import numpy as np
import pyarrow as pa

from tests.stage.blocks import block_of
from topics.json.decode import JsonValues
from topics.values import FieldPath, Values


def one(kind: pa.DataType, *path: str, token: bool = False) -> list[FieldPath]:
    return [FieldPath(pa.field("value", kind), path or ("v",), token)]


def read(fields: list[FieldPath], *messages: bytes | None, **settings: Any) -> Values:
    block = block_of([(b"K", message, offset) for offset, message in enumerate(messages)])
    return JsonValues(fields, **settings).read(block, np.arange(len(messages)))


def rows(values: Values) -> list[dict[str, Any]]:
    return [] if values.columns is None else values.columns.to_pylist()


def value_of(kind: pa.DataType, written: str, *, token: bool = False) -> Any:
    """The value of a column of this type where a message has `written`."""
    values = read(one(kind, token=token), f'{{"v":{written}}}'.encode())
    assert values.dead == []
    return rows(values)[0]["value"]


def refusal_of(kind: pa.DataType, written: str, *, token: bool = False) -> str:
    """Why a message with `written` is dead; its neighbours live."""
    values = read(one(kind, token=token), b"{}", f'{{"v":{written}}}'.encode(), b"{}")
    assert values.rows_of.tolist() == [1, 0, 1]
    assert [(dead.message, dead.index) for dead in values.dead] == [(1, -1)]
    return values.dead[0].reason
