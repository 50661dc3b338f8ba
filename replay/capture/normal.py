"""Rows as a table is to have them: values in other units, nulls filled, what conditions let trades count for.

Each row by itself: what hangs on rows before it would need them again after a restart, and is measured of the
day that was captured (`replay.quality`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from replay.capture.session import CapturedTopic
from replay.errors import HistoryError
from replay.normalise import ValueRules
from replay.quality.checks import ConditionColumns
from replay.quality.conditions import (
    CONDITIONS,
    LAST_OK,
    Conditions,
    ConditionTable,
    require_conditions,
    us_conditions,
)
from schemas.batch import Batch, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS
from schemas.stream import Stream
from topics.block import MessageBlock
from topics.decoder import RowDecoder
from topics.wire import DeadRow, Decoded

ALONE = tuple(name for name in CONDITIONS if name != LAST_OK)  # that one hangs on the trades before


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalRules:
    """By stream what becomes of the values of columns, and its columns of conditions, read by `table`."""

    values: Mapping[str, ValueRules] = field(default_factory=dict)
    conditions: Mapping[str, ConditionColumns] = field(default_factory=dict)
    table: ConditionTable = field(default_factory=us_conditions)

    @classmethod
    def parse(
        cls,
        factors: Sequence[str],
        defaults: Sequence[str],
        conditions: Mapping[str, ConditionColumns],
        table: ConditionTable,
    ) -> "NormalRules":
        """Read STREAM.COLUMN=FACTOR and STREAM.COLUMN=VALUE; raises HistoryError for anything else."""
        of_factors, of_defaults = _by_stream(factors, "--factor"), _by_stream(defaults, "--default")
        values = {
            name: ValueRules.parse(of_factors.get(name, ()), of_defaults.get(name, ()))
            for name in {*of_factors, *of_defaults}
        }
        return cls(values=values, conditions=conditions, table=table)


def normalised(topics: Sequence[CapturedTopic], rules: NormalRules) -> list[CapturedTopic]:
    """Return topics whose rows are brought into the form that `rules` ask for.

    Raises HistoryError where a stream is not captured, or a column is not there or cannot be changed.
    """
    there = [each.stream.name for each in topics]
    unknown = sorted({*rules.values, *rules.conditions} - {*there})
    if unknown:
        raise HistoryError(f"stream {unknown[0]} is not captured: {', '.join(there)} are")
    return [_normalised(each, rules) for each in topics]


class NormalRows:
    """Decodes as another decoder does, and brings the rows into the form of `stream`."""

    def __init__(
        self, decoder: RowDecoder, values: ValueRules, columns: ConditionColumns | None, table: ConditionTable
    ) -> None:
        self._decoder, self._values, self._columns = decoder, values, columns
        self._conditions = Conditions(table)

    def decode(self, block: MessageBlock, messages: Int64s) -> Decoded:
        """Decode messages; a row whose values cannot be changed as was asked is dead, and says why."""
        decoded = self._decoder.decode(block, messages)
        if decoded.batch is None:
            return decoded
        batch, dead = decoded.batch, list(decoded.dead)
        try:
            rows = self._values.batch(batch.columns)
        except HistoryError:
            batch, refused = self._part(block, messages, batch)
            rows, dead = self._values.batch(batch.columns), dead + refused
        if self._columns is not None:
            words = self._conditions.alone(rows, *self._columns)
            for name in ALONE:
                rows = rows.append_column(name, pa.array(words[name]))
        return replace(decoded, batch=replace(batch, columns=rows), dead=dead)

    def _part(self, block: MessageBlock, messages: Int64s, batch: Batch) -> tuple[Batch, list[DeadRow]]:
        """Part the rows that can be changed from the others."""
        good = np.ones(batch.rows, np.bool_)
        dead = []
        for row in range(batch.rows):
            try:
                self._values.batch(batch.columns.slice(row, 1))
            except HistoryError as refused:
                good[row] = False
                message = int(messages[np.searchsorted(block.offset[messages], batch.offset[row])])
                dead.append(DeadRow(message, int(batch.index[row]), str(refused)))
        return batch.where(good), dead


def _normalised(each: CapturedTopic, rules: NormalRules) -> CapturedTopic:
    name = each.stream.name
    values, columns = rules.values.get(name, ValueRules()), rules.conditions.get(name)
    if not values.names and columns is None:
        return each
    stream = _stream(each.stream, values, columns)
    decoder = NormalRows(each.decoder, values, columns, rules.table)
    return replace(each, stream=stream, decoder=decoder, form=_form(values, columns, rules.table))


def _form(values: ValueRules, columns: ConditionColumns | None, table: ConditionTable) -> str:
    """What was asked for, in words that are equal where it is."""
    words = [f"factor {name}={factor}" for name, factor in sorted(values.factors.items())]
    words += [f"default {name}={text}" for name, text in sorted(values.defaults.items())]
    if columns is not None:
        digest = hashlib.sha256(repr(sorted(table.items())).encode()).hexdigest()[:16]
        words.append(f"conditions {'/'.join(name for name in columns if name)} by table {digest}")
    return ", ".join(words)


def _stream(stream: Stream, values: ValueRules, columns: ConditionColumns | None) -> Stream:
    """The stream of the rows afterwards."""
    fixed = {EVENT_NS, KNOWN_NS, *stream.key, *([stream.sequence] if stream.sequence else [])}
    for name in sorted(values.names):
        if name not in stream.schema.names:
            raise HistoryError(f"{stream.name} has no column {name}: it has {', '.join(stream.schema.names)}")
        if name in fixed:
            raise HistoryError(f"{stream.name}: {name} places rows, and takes no factor and no default")
    schema = values.schema(stream.schema)
    if columns is not None:
        require_conditions(schema, stream.name, *columns)
        taken = sorted({*ALONE} & {*schema.names})
        if taken:
            raise HistoryError(f"{stream.name} has a column {taken[0]} already, which --conditions writes")
        schema = pa.schema([*schema, *((name, pa.bool_()) for name in ALONE)])
    return replace(stream, schema=schema)


def _by_stream(lines: Sequence[str], flag: str) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for line in lines:
        stream, dot, rest = line.partition(".")
        if not stream or not dot or "=" in stream:
            raise HistoryError(f"{flag} {line!r}: write STREAM.COLUMN=..., such as trade.price=1/10000")
        columns.setdefault(stream, []).append(rest)
    return columns
