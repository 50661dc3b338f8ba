"""CSV as columns: a type is taken only where it keeps every value; what is not a plain number stays text."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from replay.errors import SourceError
from replay.order import as_int64s

OTHER_SIGNS: Final = (";", "\t", "|")  # that others put between fields
BLOCK_SIZE: Final = 16 * 2**20  # bytes read at once; a row must fit

# In the order in which they are tried.  A leading zero, a plus, or an exponent with neither a point before it
# nor a sign (1E5) makes a code of it, and codes are text.  Python and pandas write small numbers as 1e-05.
_WHOLE: Final = r"^-?(0|[1-9]\d{0,18})$"
_WHOLE_LONG: Final = r"^(0|[1-9]\d{0,19})$"
_NUMBER: Final = (
    r"^(-?((0|[1-9]\d*)([eE][+-]\d{1,3})?|((0|[1-9]\d*)[.]\d*|[.]\d+)([eE][+-]?\d{1,3})?)|nan|NaN|-?inf)$"
)
_LONG_WHOLE: Final = r"^-?\d{17,}$"  # an id, whether a double would round it or not
_DOUBTFUL: Final = (
    r"[1-9][.]?(\d[.]?){15}|[eE][+-]?\d{3}"  # more digits, or a farther range, than doubles promise
)
_KINDS: Final = (
    (pa.int64(), _WHOLE),
    (pa.uint64(), _WHOLE_LONG),
    (pa.float64(), _NUMBER),
    (pa.bool_(), "^([tT]rue|[fF]alse|TRUE|FALSE)$"),
)


def stage(path: Path, key: tuple[str, ...], scratch: Path) -> Path:
    """Write a CSV file's rows as Parquet into `scratch` and return that file.

    The first line names the columns; an empty field is null.  Columns of `key` are text.  Others are int64,
    uint64, double or boolean where all their values are, and text where not: times, codes with leading
    zeros or like 1E5, columns in which a double would round a number.  Raises SourceError for two columns of
    one name, else what pyarrow raises.
    """
    if path.stat().st_size == 0:
        kinds: dict[str, pa.DataType] = {"nothing": pa.null()}
        batches: Iterator[pa.RecordBatch] = iter(())
    else:
        kinds = _kinds(path, key)
        batches = _batches(path)
    schema = pa.schema(list(kinds.items()))
    staged = scratch / f"{len(list(scratch.iterdir()))}.parquet"
    with pq.ParquetWriter(staged, schema, compression="lz4") as writer:
        for batch in batches:
            columns = [
                pa.nulls(batch.num_rows) if pa.types.is_null(kind) else column.cast(kind)
                for column, kind in zip(batch.columns, schema.types, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return staged


def _kinds(path: Path, key: tuple[str, ...]) -> dict[str, pa.DataType]:
    """Return the type of each column: the first that keeps all its values."""
    possible: dict[str, list[pa.DataType]] = {}
    valued: set[str] = set()
    reader = _open(path)
    names = reader.schema.names
    sign = next((sign for sign in OTHER_SIGNS if len(names) == 1 and sign in names[0]), None)
    if sign is not None:
        raise SourceError(
            f"{path}: its first line has {sign!r} between the names and no comma: write it with commas, "
            "with pandas by read_csv(..., sep=...).to_csv(..., index=False)"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"{path} has columns twice: {', '.join(twice)}")
    for name in names:
        possible[name] = [] if name in key else [kind for kind, _ in _KINDS]
    for batch in reader:
        for name in possible:
            column = batch.column(name).drop_null()
            if len(column):
                valued.add(name)
                possible[name] = [kind for kind in possible[name] if _keeps(column, kind)]
    kinds = {}
    for name, left in possible.items():
        if name in valued or name in key:
            kinds[name] = left[0] if left else pa.string()
        else:
            kinds[name] = pa.null()
    return kinds


def _keeps(column: pa.Array, kind: pa.DataType) -> bool:
    pattern = dict(_KINDS)[kind]
    if not pc.all(pc.match_substring_regex(column, pattern)).as_py():
        return False
    if kind == pa.float64():
        long = pc.any(pc.match_substring_regex(column, _LONG_WHOLE)).as_py()
        return not long and not _rounds(column.filter(pc.match_substring_regex(column, _DOUBTFUL)))
    try:
        column.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _rounds(column: pa.Array) -> bool:
    """Whether a double changes one of these numbers: in full or with as many digits, it is another."""
    whole = pc.match_substring_regex(column, _WHOLE)
    counts = as_int64s(column.filter(whole).cast(pa.int64()))
    if np.any(counts.astype(np.float64).astype(np.int64) != counts):
        return True
    others = column.filter(pc.invert(whole))
    shortest = others.cast(pa.float64()).cast(pa.string())
    return any(map(_is_rounded, others.filter(pc.not_equal(shortest, others)).unique().to_pylist()))


def _is_rounded(text: str) -> bool:
    digits = re.sub("[eE].*", "", text).lstrip("-").replace(".", "").lstrip("0")
    if not digits:
        return False
    double, number = float(text), Decimal(text)
    # The shortest text of a double need not be the nearest of its length, where two are as near.
    return number not in (Decimal(repr(double)), Decimal(f"{double:.{len(digits) - 1}e}"))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    yield from _open(path)


def _open(path: Path) -> pacsv.CSVStreamingReader:
    """Open it with every column as text."""
    read = pacsv.ReadOptions(block_size=BLOCK_SIZE)
    parse = pacsv.ParseOptions(newlines_in_values=True)
    with pacsv.open_csv(_source(path), read_options=read, parse_options=parse) as first:
        names = first.schema.names
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    return pacsv.open_csv(_source(path), read_options=read, parse_options=parse, convert_options=convert)


def _source(path: Path) -> Path | pa.NativeFile:
    """What Arrow opens, which by itself knows gzip by `.gz` and not by `.GZ`."""
    return pa.input_stream(path, compression="gzip") if path.suffix.lower() == ".gz" else path
