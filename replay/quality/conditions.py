"""What the conditions of a trade let it count for: prices, the last price, volume (formulas.md D9 and D12).

A table says it for each code of each tape; of several codes all must allow.  A code that no table has allows
nothing, and is counted.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError
from replay.order import as_array
from schemas.batch import Bools, Int64s

Last: TypeAlias = Literal["yes", "no", "first"]
OddLots: TypeAlias = Literal["all", "volume"]

PRICE_OK: Final = "price_ok"  # may be the highest or the lowest price
LAST_OK: Final = "last_ok"  # may be the last price
VOLUME_OK: Final = "volume_ok"
AUCTION: Final = "auction"  # print of an opening, closing or reopening auction
EXTENDED: Final = "extended"  # outside regular hours
CONDITIONS: Final = (PRICE_OK, LAST_OK, VOLUME_OK, AUCTION, EXTENDED)

_SPLIT: Final = re.compile(r"[\s,;]+")
_BETWEEN: Final = "\x1f"  # tape and conditions, as one text
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}


class Meaning(NamedTuple):
    """What one code allows, and what it says; `last` of "first" counts as the day's first price alone."""

    price: bool
    last: Last
    volume: bool
    auction: bool = False
    extended: bool = False


ALL_OK: Final = Meaning(price=True, last="yes", volume=True)
_VOLUME_ALONE: Final = Meaning(price=False, last="no", volume=True)
_FIRST: Final = Meaning(price=True, last="first", volume=True)
_OFFICIAL: Final = Meaning(price=False, last="no", volume=False)

ConditionTable: TypeAlias = Mapping[tuple[str, str], Meaning]  # by tape and code; tape "" stands for any


def us_conditions(odd_lots: OddLots = "all") -> ConditionTable:
    """The codes of the US consolidated tapes: A and B are CTA's, C is UTP's.

    With `odd_lots` of "volume" an odd lot counts for volume alone, as in official bars; with "all" its price
    counts too.  `B` is an average price of CTA's and a bunched trade of UTP's: without a tape the former.
    """
    table = {("", code): ALL_OK for code in "@ADEFKOX156SYL"}
    table |= {("", code): _FIRST for code in "GPRZ4"}
    table |= {("", code): _VOLUME_ALONE for code in "BCHNTUVW"}
    table |= {("", code): _OFFICIAL for code in "MQ9"}
    table["", "I"] = ALL_OK if odd_lots == "all" else _VOLUME_ALONE
    table["C", "B"] = ALL_OK
    table |= {("", code): ALL_OK._replace(auction=True) for code in "O56"}
    table |= {("", code): _VOLUME_ALONE._replace(extended=True) for code in "TU"}
    return table


def read_conditions(path: Path) -> ConditionTable:
    """Read a table: CSV with the columns tape, code, price, last, volume, auction, extended.

    `last` is yes, no or first, the columns behind it and `price` are true or false; a row without tape holds
    for every tape.  Raises HistoryError, with the line, for anything else.
    """
    names = ["tape", "code", *Meaning._fields]
    table: dict[tuple[str, str], Meaning] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file)
            if sorted(lines.fieldnames or ()) != sorted(names):
                raise HistoryError(f"{path}: its first line must name {', '.join(names)}")
            for line in lines:
                place = (line["tape"].strip(), line["code"].strip())
                where = f"{path}, line {lines.line_num}"
                if not place[1] or place in table:
                    raise HistoryError(f"{where}: a code must be there, and once for each tape")
                table[place] = _meaning(line, where)
    except (OSError, UnicodeDecodeError, csv.Error) as broken:
        raise HistoryError(f"{path} is no table of conditions: {broken}") from None
    return table


