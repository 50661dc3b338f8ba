"""What arrived of one input: rows and progress records, as they were decoded from one share of a poll."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from schemas.batch import Batch


class ProgressRecord(NamedTuple):
    """No further row below `upper_ns` (upper-exclusive) is expected.

    `final` ends a period.  `offset` is where the log has the record; None where a caller says so itself.
    """

    upper_ns: int
    final: bool = False
    offset: int | None = None


class Arrived(NamedTuple):
    """Rows in the order of the log, None for no row, and the progress records among them, by offset.

    A plain record batch has no offsets: its rows are counted.
    """

    batch: Batch | pa.RecordBatch | None = None
    progress: Sequence[ProgressRecord] = ()
