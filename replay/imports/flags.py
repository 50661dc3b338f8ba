"""Columns that say which rows of an imported day cannot be meant, and what each may count for.

Rows keep their values; those of kinds that are named are left out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import SourceError
from replay.order import order_times
from replay.quality.bad_ticks import BadTick
from replay.quality.checks import CheckRules, Checks
from replay.quality.conditions import CONDITIONS
from replay.quality.groups import Groups
from replay.quality.quotes_beside import QuotesBeside
from replay.store.day import BATCH_ROWS
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock
from schemas.stream import Stream

NONE: Final = BadTick(0)
BAD_TICK: Final = "bad_tick"  # int32, bits of `BadTick`; 0 is a good row


@dataclass(frozen=True, slots=True, kw_only=True)
class Flagging:
    """How an import judges rows: by which rules, whether prices are flagged, and which kinds are left out."""

    rules: CheckRules
    flags: bool = True
    left_out: BadTick = NONE

    def text(self) -> str:
        """What a day's summary says of it beside the rules for prices; empty where nothing was asked for."""
        out = "" if not self.left_out else f"left_out={int(self.left_out)}"
        prices = "" if self.flags or not self.left_out else str(self.rules.prices)
        return ", ".join(text for text in (self.rules.text(), out, prices) if text)

    def schema(self, stream: Stream) -> pa.Schema:
        """The columns of a stream with those of its flags; raises SourceError where a name is taken."""
        schema = stream.schema
        if self.flags and self.rules.marks(stream):
            schema = _appended(schema, pa.field(BAD_TICK, pa.int32(), nullable=False), stream.name)
        if stream.name in self.rules.conditions:
            for name in CONDITIONS:
                schema = _appended(schema, pa.field(name, pa.bool_(), nullable=False), stream.name)
        return schema


def judged(
    rows: pa.Table, stream: Stream, flagging: Flagging, order: Clock, quotes: pa.Table | None
) -> tuple[pa.Table, int]:
    """Return a day's rows, which are in their order, with their flags, and how many rows were left out.

    `stream` has the columns of the rows alone, `quotes` the rows of the stream that trades are held against,
    in their order.  Raises HistoryError where a column that something was asked of is missing.
    """
    schema = flagging.schema(stream)
    beside = None if quotes is None else QuotesBeside(iter(quotes.to_batches(BATCH_ROWS)), stream.key, order)
    groups, checks = Groups(stream.key), Checks(stream, flagging.rules, beside)
    clocks = [name for name in (EVENT_NS, KNOWN_NS) if name in rows.schema.names]
    marks, allowed = [np.empty(0, np.int32)], [{name: np.empty(0, np.bool_) for name in CONDITIONS}]
    needed = list(dict.fromkeys([*stream.key, *clocks, *checks.columns]))
    for batch in rows.select(needed).to_batches(max_chunksize=BATCH_ROWS):
        numbers = groups.numbers(batch)
        marks.append(checks.marks(batch, numbers, groups.names(), order_times(batch, order)))
        if (words := checks.conditions(batch, numbers)) is not None:
            allowed.append(words)
    columns = {BAD_TICK: np.concatenate(marks)}
    columns |= {name: np.concatenate([words[name] for words in allowed]) for name in CONDITIONS}
    for field in list(schema)[len(rows.schema) :]:
        rows = rows.append_column(field, pa.array(columns[field.name]))
    good = (columns[BAD_TICK] & int(flagging.left_out)) == 0
    return rows.cast(schema).filter(pa.array(good)), int(np.count_nonzero(~good))


def count_bad(rows: pa.Table) -> int:
    """How many rows are flagged for more than a locked quote."""
    if BAD_TICK not in rows.schema.names:
        return 0
    return int(np.count_nonzero(rows.column(BAD_TICK).to_numpy() & ~BadTick.LOCKED))


def _appended(schema: pa.Schema, field: pa.Field, stream: str) -> pa.Schema:
    if field.name in schema.names:
        flag = "--flag-bad-ticks" if field.name == BAD_TICK else "--conditions"
        raise SourceError(
            f"{stream} has a column {field.name} already, which {flag} writes: give it another name "
            f"with --rename {field.name}=NEW"
        )
    return schema.append(field)
