"""What the parts of an operator hand one another: sealed rows, what waits, and entries to be kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa

ALIGNED: Final = "aligned"  # the output of the join of `[pipeline]`

Entries: TypeAlias = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What to write down: entries to put, keys to delete.  Keys and values are opaque to the store."""

    puts: Sequence[tuple[bytes, bytes]]
    deletes: Sequence[bytes]


class Sealed(NamedTuple):
    """Rows that are final, and how far the output is complete with them.

    `rows`          in order, each once over all calls; None for no row.
    `complete_ns`   every row of this output below it is in these rows or came before.
    `assumed_rows`  how many of the rows, the last ones, are final only because an idle input was left out.
    `matched_rows`  of a join: by right stream, how many of the rows have a match.
    """

    rows: pa.RecordBatch | None
    complete_ns: int
    assumed_rows: int = 0
    matched_rows: Mapping[str, int] = MappingProxyType({})


class Held(NamedTuple):
    """What waits of one input: rows, and their size in bytes."""

    rows: int
    size: int
