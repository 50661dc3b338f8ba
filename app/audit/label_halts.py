"""Halts inside labels (D11), by the stretches of time in which each symbol was halted."""

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from app.audit.label_walk import NEVER, Outcome
from app.audit.made import HALTED_INSIDE, MadeRules
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS, KNOWN_NS


class Rows(NamedTuple):
    """The rows of a side that are certain, and up to when that is all of it."""

    frame: pl.DataFrame
    certain: int
    complete_ns: int


class _Symbol:
    """What was said of a symbol, in order: when its status changed, since when that was known, its halts."""

    def __init__(self) -> None:
        self.changes_ns: list[int] = []
        self.known_ns: list[int] = []
        self.begin_ns: list[int] = []  # of each halt
        self.end_ns: list[int] = []  # of each that has ended
        self._halted = False

    def say(self, halted: bool, time_ns: int, known_ns: int) -> None:
        """A status; a halt that ends in the nanosecond in which it began was none."""
        if halted == self._halted:
            return
        self._halted = halted
        self.changes_ns.append(time_ns)
        self.known_ns.append(known_ns)
        if not halted and self.begin_ns[-1] == time_ns:
            self.begin_ns.pop()
        elif not halted:
            self.end_ns.append(time_ns)
        elif self.end_ns[-1:] == [time_ns]:  # an end that lasted no time was none, either
            self.end_ns.pop()
        else:
            self.begin_ns.append(time_ns)

    def halted_in(self, first_ns: int, last_ns: int) -> bool:
        """Whether it was halted at any of these moments, both included."""
        begun = bisect.bisect_right(self.begin_ns, last_ns)
        return begun > bisect.bisect_right(self.end_ns, first_ns)

    def known_by(self, first_ns: int, last_ns: int) -> int:
        """When the changes between two moments, and the one that stood at the first, were known."""
        first = max(bisect.bisect_right(self.changes_ns, first_ns) - 1, 0)
        return max(self.known_ns[first : bisect.bisect_right(self.changes_ns, last_ns)], default=BEGINNING_NS)


def with_halts(rules: MadeRules, rows: Rows, found: Sequence[Outcome], statuses: Rows) -> list[Outcome]:
    """Labels with whether a halt is inside them; one that ends beyond the statuses is not decided."""
    symbols = _symbols(rules, statuses)
    keys = rows.frame.select(rules.key).rows()
    times = rows.frame[rules.on].cast(pl.Int64).to_list()
    answer = []
    for key, time_ns, one in zip(keys, times, found, strict=True):
        end_ns = one.values.get("label_end_ns")
        if end_ns is None:
            answer.append(one)
            continue
        if statuses.complete_ns <= end_ns:
            answer.append(Outcome(NEVER))
            continue
        symbol = symbols.get(tuple(map(str, key)), _Symbol())
        known_ns = max(one.values["label_known_ns"], symbol.known_by(time_ns, end_ns))
        halts = {HALTED_INSIDE: symbol.halted_in(time_ns, end_ns), "label_known_ns": known_ns}
        answer.append(one._replace(values={**one.values, **halts}))
    return answer


def _symbols(rules: MadeRules, statuses: Rows) -> dict[tuple[str, ...], _Symbol]:
    """By key what was said of symbols."""
    symbols: dict[tuple[str, ...], _Symbol] = {}
    frame = statuses.frame.head(statuses.certain)
    if not frame.height:
        return symbols
    assert rules.beside is not None, "halts are of statuses"
    assert rules.node.label is not None, f"{rules.node.name} makes no labels"
    said = frame[str(rules.node.label.values["halted"])].cast(pl.Boolean).to_list()
    time_ns = frame[rules.on].cast(pl.Int64).to_numpy()
    known_ns = known_of(frame, time_ns).tolist()
    for key, halted, *times in zip(
        frame.select(rules.beside.key).rows(), said, time_ns.tolist(), known_ns, strict=True
    ):
        if halted is not None and None not in key:
            symbols.setdefault(tuple(map(str, key)), _Symbol()).say(halted, *times)
    return symbols


def known_of(frame: pl.DataFrame, time_ns: Int64s) -> Int64s:
    """When each row could be known; one that does not say counts with its time."""
    if KNOWN_NS not in frame.columns:
        return time_ns
    known = frame[KNOWN_NS].cast(pl.Int64)
    return known.zip_with(known.is_not_null(), pl.Series(time_ns)).to_numpy()
