"""Rules of a stream's rows, judged by the row alone: the same row breaks the same rule whenever it is read.

They stand between decoder and operator, so a row that breaks one moves no watermark and matches nothing; the
other rows of its message go on.  The audit reads through the same rules.  One rule holds for every stream: a
time is a time, and not what NaT, a null of kdb or an infinity become as numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.settings.streams import RulesSettings
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS, END_NS
from schemas.stream import Stream, StreamError
from topics.block import MessageBlock
from topics.decoder import RowDecoder
from topics.wire import DeadRow, Decoded

TIME_RULE: Final = "time"

# Rows that break a rule, as (row, rule, reason); `row` counts the rows of a batch.
Broken: TypeAlias = list[tuple[int, str, str]]


@dataclass(frozen=True, slots=True)
class _Check:
    """One rule on one column, or on a pair: what holds for a good row, and what to say of another."""

    rule: str
    columns: tuple[str, ...]
    words: str

    def broken(self, rows: pa.RecordBatch) -> Bools:
        """Which rows break it.  A null breaks `not_null` alone; NaN breaks every rule about numbers."""
        columns = [rows.column(name) for name in self.columns]
        if self.rule == "not_null":
            holds = pc.is_valid(columns[0])
        elif self.rule == "finite":
            holds = pc.is_finite(columns[0])
        elif self.rule == "ordered":
            holds = _not_above(*columns)
        else:
            kind = columns[0].type
            zero = pa.scalar(Decimal(0) if pa.types.is_decimal(kind) else 0, kind)
            compare = pc.greater if self.rule == "positive" else pc.greater_equal
            holds = compare(columns[0], zero)
        broken: Bools = ~pc.fill_null(holds, fill_value=True).to_numpy(zero_copy_only=False)
        return broken


class RowRules:
    """The rules that the settings give one stream; raises StreamError where a column cannot have one."""

    def __init__(self, stream: Stream, settings: RulesSettings) -> None:
        self._checks = tuple(_checks(settings))
        for check in self._checks:
            _require_fit(stream, check)

    def judge(self, batch: Batch) -> tuple[Batch | None, Broken]:
        """The rows that break no rule (None without any), and the others.

        A row that breaks several rules is listed with the first of them.
        """
        first = self._first_broken(batch.columns)
        bad = np.flatnonzero(first < len(self._checks))
        if bad.size == 0:
            return batch, []
        told = [(int(row), self._checks[first[row]].rule, self._checks[first[row]].words) for row in bad]
        return batch.where(first == len(self._checks)) if bad.size < batch.rows else None, told

    def kept(self, rows: pa.RecordBatch) -> Bools:
        """Which rows break no rule."""
        kept: Bools = self._first_broken(rows) == len(self._checks)
        return kept

    def _first_broken(self, rows: pa.RecordBatch) -> Int64s:
        """The first check that each row breaks, their count where it breaks none."""
        first = np.full(rows.num_rows, len(self._checks), dtype=np.int64)
        for number in reversed(range(len(self._checks))):
            first[self._checks[number].broken(rows)] = number
        return first

    def __bool__(self) -> bool:
        return bool(self._checks)


class TimeRule:
    """The rule of every stream: the time that is joined on lies nearer to the epoch than `END_NS`.

    A row at int64's lowest would be older than all others by more than int64 holds, and match as if it came
    from the future; one at its highest would end the worker, and end it again at each start.
    """

    def __init__(self, clock: str) -> None:
        """`clock` is the time column, for the reasons."""
        self._reasons = (
            f"{clock} is {BEGINNING_NS}, which stands for no time",
            f"{clock} lies {END_NS} ns or more from the epoch: before 1823-11-12 or after 2116-02-20",
        )

    def judge(self, batch: Batch) -> tuple[Batch | None, Broken]:
        """The rows that have a time (None without any), and the others."""
        time_ns = batch.time_ns
        if time_ns.size == 0 or (time_ns.min() > -END_NS and time_ns.max() < END_NS):
            return batch, []
        good = (time_ns > -END_NS) & (time_ns < END_NS)
        broken = [
            (int(row), TIME_RULE, self._reasons[int(time_ns[row] != BEGINNING_NS)])
            for row in np.flatnonzero(~good)
        ]
        return batch.where(good) if good.any() else None, broken


class RuledDecoder:
    """A decoder whose rows have a time and keep the rules; one that breaks a rule is dead, with its name."""

    def __init__(self, decoder: RowDecoder, rules: RowRules, clock: str) -> None:
        """`clock` is the time column that is joined on."""
        self._decoder = decoder
        self._judges = (TimeRule(clock), rules) if rules else (TimeRule(clock),)

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode these messages of one partition, in offset order."""
        decoded = self._decoder.decode(block, messages)
        kept = decoded.batch
        dead: list[DeadRow] = []
        for rule in self._judges:
            if kept is None:
                break
            batch = kept
            kept, broken = rule.judge(batch)
            if broken:
                dead += _dead_rows(block, messages, batch, broken)
        if not dead:
            return decoded
        # Rows of one message and reason are neighbours: they make one letter.
        everything = sorted([*decoded.dead, *dead], key=lambda row: (row.message, row.reason, row.index))
        return replace(decoded, batch=kept, dead=everything)


def _dead_rows(block: MessageBlock, messages: Int64s, batch: Batch, broken: Broken) -> Iterator[DeadRow]:
    rows = np.array([row for row, _, _ in broken])
    at = messages[np.searchsorted(block.offset[messages], batch.offset[rows])].tolist()
    index = batch.index[rows].tolist()
    for message, place, (_, rule, words) in zip(at, index, broken, strict=True):
        yield DeadRow(message, place, words, rule)


def _checks(settings: RulesSettings) -> Iterator[_Check]:
    for rule, words in (
        ("not_null", "is null"),
        ("finite", "is not finite"),
        ("positive", "is not positive"),
        ("non_negative", "is negative"),
    ):
        columns: Sequence[str] = getattr(settings, rule).columns
        for name in columns:
            yield _Check(rule, (name,), f"{name} {words}")
    for lower, upper in settings.ordered.columns:
        yield _Check("ordered", (lower, upper), f"{lower} is above {upper}")


def _require_fit(stream: Stream, check: _Check) -> None:
    for name in check.columns:
        if name not in stream.schema.names:
            there = ", ".join(stream.schema.names)
            raise StreamError(
                f"streams.{stream.name}.rules.{check.rule}: no column {name!r}; there are {there}"
            )
    types = [stream.schema.field(name).type for name in check.columns]
    if check.rule != "not_null" and not all(map(_is_number, types)):
        raise StreamError(
            f"streams.{stream.name}.rules.{check.rule}: {' and '.join(check.columns)} "
            f"({' and '.join(map(str, types))}) cannot be compared as numbers"
        )


def _not_above(lower: pa.Array, upper: pa.Array) -> pa.Array:
    """Which numbers are not above the other of their pair; null where either is, false for NaN.

    Arrow compares two types in a third, which need not hold every value of both.  Then Python does, exactly.
    """
    try:
        return pc.less_equal(lower, upper)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pairs = zip(lower.to_pylist(), upper.to_pylist(), strict=True)
        holds = [None if one is None or other is None else _holds(one, other) for one, other in pairs]
        return pa.array(holds, pa.bool_())


def _holds(lower: Any, upper: Any) -> bool:
    return bool(lower == lower and upper == upper and lower <= upper)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
