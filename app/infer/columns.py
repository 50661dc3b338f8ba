"""The columns of the sampled rows, read as a worker would read them, whatever the format."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.infer.sample import Sample
from app.wiring.sources import Source, ValueNeeds
from schemas.batch import Int64s
from topics.values import DecodeLimits, FieldPath
from topics.wire import SchemaRegistry


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of the sample: `paths` says what each column of `rows` is, `message` which message a row is of."""

    paths: tuple[FieldPath, ...]
    rows: pa.RecordBatch
    message: Int64s

    def path(self, column: str) -> str:
        """The path of a column with dots between its names."""
        return next(".".join(one.path) for one in self.paths if one.column.name == column)


def read_columns(
    sample: Sample,
    numbers: Sequence[int],
    source: Source,
    paths: Sequence[FieldPath],
    registry: SchemaRegistry,
) -> Columns:
    """Read these columns of these messages; what cannot be read has no row.

    Raises CodecError for a column that cannot be read, and RegistryUnavailableError.
    """
    needs = ValueNeeds(
        stream="infer",
        registry=registry,
        limits=DecodeLimits(),
        subjects=(),
        required=None,
        takes_null_keys=True,
    )
    schema = pa.schema([path.column.with_nullable(True) for path in paths])
    batches, messages = [], [np.empty(0, np.int64)]
    decoder = source.values(paths, needs)
    for part in sample.parts(numbers):
        values = decoder.read(part.block, part.indexes)
        if values.columns is None:
            continue
        number_of = dict(zip(part.indexes.tolist(), part.numbers.tolist(), strict=True))
        numbered = np.array([number_of[message] for message in values.message.tolist()], np.int64)
        messages.append(np.repeat(numbered, values.rows_of))
        batches.append(pa.RecordBatch.from_arrays(values.columns.columns, schema=schema))
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    rows = table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema)
    return Columns(tuple(paths), rows, np.concatenate(messages))
