"""The rows of all roots of a graph over a day, in one order of time: what experiments cut and replace."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from schemas.batch import Int64s

Key: TypeAlias = tuple[object, ...]

# Signed integers of the same width, by which floats are compared bit by bit.
_BITS = {pa.float16(): pa.int16(), pa.float32(): pa.int32(), pa.float64(): pa.int64()}


class RootRows(NamedTuple):
    """Rows of one root in order, and the columns that key them."""

    rows: pa.RecordBatch
    key: tuple[str, ...]


class DayRows:
    """Rows of roots, by name, each in order of the clock `on`.

    A place is one among the rows of all, in order of time; of rows of one time those of the first root come
    first.  `times_ns` is by place.  Behind the last row all are complete below `end_ns`, or behind that row
    where it is later.
    """

    def __init__(self, roots: Mapping[str, RootRows], on: str, end_ns: int = 0) -> None:
        self.roots, self.on, self.end_ns = roots, on, end_ns
        times = [np.asarray(one.rows.column(on).to_numpy(), np.int64) for one in roots.values()]
        joined = np.concatenate(times)
        order = np.argsort(joined, kind="stable")
        self.times_ns: Int64s = joined[order]
        number = np.repeat(np.arange(len(times)), [one.size for one in times])[order]
        self._before = {name: np.concatenate([[0], np.cumsum(number == at)]) for at, name in enumerate(roots)}

    @property
    def count(self) -> int:
        """How many rows there are of all roots."""
        return self.times_ns.size

    def before(self, place: int) -> dict[str, int]:
        """By root how many of its rows stand before a place."""
        return {name: int(counts[place]) for name, counts in self._before.items()}

    def part(self, lower: int, upper: int) -> dict[str, pa.RecordBatch]:
        """By root the rows from a place to before another one."""
        begins, ends = self.before(lower), self.before(upper)
        return {
            name: one.rows.slice(begins[name], ends[name] - begins[name]) for name, one in self.roots.items()
        }

    def complete_ns(self, place: int) -> int:
        """Below which time all rows stand before a place."""
        if place < self.count:
            return int(self.times_ns[place])
        return max(self.end_ns, int(self.times_ns[-1]) + 1) if self.count else self.end_ns

    def with_rows(self, rows: Mapping[str, pa.RecordBatch], end_ns: int | None = None) -> "DayRows":
        """The same roots with other rows, and where it is said another end."""
        roots = {name: one._replace(rows=rows[name]) for name, one in self.roots.items()}
        return DayRows(roots, self.on, self.end_ns if end_ns is None else end_ns)

    def by_symbol(self) -> "Iterator[DayRows]":
        """The rows of each key alone, in the order of keys; each is complete as far as all together."""
        end_ns = self.complete_ns(self.count)
        parts = {name: dict(_parts_by_key(one)) for name, one in self.roots.items()}
        keys = set[Key]().union(*parts.values())
        for key in sorted(keys, key=lambda key: [(value is None, value) for value in key]):
            yield self.with_rows(
                {name: parts[name].get(key, one.rows.slice(0, 0)) for name, one in self.roots.items()}, end_ns
            )


def by_key(rows: pa.RecordBatch, key: Sequence[str]) -> pa.RecordBatch:
    """The rows of each key together, in their order."""
    if not key:
        return rows
    return rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in key]))


def key_edges(rows: pa.RecordBatch, key: Sequence[str]) -> list[int]:
    """Where each key begins in rows that stand key by key, and their end behind the last."""
    apart = np.zeros(max(rows.num_rows - 1, 0), np.bool_)
    for name in key:
        column = rows.column(name)
        apart |= differs(column.slice(0, rows.num_rows - 1), column.slice(1))
    return [0, *(np.flatnonzero(apart) + 1).tolist(), rows.num_rows]


def first_apart(one: pa.Array, other: pa.Array) -> int | None:
    """The first value that is not the same bits in both, or None."""
    if one.equals(other) and one.type not in _BITS:
        return None
    apart = differs(one, other)
    return int(apart.argmax()) if apart.any() else None


def differs(one: pa.Array, other: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values are not the same bits; a null is a value like any other."""
    bits = _BITS.get(one.type)
    if bits is not None:
        one, other = one.view(bits), other.view(bits)
    if pa.types.is_nested(one.type):
        pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
        return np.array([repr(a) != repr(b) for a, b in pairs], np.bool_)  # NaN equals itself there
    unequal = pc.fill_null(pc.not_equal(one, other), False)
    unequal = pc.or_(unequal, pc.xor(one.is_valid(), other.is_valid()))
    return np.asarray(unequal.to_numpy(zero_copy_only=False), np.bool_)


def _parts_by_key(root: RootRows) -> Iterator[tuple[Key, pa.RecordBatch]]:
    rows = by_key(root.rows, root.key)
    edges = key_edges(rows, root.key) if rows.num_rows else [0]
    for lower, upper in pairwise(edges):
        key = tuple(rows.column(name)[lower].as_py() for name in root.key)
        yield key, rows.slice(lower, upper - lower)
