"""Small streams with many ties, nulls and every kind of column, for the properties of the streaming join."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from operators.asof import asof_join
from operators.join.settings import AsofSettings
from operators.streaming import StreamingAsof
from schemas.batch import Batch
from schemas.rule import Direction
from schemas.stream import Stream
from tests.oracles.streaming_asof import Row, Rules, StreamSlowly

LEFT_COLUMNS = {"note": pa.string(), "number": pa.int64()}
RIGHT_COLUMNS = {
    "bid": pa.float64(),
    "size": pa.int16(),
    "firm": pa.bool_(),
    "amount": pa.decimal128(20, 4),
    "text": pa.string(),
    "raw": pa.large_binary(),
    "tags": pa.list_(pa.int32()),
    "venue": pa.dictionary(pa.int32(), pa.string()),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "note": st.sampled_from(["", "a", "long enough to move"]),
    "number": st.integers(0, 3),
    "bid": st.sampled_from([0.0, 1.5, -2.25]),
    "size": st.integers(-3, 3),
    "firm": st.booleans(),
    "amount": st.sampled_from([Decimal("1.0000"), Decimal("-12345678901234.5678")]),
    "text": st.sampled_from(["", "é", "xyz"]),
    "raw": st.sampled_from([b"", b"\0\1"]),
    "tags": st.sampled_from([[], [1], [2, None]]),
    "venue": st.sampled_from(["N", "Q"]),
}


def make_stream(name: str, columns: dict[str, pa.DataType], *, sequence: bool) -> Stream:
    """A stream with clock, symbol, perhaps a sequence, and these columns."""
    fields = [("event_ns", pa.int64()), ("symbol", pa.string())]
    fields += [("sequence", pa.int64())] if sequence else []
    schema = pa.schema([*fields, *columns.items()])
    return Stream(name=name, schema=schema, sequence="sequence" if sequence else None)


def make_settings(rules: Rules) -> AsofSettings:
    """The settings that ask for these rules."""
    directions: dict[str, Direction] = {d: d for d in get_args(Direction)}
    return AsofSettings(
        left=make_stream("trade", LEFT_COLUMNS, sequence=rules.left_has_sequence),
        rights=tuple(
            make_stream(name, RIGHT_COLUMNS, sequence=rules.right_has_sequence) for name in rules.rights
        ),
        direction=directions[rules.direction],
        allow_exact=rules.allow_exact,
        tolerance_ns=rules.tolerance_ns,
        carry="column" if rules.carry == "column" else "row",
        grace_ns=rules.grace_ns,
        max_ahead_ns=rules.max_ahead_ns,
        max_ahead_of="inputs" if rules.max_ahead_of == "inputs" else "wall",
    )


def looked_up(rules: Rules) -> list[str]:
    """The right columns in the output, in order."""
    return [*(["sequence"] if rules.right_has_sequence else []), *RIGHT_COLUMNS]


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """Any rules there are."""
    direction = draw(st.sampled_from(["backward", "forward", "nearest"]))
    back = direction == "backward"
    rights = ("quote", "mark", "bar")[: draw(st.sampled_from([1, 1, 2, 3]))]
    return Rules(
        rights=rights,
        direction=direction,
        allow_exact=draw(st.booleans()),
        tolerance_ns=draw(st.sampled_from([None, 0, 2, 5] if back else [0, 1, 2, 3, 5])),
        carry=draw(st.sampled_from(["row", "column"] if back else ["row"])),
        left_has_sequence=draw(st.booleans()),
        right_has_sequence=draw(st.booleans()),
        grace_ns={name: draw(st.integers(0, 4)) for name in ("trade", *rights)},
    )


@st.composite
def streams(draw: st.DrawFn) -> tuple[Rules, dict[str, list[Row]]]:
    """Rules, and the rows of each stream they name."""
    asked = draw(rules())
    return asked, {
        name: draw(rows(name, asked.left_has_sequence if name == "trade" else asked.right_has_sequence))
        for name in asked.streams
    }


@st.composite
def rows(draw: st.DrawFn, stream: str, sequence: bool, rows_max: int = 14) -> list[Row]:
    """Rows in arrival order; few times and keys, so that ties and misses are common."""
    columns = LEFT_COLUMNS if stream == "trade" else RIGHT_COLUMNS
    count = draw(st.integers(0, rows_max))
    answer = []
    for offset in range(count):
        time_ns, key = draw(st.integers(0, 12)), draw(st.sampled_from(["A", "B", None]))
        order = draw(st.integers(0, 2)) if sequence else 0
        values: dict[str, Any] = {"event_ns": time_ns, "symbol": key}
        if sequence:
            values["sequence"] = order
        values |= {name: draw(st.none() | VALUES[name]) for name in columns}
        answer.append(Row(time_ns, order, offset, key, values))
    return answer


def batch(stream: Stream, part: Sequence[Row]) -> Batch:
    """Rows as a batch; its key codes are its own."""
    keys = sorted({row.key for row in part if row.key is not None}, reverse=True)
    codes = [-1 if row.key is None else keys.index(row.key) for row in part]
    return Batch(
        columns=pa.RecordBatch.from_pylist([dict(row.values) for row in part], schema=stream.schema),
        time_ns=np.array([row.time_ns for row in part], np.int64),
        sequence=np.array([row.sequence for row in part], np.int64),
        offset=np.array([row.offset for row in part], np.int64),
        index=np.zeros(len(part), np.int32),
        key_code=np.array(codes, np.int32),
        keys=pa.array([key.encode() for key in keys], pa.binary()),
    )


def dicts(sealed: pa.RecordBatch | None) -> list[dict[str, Any]]:
    """Sealed rows as the oracle writes them."""
    return [] if sealed is None else list(sealed.to_pylist())


def play_both(
    data: st.DataObject,
    rules: Rules,
    left: dict[str, list[Row]],
    join: StreamingAsof,
    slow: StreamSlowly,
    bounds: st.SearchStrategy[int] | None,
) -> None:
    """Push rows of `left`, which loses them, and bounds into both joins; each seal gives the same of both.

    `bounds` gives the `upper_ns` of progress records; None for a play without any.
    """
    inputs = {stream.name: stream for stream in make_settings(rules).streams}
    for _ in range(data.draw(st.integers(1, 16))):
        stream = data.draw(st.sampled_from(rules.streams))
        if bounds is not None and data.draw(st.integers(0, 3)) == 0:
            upper_ns = data.draw(bounds)
            join.advance(stream, upper_ns)
            slow.advance(stream, upper_ns)
        else:
            count = data.draw(st.integers(0, len(left[stream])))
            part, left[stream] = left[stream][:count], left[stream][count:]
            join.push(stream, batch(inputs[stream], part))
            slow.push(stream, part)
        if data.draw(st.booleans()):
            assert dicts(join.seal()) == slow.seal()
            assert join.frontier_ns == slow.frontier_ns


def joined_at_once(asked: AsofSettings, rows: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """The batch join of the same rows, each stream in its own order, in the order of the output."""
    tables = {}
    for stream in asked.streams:
        ordered = sorted(rows[stream.name], key=lambda row: row.order)
        tables[stream.name] = pa.Table.from_batches([batch(stream, ordered).columns])
    places = [row.offset for row in sorted(rows["trade"], key=lambda row: row.order)]
    joined = asof_join(
        tables[asked.left.name],
        {right.name: tables[right.name] for right in asked.rights},
        direction=asked.direction,
        tolerance_ns=asked.tolerance_ns,
        allow_exact=asked.allow_exact,
        carry=asked.carry,
    )
    return [
        row | {"left_offset": offset, "left_index": 0}
        for row, offset in zip(joined.to_pylist(), places, strict=True)
    ]


def grace_of(part: Sequence[Row]) -> int:
    """The smallest grace for which no row of this arrival order is late."""
    newest_ns, grace_ns = -1, 0
    for row in part:
        grace_ns = max(grace_ns, newest_ns - row.time_ns)
        newest_ns = max(newest_ns, row.time_ns)
    return grace_ns
