"""What a decoder has handed out, as a test looks at it."""

from typing import Any

from topics.wire import Decoded


def values_of(decoded: Decoded, name: str) -> list[Any]:
    """The values of a column of rows, of which none is dead."""
    assert decoded.dead == []
    assert decoded.batch is not None
    decoded.batch.columns.validate(full=True)
    values: list[Any] = decoded.batch.columns.column(name).to_pylist()
    return values
