"""A column that says which prices of an imported day cannot be meant; every row is kept as it is."""

import numpy as np
import pyarrow as pa

from replay.errors import SourceError
from replay.quality.bad_ticks import BadTick, BadTickRules, BadTicks, priced_columns
from replay.quality.groups import Groups
from replay.store.day import BATCH_ROWS

BAD_TICK = "bad_tick"  # int32, bits of `BadTick`; 0 is a good row


def with_flag_column(schema: pa.Schema, stream: str) -> pa.Schema:
    """Return columns with that of the flags, where any holds prices; raises SourceError where it is taken."""
    if not priced_columns(schema):
        return schema
    if BAD_TICK in schema.names:
        raise SourceError(
            f"{stream} has a column {BAD_TICK} already, which --flag-bad-ticks writes: give it another name "
            f"with --rename {BAD_TICK}=NEW"
        )
    return schema.append(pa.field(BAD_TICK, pa.int32(), nullable=False))


def with_flags(rows: pa.Table, schema: pa.Schema, key: tuple[str, ...], rules: BadTickRules) -> pa.Table:
    """Return a day's rows, which are in their order, with their flags; `schema` is `with_flag_column`'s."""
    if BAD_TICK not in schema.names:
        return rows
    groups, ticks = Groups(key), BadTicks(rows.schema, rules)
    flags = [np.empty(0, np.int32)]
    for batch in rows.select([*dict.fromkeys([*key, *ticks.columns])]).to_batches(max_chunksize=BATCH_ROWS):
        numbers = groups.numbers(batch)
        flags.append(ticks.flags(batch, numbers, groups.names()))
    return rows.append_column(schema.field(BAD_TICK), pa.array(np.concatenate(flags))).cast(schema)


def count_bad(rows: pa.Table) -> int:
    """How many rows are flagged for more than a locked quote."""
    if BAD_TICK not in rows.schema.names:
        return 0
    return int(np.count_nonzero(rows.column(BAD_TICK).to_numpy() & ~BadTick.LOCKED))