class Conditions:
    """Judges the conditions of trades in their order; remembers which symbols have had a last price."""

    def __init__(self, table: ConditionTable) -> None:
        self._table = table
        self._known: dict[str, tuple[Meaning, bool]] = {}
        self._had_last = np.empty(0, np.bool_)
        self.unknown = 0  # rows with a code that the table lacks

    def take(self, rows: pa.RecordBatch, groups: Int64s, column: str, tape: str | None) -> dict[str, Bools]:
        """Return what each of the next rows may count for, by the names in `CONDITIONS`.

        `groups` numbers their symbols, `column` has their codes, `tape` is the column of their tapes.
        """
        allowed, first = self._allowed(rows, column, tape)
        whole = allowed[LAST_OK]
        missing = int(groups.max(initial=-1)) + 1 - self._had_last.size
        self._had_last = np.append(self._had_last, np.zeros(max(missing, 0), np.bool_))
        some = np.flatnonzero(whole | first)
        of, place = np.unique(groups[some], return_index=True)
        fresh = some[place[~self._had_last[of]]]  # the first of its symbol that may be a last price
        last_ok = whole.copy()
        last_ok[fresh] = True
        self._had_last[of] = True
        return allowed | {LAST_OK: last_ok}

    def alone(self, rows: pa.RecordBatch, column: str, tape: str | None) -> dict[str, Bools]:
        """Return what each row may count for by itself; one that counts as the day's first may be no last."""
        return self._allowed(rows, column, tape)[0]

    def _allowed(self, rows: pa.RecordBatch, column: str, tape: str | None) -> tuple[dict[str, Bools], Bools]:
        """What each row may count for by itself, and which may be a last price only as the day's first."""
        texts = [_text(rows.column(name)) for name in (tape, column) if name is not None]
        joined = texts[0] if tape is None else pc.binary_join_element_wise(*texts, _BETWEEN)
        coded = joined.dictionary_encode()
        codes = as_array(coded.indices).astype(np.int64)
        judged = [self._judged(text, taped=tape is not None) for text in coded.dictionary.to_pylist()]
        self.unknown += int(np.count_nonzero(_column([unknown for _, unknown in judged], codes)))
        meanings = [meaning for meaning, _ in judged]
        allowed = {
            PRICE_OK: _column([meaning.price for meaning in meanings], codes),
            LAST_OK: _column([meaning.last == "yes" for meaning in meanings], codes),
            VOLUME_OK: _column([meaning.volume for meaning in meanings], codes),
            AUCTION: _column([meaning.auction for meaning in meanings], codes),
            EXTENDED: _column([meaning.extended for meaning in meanings], codes),
        }
        return allowed, _column([meaning.last == "first" for meaning in meanings], codes)

    def _judged(self, text: str, *, taped: bool) -> tuple[Meaning, bool]:
        """What conditions allow together, and whether one is unknown."""
        if text not in self._known:
            tape, _, codes = text.partition(_BETWEEN) if taped else ("", "", text)
            self._known[text] = self._all(tape.strip(), codes)
        return self._known[text]

    def _all(self, tape: str, text: str) -> tuple[Meaning, bool]:
        meanings = [self._meaning(tape, code) for code in self._codes(tape, text)]
        there = [ALL_OK, *(meaning for meaning in meanings if meaning is not None)]
        unknown = None in meanings
        lasts = {meaning.last for meaning in there}
        last: Last = "no" if unknown or "no" in lasts else "first" if "first" in lasts else "yes"
        together = Meaning(
            price=not unknown and all(meaning.price for meaning in there),
            last=last,
            volume=not unknown and all(meaning.volume for meaning in there),
            auction=any(meaning.auction for meaning in there),
            extended=any(meaning.extended for meaning in there),
        )
        return together, unknown

    def _codes(self, tape: str, text: str) -> Iterator[str]:
        """The codes in a text: words that the table has, else characters."""
        for word in _SPLIT.split(text):
            yield from (word,) if self._meaning(tape, word) is not None else word

    def _meaning(self, tape: str, code: str) -> Meaning | None:
        return self._table.get((tape, code)) or self._table.get(("", code))


def require_conditions(schema: pa.Schema, stream: str, column: str, tape: str | None) -> None:
    """Raise HistoryError unless a stream has these columns, of text or whole numbers."""
    for name in (column, *(() if tape is None else (tape,))):
        if name not in schema.names:
            raise HistoryError(
                f"{stream} has no column {name}, which --conditions names; it has {', '.join(schema.names)}"
            )
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
            raise HistoryError(f"{stream}: column {name} is {kind}, and --conditions needs text")


def _text(column: pa.Array) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), "")


def _column(words: list[bool], codes: Int64s) -> Bools:
    """Each row's word, by its code."""
    return np.array(words, np.bool_)[codes]


def _meaning(line: Mapping[str, str], where: str) -> Meaning:
    words = {name: line[name].strip().lower() for name in Meaning._fields}
    last = words.pop("last")
    wrong = [name for name, word in words.items() if word not in _WORDS]
    if wrong or last not in ("yes", "no", "first"):
        raise HistoryError(
            f"{where}: {', '.join(wrong) or 'last'} must be "
            + ("true or false" if wrong else "yes, no or first")
        )
    flags = {name: _WORDS[word] for name, word in words.items()}
    of_last: Last = "yes" if last == "yes" else "no" if last == "no" else "first"
    return Meaning(last=of_last, **flags)
