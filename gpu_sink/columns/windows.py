"""Sequence windows: each row with the rows of its symbol that were sealed before it, and never one after."""

import base64
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gpu_sink.columns.columns import VALID, ColumnPlan
from gpu_sink.columns.groups import Groups
from gpu_sink.columns.layout import Columns, Field
from gpu_sink.columns.words import NULL_CODE, Dictionary
from gpu_sink.errors import OptionError
from gpu_sink.options import WINDOWS, Windows

Int64s = npt.NDArray[np.int64]
COMPRESSION: Final = 1  # zlib's fastest: states are taken while training waits


def window_fields(windows: Windows) -> list[Field]:
    """The two columns that windows add to a batch."""
    shape = (windows.steps, len(windows.columns))
    return [
        Field(WINDOWS, np.dtype(windows.dtype), shape),
        Field(WINDOWS + VALID, np.dtype(np.bool_), (windows.steps,)),
    ]


def require_features(windows: Windows, plans: Sequence[ColumnPlan]) -> None:
    """Raise OptionError where the windows' columns are not read, or are none that windows hold."""
    kinds = {plan.name: plan.kind for plan in plans}
    labels = {plan.name for plan in plans if plan.label}
    for name in windows.keys:
        if kinds.get(name) not in ("text", "codes"):
            raise OptionError(f"windows are made by {name}, which is not a text column")
    for name in windows.columns:
        if kinds.get(name) not in ("numbers", "bits", "cast"):
            raise OptionError(f"windows of {name}, which is not a column of numbers")
        if name in labels:
            raise OptionError(f"windows of {name}, which is a label: it is made of later rows, no input")


