"""The as-of join: for each left row, the right row that stood at its time.

Results equal `pandas.merge_asof` wherever pandas has a rule, with one exception: a null key never matches,
not even another null.  Where pandas refuses, this join does not: tables need not be sorted, a left row with
no time is kept, unmatched, and a right row with none is ignored.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, SupportsIndex, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.formula.suggest import did_you_mean
from operators.tables.arrow_tables import Table, read_tables
from operators.tables.settings import AsofError, AsofSettings, Direction, Duration, read_settings
from operators.tables.sides import AsofInputs, read_inputs
from operators.tables.threads import Workers, threads_default
from operators.tables.wants import Want, gather, match, wanted

__all__ = ["AsofError", "AsofPositions", "asof_join", "asof_positions", "warm"]

_PLAIN: Final = (pa.float64(), pa.float32(), pa.int64(), pa.int32(), pa.int16(), pa.int8())
NULL_TIMES: Final = b"tidemark-null-times"


@dataclass(frozen=True, slots=True)
class AsofPositions:
    """Where each left row matches.

    `positions`         per right table, int32 with one element per left row: the matched right row, or -1.
    `left_null_times`   how many left rows have no time; they match nothing.
    `right_null_times`  per right table, how many rows have no time; they are ignored.
    """

    positions: dict[str, npt.NDArray[np.int32]]
    left_null_times: int
    right_null_times: dict[str, int]


def asof_join(
    left: Table,
    right: Table | Mapping[str, Table],
    *,
    on: str = "event_ns",
    by: str | Sequence[str] | None = "symbol",
    direction: str = "backward",
    tolerance: Duration | None = None,
    tolerance_ns: SupportsIndex | None = None,
    allow_exact: bool = True,
    carry: str = "row",
    threads: int | None = None,
    sequence: str | None = None,
) -> pa.Table:
    """Join one left table with the right table or tables that stood at each left row's time.

    Tables are those of pyarrow, Polars, pandas, DuckDB or anything with `__arrow_c_stream__`; the result is
    pyarrow's.  `right` is a table or a mapping of stream name to table; a lone one is the stream `right`.
    Columns of the result, in left row order: the left ones; per stream `s` its own as `s_<column>` but the
    group columns and `on`, then `s_<on>` of the match and `s_age_ns`, int64, left time minus matched time.
    Types pass through unchanged, save that a dictionary in pieces gets a wider index where all words need it;
    without a match all of a stream's columns are null.

    `on` is int64 UTC nanoseconds or a timestamp of any unit and zone, in any order.  Timestamps without a
    zone count as UTC, unless another table has a zone: a wall clock is not joined with moments.
    `direction` is `backward`, `forward` or `nearest`.  `tolerance`, inclusive, is text such as `2s`, a
    `datetime.timedelta`, a `pandas.Timedelta` or whole nanoseconds; `tolerance_ns` takes only the last.
    `carry="column"` takes per column the last value that is not null, backward only.  `sequence` names a
    right column that orders rows of equal time.
    `threads` is the machine's number of cores unless given; it does not change a byte of the result.

    The first join of a kind compiles its kernels, for some seconds, and keeps them on disk for later
    processes; `warm` does so beforehand.
    Rows without a time are counted in the schema's metadata under `tidemark-null-times`, where there are any.
    Raises AsofError for settings, columns or types that cannot be joined, naming the one at fault.
    """
    settings = read_settings(
        on=on,
        by=by,
        direction=direction,
        tolerance=tolerance,
        tolerance_ns=tolerance_ns,
        allow_exact=allow_exact,
        carry=carry,
        sequence=sequence,
        threads=threads_default() if threads is None else threads,
    )
    return join(*read_tables(left, right), settings)


def asof_positions(
    left: Table,
    right: Table | Mapping[str, Table],
    *,
    on: str = "event_ns",
    by: str | Sequence[str] | None = "symbol",
    direction: str = "backward",
    tolerance: Duration | None = None,
    tolerance_ns: SupportsIndex | None = None,
    allow_exact: bool = True,
    threads: int | None = None,
    sequence: str | None = None,
) -> AsofPositions:
    """Return which right row each left row matches, for callers that gather themselves.

    Arguments and errors are those of `asof_join`; of the tables only the columns `on`, `by` and `sequence`
    are read.
    """
    settings = read_settings(
        on=on,
        by=by,
        direction=direction,
        tolerance=tolerance,
        tolerance_ns=tolerance_ns,
        allow_exact=allow_exact,
        carry="row",
        sequence=sequence,
        threads=threads_default() if threads is None else threads,
    )
    return find_positions(*read_tables(left, right), settings)


def join(left: pa.Table, rights: dict[str, pa.Table], settings: AsofSettings) -> pa.Table:
    """Return the joined table of `asof_join`."""
    fields = output_fields(left, rights, settings)
    with Workers(settings.threads) as workers:
        inputs = read_inputs(left, rights, settings, workers)
        wants: list[Want] = []
        for stream, table in rights.items():
            columns = {name: table.column(name) for name in passed_columns(table, settings)}
            wants += wanted(stream, columns, settings)
        results = gather(wants, inputs, settings, workers)
    joined = [*left.columns, *(results[field.name] for field in fields[left.num_columns :])]
    # Words of a dictionary's pieces may need a wider index together.
    fields = [field.with_type(column.type) for field, column in zip(fields, joined, strict=True)]
    return pa.table(joined, pa.schema(fields, with_null_times(left.schema.metadata, inputs)))


def find_positions(left: pa.Table, rights: dict[str, pa.Table], settings: AsofSettings) -> AsofPositions:
    """Return the matched rows of `asof_positions`."""
    with Workers(settings.threads) as workers:
        inputs = read_inputs(left, rights, settings, workers)
        positions = match(list(rights), inputs, settings, workers)
    right_null_times = {stream: times.null_count for stream, times in inputs.rights.items()}
    return AsofPositions(positions, inputs.left.null_count, right_null_times)


def passed_columns(table: pa.Table, settings: AsofSettings) -> list[str]:
    """Return a right table's columns in the order of the output: all but the group columns, the time last."""
    names = [name for name in table.schema.names if name != settings.on and name not in settings.by]
    return [*names, settings.on]


