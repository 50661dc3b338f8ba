"""Which symbol an instrument id stood for on which day, as a DBN file's header says it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa

from replay.imports.files import listed
from schemas.batch import Int64s

_DAYS_MAX: Final = 2**31 - 1
_ID_MAX: Final = 2**32 - 1
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class _Span:
    """The days from `lower` to `upper`, exclusive, on which an id stands for a symbol."""

    lower: int
    upper: int
    word: int


@dataclass(slots=True)
class SymbolMap:
    """Symbols by instrument id and day.  It counts rows of ids that have none.

    `keys` is int64, sorted: an id times 2^31, plus the day since 1970 on which a symbol of it begins.
    `upper` is the day on which that ends (int64), `words` its place in `symbols`.  No two overlap: where a
    file gives an id several symbols at a time, the first counts, and `doubtful` has the id with all of them.
    """

    keys: Int64s
    upper: Int64s
    words: Int64s
    symbols: pa.Array
    doubtful: dict[int, list[str]]
    missing: dict[int, int] = field(default_factory=dict)

    def texts(self, ids: Int64s, days: Int64s) -> pa.Array:
        """Return a symbol per row, or the id as text where it has none on that day (UTC, since 1970)."""
        days = np.clip(days, 0, _DAYS_MAX)
        wanted = ids * (_DAYS_MAX + 1) + days
        place = np.searchsorted(self.keys, wanted, side="right") - 1
        named = place >= 0
        if self.keys.size:
            named &= (self.keys[place] // (_DAYS_MAX + 1) == ids) & (days < self.upper[place])
        words = np.zeros(ids.size, dtype=np.int64)
        words[named] = self.words[place[named]]
        if named.all():
            return self.symbols.take(pa.array(words))
        bare, inverse, counts = np.unique(ids[~named], return_inverse=True, return_counts=True)
        for one, count in zip(bare.tolist(), counts.tolist(), strict=True):
            self.missing[one] = self.missing.get(one, 0) + count
        words[~named] = len(self.symbols) + inverse
        return pa.concat_arrays([self.symbols, pa.array(map(str, bare.tolist()), pa.string())]).take(
            pa.array(words)
        )

    @property
    def notes(self) -> list[str]:
        """What is doubtful about symbols, a line each."""
        lines = []
        if self.missing:
            rows = sum(self.missing.values())
            ids = listed(list(map(str, self.missing)))
            lines.append(f"instrument_id {ids} has no symbol on its day: in {rows:,} rows symbol is the id")
        if self.doubtful:
            one, names = next(iter(self.doubtful.items()))
            more = len(self.doubtful) - 1
            lines.append(
                f"instrument_id {one} has the symbols {listed(names)} at a time"
                + (f" (as have {more} more ids)" if more else "")
                + ": symbol is the one that the file names first"
            )
        return lines


def read_symbols(
    mappings: Mapping[str, Sequence[Mapping[str, Any]]], stype_in: str, stype_out: str
) -> SymbolMap:
    """Return what a header says: symbols, each with its intervals, `start_date` to `end_date` exclusive.

    Intervals hold ids, or, where `stype_in` is `instrument_id`, symbols of the id that names them.  Where
    neither type is `instrument_id`, no id has a symbol.
    """
    symbols: dict[str, int] = {}
    by_id: dict[int, list[_Span]] = {}
    for number, symbol, lower, upper in _entries(mappings, stype_in, stype_out):
        word = symbols.setdefault(symbol, len(symbols))
        by_id.setdefault(number, []).append(_Span(lower, upper, word))
    names = list(symbols)
    doubtful: dict[int, list[str]] = {}
    rows: list[tuple[int, int, int]] = []
    for number in sorted(by_id):
        spans, several = _apart(by_id[number])
        if several:
            doubtful[number] = [names[word] for word in dict.fromkeys(span.word for span in by_id[number])]
        rows += [(number * (_DAYS_MAX + 1) + span.lower, span.upper, span.word) for span in spans]
    table = np.array(rows, dtype=np.int64).reshape(len(rows), 3)
    keys, ends, words = (np.ascontiguousarray(table[:, place]) for place in range(3))
    return SymbolMap(keys, ends, words, pa.array(names, pa.string()), doubtful)


def _entries(
    mappings: Mapping[str, Sequence[Mapping[str, Any]]], stype_in: str, stype_out: str
) -> Iterator[tuple[int, str, int, int]]:
    """Yield an id, its symbol, and the days since 1970 on which that begins and ends."""
    if "instrument_id" not in (stype_in, stype_out):
        return
    for name, intervals in mappings.items():
        for interval in intervals:
            value = interval["symbol"]
            number, symbol = (name, value) if stype_in == "instrument_id" else (value, name)
            lower, upper = _day(interval["start_date"]), _day(interval["end_date"])
            # A symbol that stood for nothing in an interval has an empty text there.
            if symbol and number.isdecimal() and int(number) <= _ID_MAX and lower < upper:
                yield int(number), symbol, lower, upper


def _apart(spans: list[_Span]) -> tuple[list[_Span], bool]:
    """Return spans that do not overlap, in the order of days, and whether some day had several symbols.

    Of those, the first in `spans` counts.
    """
    ordered = sorted(spans, key=lambda span: span.lower)
    if all(one.upper <= other.lower for one, other in pairwise(ordered)):
        return ordered, False
    edges = sorted({edge for span in spans for edge in (span.lower, span.upper)})
    cut, doubtful = [], False
    for lower, upper in pairwise(edges):
        words = [span.word for span in spans if span.lower <= lower < span.upper]
        doubtful |= len(set(words)) > 1
        cut += [_Span(lower, upper, word) for word in words[:1]]
    return cut, doubtful


def _day(day: date) -> int:
    return min(max(day.toordinal() - _EPOCH, 0), _DAYS_MAX)
