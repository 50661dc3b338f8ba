"""The slow way to read and write Avro: fastavro, one object per row, logical types left alone."""

import io
import json
from decimal import Context, Decimal
from typing import Any

import fastavro
import pyarrow as pa

# What changes how fastavro hands a value out, or does not suit the type once that is gone.
_BARED = ("logicalType", "default")


def bare_schema(schema: str) -> Any:
    """Return a parsed schema without logical types, so that fastavro hands out the bare values."""

    def strip(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: strip(value) for name, value in node.items() if name not in _BARED}
        return [strip(value) for value in node] if isinstance(node, list) else node

    return fastavro.parse_schema(strip(json.loads(schema)))


def write_slowly(schema: str, value: Any) -> bytes:
    """Return an Avro body."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, bare_schema(schema), value)
    return body.getvalue()


def read_slowly(schema: str, body: bytes) -> Any:
    """Return the value of an Avro body; raises what fastavro does, or ValueError for bytes that follow."""
    stream = io.BytesIO(body)
    value = fastavro.schemaless_reader(stream, bare_schema(schema), None)
    if stream.tell() != len(body):
        raise ValueError("bytes follow")
    return value


def bare_rows(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return rows as fastavro would hand them out: numbers for times, bytes for decimals and uint64."""
    columns = [
        [_bare(value, rows.schema.field(number).type) for value in column]
        for number, column in enumerate(rows.columns)
    ]
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]


def _bare(value: pa.Scalar, plain: pa.DataType) -> Any:
    if not value.is_valid:
        return None
    if pa.types.is_list(plain) or pa.types.is_large_list(plain):
        return [_bare(item, plain.value_type) for item in value.values]
    if pa.types.is_decimal(plain):
        unscaled = int(Decimal(value.as_py()).scaleb(plain.scale, Context(prec=80)))
        bits = unscaled.bit_length() if unscaled >= 0 else (unscaled + 1).bit_length()
        return unscaled.to_bytes(bits // 8 + 1, "big", signed=True)
    if plain == pa.uint64():
        return value.as_py().to_bytes(8, "little")
    if pa.types.is_temporal(plain):
        return value.value
    return value.as_py()
