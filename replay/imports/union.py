"""The columns of a day that several files have rows of."""

from itertools import combinations

import pyarrow as pa

from replay.errors import SourceError
from replay.imports.common_types import common_type, is_list_of_nothing
from replay.imports.source_file import SourceFile


def union_schema(what: str, files: list[SourceFile], others: list[SourceFile]) -> pa.Schema:
    """The columns of all these files, in the order they appear; one that some file lacks can be null.

    A column without any value has the type that `others` give it, or is text.  Raises SourceError, which
    calls the rows `what`, where two files cannot agree.
    """
    kinds: dict[str, list[tuple[pa.DataType, SourceFile]]] = {}
    for file in files:
        for column in file.schema:
            kinds.setdefault(column.name, []).append((column.type, file))
    everywhere = set.intersection(*({c.name for c in file.schema if not c.nullable} for file in files))
    fields = []
    for name, seen in kinds.items():
        kind = common_type([kind for kind, _ in seen])
        if kind is None:
            (one, first), (other, second) = _first_two_apart(seen)
            raise SourceError(
                f"column {name!r} is {one} in {first.path} and {other} in {second.path}, and both have "
                f"{what}: give them one type, or leave it "
                f"out with --drop {name!r}"
            )
        if pa.types.is_null(kind) or is_list_of_nothing(kind):
            kind = _elsewhere(name, kind, others)
        metadata = seen[0][1].schema.field(name).metadata  # a clock's source, by the first file
        fields.append(pa.field(name, kind, nullable=name not in everywhere, metadata=metadata))
    return pa.schema(fields)


def _first_two_apart(seen: list[tuple[pa.DataType, SourceFile]]) -> list[tuple[pa.DataType, SourceFile]]:
    """The first two that have no common type, or the first and the last where only all together have none."""
    pairs = combinations(seen, 2)
    apart = next((list(pair) for pair in pairs if common_type([kind for kind, _ in pair]) is None), None)
    return apart or [seen[0], seen[-1]]


def _elsewhere(name: str, here: pa.DataType, files: list[SourceFile]) -> pa.DataType:
    """The type that these files give a column, text where none has a value in it, or they differ."""
    kinds = [file.schema.field(name).type for file in files if name in file.schema.names]
    kind = common_type([here, *kinds]) or here
    if is_list_of_nothing(kind):
        return pa.list_(pa.string())
    return pa.string() if pa.types.is_null(kind) else kind
