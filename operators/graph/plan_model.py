"""What a model learns: its columns and its label are those of rows that have both, and what that means."""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from operators.formula.features import Source
from operators.formula.meaning import column_meaning, digest
from operators.formula.suggest import suggest
from operators.graph.errors import NodeError
from operators.labels.outputs import ENDS
from operators.tiles.settings import ModelSettings

VERSION: Final = 1  # raised when models are fitted or used in another way
KNOWN: Final = "label_known_ns"  # when a label is known; rows of labels have it
assert KNOWN in ENDS, "labels say when they are known"


def wrong_model(
    node: str, model: ModelSettings, source: Source, learned: Source | None
) -> Iterator[NodeError]:
    """What is wrong with the columns of a model over rows whose columns are known.

    The rows with the label have its columns too, and each means there what it means here.
    """
    assert source.layout is not None, f"the columns of {source.name} are not known"
    for name in model.x:
        if name not in source.layout.names:
            why = f"{source.name} has no column {name}{suggest(name, source.layout.names)}"
            yield NodeError(node, None, why, setting="x")
        elif name in source.labels:
            why = f"{name} is a label: it looks ahead, and no model may read it"
            yield NodeError(node, None, why, setting="x")
        elif not _is_number(source.layout.field(name).type):
            kind = source.layout.field(name).type
            yield NodeError(node, None, f"{name} is {kind}: a model takes numbers and booleans", setting="x")
        elif learned is not None and learned.layout is not None:
            yield from _not_there(node, name, source, learned, learned.layout)
    if learned is None or learned.layout is None:  # which is reported where it is planned
        return
    if model.y_column not in learned.labels or KNOWN not in learned.layout.names:
        labels = sorted(learned.labels)
        why = f"{model.y} is no label: y is one of a node of labels, such as outcome.label"
        why += suggest(model.y_column, labels, listed="there are") if labels else ""
        yield NodeError(node, None, why, setting="y")
    elif not _is_number(learned.layout.field(model.y_column).type):
        kind = learned.layout.field(model.y_column).type
        yield NodeError(node, None, f"{model.y} is {kind}: a model learns numbers", setting="y")


def model_meaning(model: ModelSettings, learned: Source | None) -> str:
    """16 hex digits that are equal where the same is learned from the same label in the same way."""
    assert learned is not None
    assert learned.layout is not None
    label = _meaning_of(learned, model.y_column)
    fit = model.fit
    over = (fit.every, fit.over_sessions, fit.over_ns, fit.embargo_rows, fit.embargo_ns)
    return digest("model", VERSION, *model.x, label, *over)


def _not_there(
    node: str, name: str, source: Source, learned: Source, layout: pa.Schema
) -> Iterator[NodeError]:
    if name not in layout.names:
        why = f"{learned.name}, which has the label, has no column {name}: let it come behind {source.name}"
        yield NodeError(node, None, why, setting="x")
    elif _meaning_of(source, name) != _meaning_of(learned, name):
        why = f"{name} of {learned.name}, which has the label, is another column than that of {source.name}"
        yield NodeError(node, None, why, setting="x")


def _meaning_of(source: Source, name: str) -> str:
    assert source.layout is not None
    return source.meanings.get(name) or column_meaning(source.rows, source.layout.field(name))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
