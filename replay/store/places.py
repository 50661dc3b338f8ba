"""Where a row of a table belongs: its day, its bucket, and its place among the others.

A bucket is chosen as Kafka's clients choose a partition, among a multiple of the topic's partitions; so all
rows of a bucket come from one partition, and a key's rows lie in one bucket of each day.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError
from replay.keys import NO_KEY, key_codes
from replay.order import Rows, as_int64s, order_times
from replay.zones import local_days
from schemas.batch import Int32s, Int64s
from schemas.clocks import Clock
from topics.placement import home_partitions

PARTITION: Final = "_partition"  # of the topic that a row was captured from; 0 where it was imported
OFFSET: Final = "_offset"  # of its message; the row's number in its day where it was imported
INDEX: Final = "_index"  # in its message; 0 where it was imported
PLACES: Final = (PARTITION, OFFSET, INDEX)
PLACE_SCHEMA: Final = pa.schema([(name, pa.int64()) for name in PLACES])

DATE: Final = "date"
BUCKET: Final = "bucket"
BUCKETS: Final = 16
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRules:
    """What decides where a table's rows lie; fixed when it is made, but for `buckets`.

    `key` names the columns of the message key and `sequence` the one that orders equal times, or None.
    `order` is the clock that days, files and replays are ordered by, `zone` whose calendar a day is of.
    """

    stream: str
    key: tuple[str, ...]
    sequence: str | None
    order: Clock
    zone: str
    buckets: int = BUCKETS

    def __post_init__(self) -> None:
        if self.buckets < 1:
            raise HistoryError(f"a table needs one bucket at least: buckets is {self.buckets}")

    def to_dict(self) -> dict[str, Any]:
        """The rules as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "TableRules":
        """Read them back."""
        return cls(**{**fields, "key": tuple(fields["key"])})


def require_free(stream: str, schema: pa.Schema) -> None:
    """Raise HistoryError where a column has a name that says where rows lie, or that of another column.

    For Delta and SQL names are one that differ in case alone.
    """
    first = {name: name for name in (DATE, BUCKET, *PLACES)}
    alike = [
        (name, other) for name in schema.names if (other := first.setdefault(name.lower(), name)) != name
    ]
    if alike:
        raise HistoryError(
            f"{stream} has a column {alike[0][0]}, which for a table is {alike[0][1]} but for its case: "
            "rename it"
        )
    taken = sorted({DATE, BUCKET, *PLACES} & set(schema.names))
    if taken:
        raise HistoryError(
            f"{stream} has a column {', '.join(taken)}, a name that its table needs for itself: rename it"
        )


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows that belong into one day and bucket, in the order of the store."""

    date: str
    bucket: int
    rows: pa.RecordBatch


def buckets_of(rows: pa.RecordBatch, rules: TableRules) -> Int32s:
    """Return the bucket of each row, int32; raises HistoryError where a row has no key."""
    codes, keys = key_codes(rows, rules.key)
    if (codes == NO_KEY).any():
        raise HistoryError(f"a row of {rules.stream} has no {', '.join(rules.key)}: it belongs to no bucket")
    return home_partitions(pa.array(keys, pa.binary()), rules.buckets)[codes]


def keys_buckets(keys: Iterable[bytes], buckets: int) -> list[int]:
    """Return the buckets that some message keys have, each once, in order."""
    homes = home_partitions(pa.array(sorted(keys), pa.binary()), buckets)
    return [int(home) for home in np.unique(homes)]


def portions(rows: pa.RecordBatch, rules: TableRules) -> Iterator[Portion]:
    """Part rows by day and bucket, each part in the order of the store; every row has a time and a key."""
    if rows.num_rows == 0:
        return
    times_ns = order_times(rows, rules.order)
    days = local_days(times_ns, rules.zone)
    buckets = buckets_of(rows, rules)
    group = days.astype(np.int64) * rules.buckets + buckets
    order = store_order(rows, rules, times_ns)
    order = order[np.argsort(_narrow(group)[order], kind="stable")]
    group = group[order]
    cuts = np.append(np.flatnonzero(np.diff(group, prepend=group[0] - 1)), rows.num_rows)
    ordered = pc.take(rows, pa.array(order), boundscheck=False)
    for lower, upper in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        first = order[lower]
        day = (_EPOCH + timedelta(days=int(days[first]))).isoformat()
        yield Portion(day, int(buckets[first]), ordered.slice(lower, upper - lower))


def _narrow(numbers: Int64s) -> npt.NDArray[np.integer]:
    """Numbers in the same order, of 16 bits where they lie so close: numpy sorts those by their digits."""
    numbers = numbers - numbers.min()
    return numbers.astype(np.uint16) if numbers.max() <= np.iinfo(np.uint16).max else numbers


def order_columns(rules: TableRules) -> list[str]:
    """The columns that order rows of equal time."""
    return [*([] if rules.sequence is None else [rules.sequence]), *PLACES]


def store_order(rows: Rows, rules: TableRules, times_ns: Int64s | None = None) -> Int64s:
    """Return the rows' numbers in the order of the store: order clock, sequence, partition, offset, index.

    Runs that are sorted already cost little, and only rows of equal time are compared by more than that.
    `times_ns` are the rows' times by the order clock, where they are known.
    """
    if times_ns is None:
        times_ns = order_times(rows, rules.order)
    order = np.argsort(times_ns, kind="stable")
    times_ns = times_ns[order]
    equal = times_ns[1:] == times_ns[:-1]
    if not equal.any():
        return order
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    keys = [pc.fill_null(rows.column(name), 0) for name in order_columns(rules)]  # a sequence may be null
    own = order[tied]
    values = [times_ns[tied], *(as_int64s(key)[own] for key in keys)]
    order[tied] = own[np.lexsort(values[::-1])]
    return order


def with_places(rows: pa.RecordBatch, offset: Int64s, index: Int32s, partition: int = 0) -> pa.RecordBatch:
    """Return rows with the columns that say where each stood."""
    columns = [np.full(rows.num_rows, partition, np.int64), offset, index.astype(np.int64)]
    schema = rows.schema
    for field in PLACE_SCHEMA:
        schema = schema.append(field)
    return pa.RecordBatch.from_arrays([*rows.columns, *map(pa.array, columns)], schema=schema)