def output_fields(left: pa.Table, rights: dict[str, pa.Table], settings: AsofSettings) -> list[pa.Field]:
    """Return the columns of the result; raises AsofError when two have one name."""
    require_columns("the left table", left, (settings.on, *settings.by))
    fields = list(left.schema)
    origin = dict.fromkeys(left.schema.names, "the left table")
    for stream, table in rights.items():
        what = f"the right table {stream!r}"
        ties = () if settings.sequence is None else (settings.sequence,)
        require_columns(what, table, (settings.on, *settings.by, *ties))
        mine = [
            table.schema.field(name).with_name(f"{stream}_{name}").with_nullable(True)
            for name in passed_columns(table, settings)
        ]
        for field in (*mine, pa.field(f"{stream}_age_ns", pa.int64())):
            if field.name in origin:
                raise AsofError(
                    f"the result would have the column {field.name} twice, from {origin[field.name]} "
                    f"and from {what}: rename one, or the stream"
                )
            origin[field.name] = what
            fields.append(field)
    return fields


def require_columns(what: str, table: pa.Table, names: Sequence[str]) -> None:
    """Raise AsofError unless the table has each of the columns once."""
    for name in names:
        count = table.schema.names.count(name)
        if count != 1:
            problem = "no column" if count == 0 else f"{count} columns named"
            near = did_you_mean(name, table.schema.names) if count == 0 else ""
            raise AsofError(f"{what} has {problem} {name!r}{near}; it has {', '.join(table.schema.names)}")


def with_null_times(metadata: dict[bytes, bytes] | None, inputs: AsofInputs) -> dict[bytes, bytes] | None:
    """Return the left table's metadata, with the counts of null times where there are any."""
    rights = {stream: times.null_count for stream, times in inputs.rights.items()}
    if inputs.left.null_count + sum(rights.values()) == 0:
        return metadata
    counts = json.dumps({"left": inputs.left.null_count, "right": rights})
    return {**(metadata or {}), NULL_TIMES: counts.encode()}


def warm() -> None:
    """Compile the kernels of `asof_join`, or load those that an earlier process has left on disk.

    That takes up to a minute once on a machine, and then about a second.  A join of the usual columns waits
    for none after it: text, numbers and dictionaries as groups, in any direction, sorted or not.
    """
    for table, by in _samples():
        ties = pa.array([2, 1, 1]).cast(table["event_ns"].type)
        for right in (table, table.set_column(0, "event_ns", ties)):
            for carry, direction in (*(("row", d) for d in get_args(Direction)), ("column", "backward")):
                asof_join(table, right, by=by, carry=carry, direction=direction, tolerance_ns=5)


def _samples() -> Iterator[tuple[pa.Table, list[str]]]:
    """Yield small tables of the usual types, each with its group columns."""
    times, words = pa.array([1, 2, 3]), pa.array(["a", "b", None])
    values = {
        **{str(kind): pa.array([1, None, 3]).cast(kind) for kind in _PLAIN},
        "bool": pa.array([True, None, False]),
        "text": words,
        "large_text": words.cast(pa.large_string()),
        "text_view": words.cast(pa.string_view()),
        "word": words.dictionary_encode(),
        "list": pa.array([[1], None, []]),
    }
    keys = {
        # A key's bytes are read in words: where they are fewer than two, numba sees another kind of array.
        **{
            f"{kind}_{key}": pa.array(["a", "b", key], kind)
            for kind in (pa.string(), pa.large_string(), pa.string_view())
            for key in ("c", "longer than a word")
        },
        "code": pa.array(["a", "b", "a"]).dictionary_encode(),
        "near": pa.array([1, 2, 3], pa.int32()),
        "wide": pa.array([1, 2, 3]),
        "far": pa.array([1, 2**40, 2**50]),
    }
    for name, key in keys.items():
        yield pa.table({"event_ns": times, name: key, **values}), [name]
    micros = times.cast(pa.timestamp("us", "UTC"))
    yield pa.table({"event_ns": micros, **keys, "price": values["double"]}), [*keys]
    yield pa.table({"event_ns": times, "price": values["double"]}), []
