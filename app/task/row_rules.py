"""Rules of a stream's rows, judged by the row alone: the same row breaks the same rule whenever it is read.

They stand between decoder and operator, so a row that breaks one moves no watermark and matches nothing; the
other rows of its message go on.  The audit reads through the same rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.settings.streams import RulesSettings
from schemas.batch import Batch, Bools, Int64s
from schemas.stream import Stream, StreamError
from topics.block import MessageBlock
from topics.wire import DeadRow, Decoded


class RowDecoder(Protocol):
    """What gives the rows of one stream's messages: `topics.avro.decode.Decoder`, or one that knows rules."""

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode these messages of one partition, in offset order."""
        ...


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
            holds = pc.less_equal(*columns)
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

    def judge(self, batch: Batch) -> tuple[Batch | None, list[tuple[int, str, str]]]:
        """The rows that break no rule (None without any) and the others as (row, rule, reason).

        `row` counts the rows of `batch`; a row that breaks several rules is listed with the first of them.
        """
        first = np.full(batch.rows, len(self._checks), dtype=np.int64)
        for number in reversed(range(len(self._checks))):
            first[self._checks[number].broken(batch.columns)] = number
        bad = np.flatnonzero(first < len(self._checks))
        if bad.size == 0:
            return batch, []
        told = [(int(row), self._checks[first[row]].rule, self._checks[first[row]].words) for row in bad]
        return batch.where(first == len(self._checks)) if bad.size < batch.rows else None, told

    def __bool__(self) -> bool:
        return bool(self._checks)


class RuledDecoder:
    """A decoder whose rows keep the rules; a row that breaks one is dead, with the rule's name."""

    def __init__(self, decoder: RowDecoder, rules: RowRules) -> None:
        self._decoder = decoder
        self._rules = rules

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode these messages of one partition, in offset order."""
        decoded = self._decoder.decode(block, messages)
        batch = decoded.batch
        if batch is None or not self._rules:
            return decoded
        kept, broken = self._rules.judge(batch)
        if not broken:
            return decoded
        rows = np.array([row for row, _, _ in broken])
        at = messages[np.searchsorted(block.offset[messages], batch.offset[rows])].tolist()
        index = batch.index[rows].tolist()
        dead = [
            DeadRow(message, place, words, rule)
            for message, place, (_, rule, words) in zip(at, index, broken, strict=True)
        ]
        # Rows of one message and reason are neighbours: they make one letter.
        everything = sorted([*decoded.dead, *dead], key=lambda row: (row.message, row.reason, row.index))
        return replace(decoded, batch=kept, dead=everything)


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


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