class Tails:
    """The last steps of each symbol that some rows leave behind; memory that goes round."""

    def __init__(self) -> None:
        self.codes: Int64s = np.empty(0, np.int64)
        self.lengths: Int64s = np.empty(0, np.int64)
        self.rows: npt.NDArray[Any] = np.empty((0, 0, 0))
        self._memory: npt.NDArray[Any] = np.empty((0, 0, 0))

    def reserve(self, groups: int, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Memory for so many symbols, shaped as `like` but for their number."""
        if len(self._memory) < groups or self._memory.shape[1:] != like.shape[1:]:
            self._memory = np.empty((2 * groups, *like.shape[1:]), like.dtype)
        self.rows = self._memory[:groups]
        return self.rows


class History:
    """Per group its last rows, [groups, steps - 1, features]: right-aligned, zeros before them."""

    def __init__(self, windows: Windows) -> None:
        self.rows = np.zeros((0, windows.steps - 1, len(windows.columns)), windows.dtype)
        self.lengths: Int64s = np.zeros(0, np.int64)

    def reserve(self, codes: int) -> None:
        """Have a place for every code below `codes`."""
        if codes > len(self.lengths):
            size = max(codes, 2 * len(self.lengths), 64)
            rows, lengths = self.rows, self.lengths
            self.rows = np.zeros((size, *rows.shape[1:]), rows.dtype)
            self.lengths = np.zeros(size, np.int64)
            self.rows[: len(rows)], self.lengths[: len(lengths)] = rows, lengths

    def apply(self, tails: Tails) -> None:
        """Take up what rows have left behind."""
        if len(tails.codes):
            self.reserve(int(tails.codes.max()) + 1)
            self.rows[tails.codes] = tails.rows
            self.lengths[tails.codes] = tails.lengths

    def take_up(self, other: "History") -> None:
        """Hold what another history holds."""
        self.reserve(len(other.lengths))
        self.rows[: len(other.rows)] = other.rows
        self.lengths[: len(other.lengths)] = other.lengths

    def to_json(self) -> dict[str, Any]:
        """The history as JSON takes it: compressed, in base64."""
        codes = int(np.max(np.flatnonzero(self.lengths), initial=-1)) + 1
        return {"codes": codes, "lengths": _packed(self.lengths[:codes]), "rows": _packed(self.rows[:codes])}

    def from_json(self, packed: dict[str, Any]) -> None:
        """Take up the history of an earlier life; raises ValueError where it is not one."""
        codes = int(packed["codes"])
        self.reserve(codes)
        self.lengths[:codes] = _unpacked(packed["lengths"], self.lengths[:codes])
        self.rows[:codes] = _unpacked(packed["rows"], self.rows[:codes])


class WindowMaker:
    """Makes windows for some rows at a time: `begin` with rows in sealed order, `write` any of them, `end`.

    The rows are laid out symbol by symbol, each symbol's behind its history, so that a window is `steps`
    neighbours and all windows are one gather.
    """

    def __init__(
        self,
        windows: Windows,
        plans: Sequence[ColumnPlan],
        dictionaries: Mapping[str, Dictionary],
        rows_max: int,
    ) -> None:
        self.history = History(windows)
        self.groups = Groups([dictionaries[name] for name in windows.keys])
        self._features = [next(plan for plan in plans if plan.name == name) for name in windows.columns]
        self._steps = windows.steps
        self._keys: Int64s = np.empty(rows_max, np.int64)
        self._places: Int64s = np.empty(rows_max, np.int64)
        self._known: Int64s = np.empty(rows_max, np.int64)
        self._alone = np.empty(rows_max, np.bool_)
        self._laid = np.zeros((0, len(windows.columns)), windows.dtype)
        self._index: Int64s = np.empty((0, windows.steps), np.int64)
        self._starts: Int64s = np.empty(0, np.int64)
        self._sizes: Int64s = np.empty(0, np.int64)
        self._codes: Int64s = np.empty(0, np.int64)
        self._free: deque[Tails] = deque()

    def begin(self, columns: Columns, count: int) -> None:
        """Lay out `count` rows, which come next in sealed order."""
        before = self._steps - 1
        row = np.arange(count)
        keys = self._keys[:count]
        np.multiply(self.groups.numbers(columns, count), count, out=keys, casting="same_kind", dtype=np.int64)
        keys += row
        keys.sort()  # by code, then in sealed order; no two are equal
        order, code = keys % count, keys // count
        is_first = np.empty(count, np.bool_)
        is_first[0] = True
        np.not_equal(code[1:], code[:-1], out=is_first[1:])
        self._starts = np.flatnonzero(is_first)
        self._sizes = np.diff(self._starts, append=count)
        self._codes = code[self._starts]
        group = np.cumsum(is_first) - 1
        places = row + (group + 1) * before
        self._places[order] = places
        self._lay(columns, order, places, count + len(self._starts) * before)
        lengths = np.where(self._kept(), self.history.lengths[self._codes], 0)
        self._known[order] = np.minimum(row - self._starts[group] + lengths[group], before)
        np.logical_not(self._kept()[group], out=is_first)
        self._alone[order] = is_first

    def write(self, rows: Int64s, columns: Columns) -> None:
        """Write the windows of these rows, numbered as they were given to `begin`."""
        count, before = len(rows), self._steps - 1
        if len(self._index) < count:
            self._index = np.empty((count, self._steps), np.int64)
        index = self._index[:count]
        np.add(self._places[rows, None], np.arange(-before, 1), out=index)
        windows, valid = columns[WINDOWS][:count], columns[WINDOWS + VALID][:count]
        np.take(self._laid, index, axis=0, out=windows, mode="clip")
        np.less_equal(np.arange(before, -1, -1), self._known[rows, None], out=valid)
        alone = self._alone[rows]
        if alone.any():
            windows[alone, :before] = 0
            valid[alone, :before] = False

    def end(self) -> Tails:
        """Make the rows part of the history; return what they leave behind, to be given back with `reuse`."""
        before, kept = self._steps - 1, self._kept()
        tails = self._free.popleft() if self._free else Tails()
        numbers = np.flatnonzero(kept)
        tails.codes = self._codes[kept]
        lengths = self.history.lengths[tails.codes] + self._sizes[kept]
        tails.lengths = np.minimum(lengths, before)
        ends = self._starts[kept] + self._sizes[kept] + (numbers + 1) * before
        if before:
            index = ends[:, None] + np.arange(-before, 0)
            np.take(
                self._laid, index, axis=0, out=tails.reserve(len(numbers), self.history.rows), mode="clip"
            )
            self.history.apply(tails)
        else:
            tails.codes = tails.codes[:0]
        return tails

    def reuse(self, tails: Tails) -> None:
        """Give tails back whose rows were handed over."""
        self._free.append(tails)

    def _kept(self) -> npt.NDArray[np.bool_]:
        """Which groups have a history: not null, nor words that a closed dictionary does not tell apart."""
        known: npt.NDArray[np.bool_] = (self._codes != NULL_CODE) & (self._codes < self.groups.count)
        return known

    def _lay(self, columns: Columns, order: Int64s, places: Int64s, size: int) -> None:
        before = self._steps - 1
        if len(self._laid) < size:
            self._laid = np.zeros((size, self._laid.shape[1]), self._laid.dtype)
        self.history.reserve(self.groups.count + 1)
        heads = self._starts + np.arange(len(self._starts)) * before
        self._laid[heads[:, None] + np.arange(before)] = self.history.rows[self._codes]
        for number, plan in enumerate(self._features):
            self._laid[places, number] = columns[plan.name][order]
            if plan.nullable and plan.dtype.kind != "f":
                missing = places[~columns[plan.name + VALID][order]]
                self._laid[missing, number] = np.nan


def _packed(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(zlib.compress(array.tobytes(), COMPRESSION)).decode()


def _unpacked(text: str, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), like.dtype).reshape(like.shape)
