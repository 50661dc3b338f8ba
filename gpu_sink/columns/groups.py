"""Groups of sequence windows: one number per row for the words of one column, or of several together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_sink.columns.layout import Columns
from gpu_sink.columns.words import NULL_CODE, Dictionary

Int64s = npt.NDArray[np.int64]


class Groups:
    """Numbers groups of rows: the codes of one column as they are, of several one by one as they appear.

    A row that is in no group has `NULL_CODE`, or of a single closed dictionary the code of its unknown words.
    """

    def __init__(self, dictionaries: Sequence[Dictionary]) -> None:
        """One dictionary for each column, in the order of `Windows.by`."""
        self._dictionaries = dictionaries
        self._pairs = [Pairs() for _ in dictionaries[1:]]

    @property
    def count(self) -> int:
        """How many groups have a number."""
        return self._pairs[-1].count if self._pairs else len(self._dictionaries[0].words)

    def numbers(self, columns: Columns, count: int) -> npt.NDArray[Any]:
        """The group of each of the first `count` rows, int32 or int64."""
        first, *others = self._dictionaries
        numbers: npt.NDArray[Any] = columns[first.column][:count]
        if not others:
            return numbers
        limit = len(first.words)
        for pairs, dictionary in zip(self._pairs, others, strict=True):
            codes = columns[dictionary.column][:count]
            numbers = pairs.numbers(numbers, limit, codes, len(dictionary.words))
            limit = pairs.count
        return numbers

    def to_json(self) -> list[list[int]]:
        """The groups as JSON takes them; none of a single column, whose codes they are."""
        return [pairs.to_json() for pairs in self._pairs]

    def from_json(self, packed: Sequence[Sequence[int]]) -> None:
        """Take up the groups of an earlier life; raises ValueError where they are not such."""
        for pairs, kept in zip(self._pairs, packed, strict=True):
            pairs.from_json(kept)


class Pairs:
    """Numbers pairs of numbers below 2**31; a pair keeps its number."""

    def __init__(self) -> None:
        # The pairs as one number each, ascending, and the number of each.  Both change at once, since a state
        # may be asked for in another thread.
        self._known: tuple[Int64s, Int64s] = (np.empty(0, np.int64), np.empty(0, np.int64))

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return len(self._known[0])

    def numbers(
        self, first: npt.NDArray[Any], first_limit: int, second: npt.NDArray[Any], second_limit: int
    ) -> Int64s:
        """The number of each pair, int64; `NULL_CODE` where one is not between 0 and its limit."""
        keys = (first.astype(np.int64) << 32) | second
        grouped = (first >= 0) & (first < first_limit) & (second >= 0) & (second < second_limit)
        known, numbers = self._known
        places = np.searchsorted(known, keys)
        new = grouped.copy()
        new[grouped] = self._lack(known, places[grouped], keys[grouped])
        if new.any():
            self._learn(np.unique(keys[new]))
            known, numbers = self._known
            places = np.searchsorted(known, keys)
        if not len(known):
            return np.full(len(keys), NULL_CODE, np.int64)
        return np.where(grouped, numbers.take(places, mode="clip"), NULL_CODE)

    def to_json(self) -> list[int]:
        """The pairs in the order of their numbers."""
        known, numbers = self._known
        pairs: list[int] = known[np.argsort(numbers)].tolist()
        return pairs

    def from_json(self, pairs: Sequence[int]) -> None:
        """Take up the pairs of an earlier life."""
        keys = np.array(pairs, np.int64).reshape(len(pairs))
        order = np.argsort(keys)
        self._known = (keys[order], order.astype(np.int64))

    def _lack(self, known: Int64s, places: Int64s, keys: Int64s) -> npt.NDArray[np.bool_]:
        if not len(known):
            return np.ones(len(keys), np.bool_)
        lack: npt.NDArray[np.bool_] = known.take(places, mode="clip") != keys
        return lack

    def _learn(self, new: Int64s) -> None:
        """Give the next numbers to these pairs."""
        known, numbers = self._known
        keys = np.concatenate([known, new])
        numbered = np.concatenate([numbers, np.arange(len(known), len(keys))])
        order = np.argsort(keys)
        self._known = (keys[order], numbered[order])
