"""Any writer's schema, read by any reader's, gives what fastavro's own resolution gives.

`python -m tests.property.topics.test_resolution 20000 0` tries that many pairs from the seed 0 on.
"""

import copy
import io
import json
import random
import sys
from collections import Counter
from typing import Any, Final

import fastavro
import numpy as np
import pyarrow as pa

from tests.oracles.avro_writer import SlowWriter
from tests.property.topics.schema_pairs import Pair, draw_pair
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.schema import column_name, stream_schema
from topics.wire import Decoded

PAIRS: Final = 1_000
# Whole schemas are refused where none of a union's values but null could be read, or no item of an array.
WHOLE: Final = "schema id"


def resolved(pair: Pair, bodies: list[bytes]) -> list[dict[str, Any] | None]:
    """What fastavro makes of each body, by column; None where it refuses, nothing if it crashes."""
    writer = fastavro.parse_schema(copy.deepcopy(pair.writer))
    reader = fastavro.parse_schema(copy.deepcopy(pair.reader))
    rows: list[dict[str, Any] | None] = []
    for body in bodies:
        try:
            row = fastavro.schemaless_reader(io.BytesIO(body), writer, reader)
        except TypeError as crash:
            # Of a union, fastavro 1.13 looks a record up that the writer only names, by the reader's own
            # table.
            if "unhashable" not in str(crash):
                raise
            rows.append({})
            continue
        except Exception:  # it has no family of errors: whatever it raises, it did not resolve
            rows.append(None)
            continue
        rows.append({column_name(path): leaf(row, path.split(".")) for path in pair.columns})
    return rows


def leaf(row: Any, path: list[str]) -> Any:
    """A row's value at a path, null where a record on the way is."""
    for name in path:
        if row is None:
            return None
        row = row[name]
    return row


def bare(value: Any, kind: pa.DataType) -> Any:
    """A value of fastavro as the column has it: it leaves defaults and promoted values as they came."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [bare(item, kind.value_type) for item in value]
    if pa.types.is_float32(kind):
        return float(np.float32(value))
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return value.encode() if isinstance(value, str) else value
    if pa.types.is_string(kind):
        return value.decode() if isinstance(value, bytes) else value
    return value


def decode(pair: Pair, bodies: list[bytes]) -> tuple[Decoded, pa.Schema]:
    """What the decoder makes of them."""
    registry = DictRegistry()
    header = message_header(registry.register("s", json.dumps(pair.writer)))
    stream = stream_schema(json.dumps(pair.stream), name="row", columns=pair.columns)
    block = block_of([(b"K", header + body, offset) for offset, body in enumerate(bodies)])
    return Decoder(stream, "event", registry).decode(block, np.arange(len(bodies))), stream.schema


def holds_nothing(value: Any) -> bool:
    """Whether a value is null, or a list of nothing else."""
    return all(item is None for item in (value if isinstance(value, list) else [value]))


def symbols_kept(pair: Pair, row: dict[str, Any]) -> bool:
    """Whether a column has a symbol that its enum lacks: it is text, and takes it if there is no default."""
    for path in pair.columns:
        kind: Any = pair.reader
        for name in path.split("."):
            record = next(branch for branch in branches(kind) if "fields" in branch)
            kind = next(field["type"] for field in record["fields"] if field["name"] == name)
        value = row[column_name(path)]
        symbols = value if isinstance(value, list) else [value]
        for branch in [inner for each in branches(kind) for inner in (each, *branches(each.get("items")))]:
            lacking = "symbols" in branch and not {*symbols} <= {None, *branch["symbols"]}
            if lacking and "default" not in branch:
                return True
    return False


def branches(kind: Any) -> list[Any]:
    """A union's branches, or the one type; those that are words as empty tables."""
    return [
        branch if isinstance(branch, dict) else {} for branch in (kind if isinstance(kind, list) else [kind])
    ]


def try_pair(seed: int) -> Counter[str]:
    """Read a pair's rows both ways; raises AssertionError where they differ."""
    pair = draw_pair(seed)
    writer = SlowWriter(fastavro.parse_schema(copy.deepcopy(pair.writer)), random.Random(seed))
    bodies = [writer.body(row) for row in pair.rows]
    decoded, schema = decode(pair, bodies)
    expected = resolved(pair, bodies)
    dead = {row.message: row.reason for row in decoded.dead}
    mine: dict[int, dict[str, Any]] = {}
    if decoded.batch is not None:
        decoded.batch.columns.validate(full=True)
        mine = dict(zip(decoded.batch.offset.tolist(), decoded.batch.columns.to_pylist(), strict=True))
    outcomes: Counter[str] = Counter(pairs=1)
    for number, row in enumerate(expected):
        if row is None:
            if number in dead:
                outcomes["refused by both"] += 1
                continue
            assert symbols_kept(pair, mine[number]), f"seed {seed}: fastavro refuses {mine[number]}"
            outcomes["symbols kept"] += 1
            continue
        if not row:
            outcomes["crashes of fastavro"] += 1
            continue
        row = {name: bare(value, schema.field(name).type) for name, value in row.items()}
        if number in dead:
            nothing_read = dead[number].startswith(WHOLE) and any(map(holds_nothing, row.values()))
            assert nothing_read, f"seed {seed}: {dead[number]}, but fastavro reads {row}"
            outcomes["schemas refused"] += 1
            continue
        assert mine[number] == row, f"seed {seed}: {mine[number]} should be {row}"
        outcomes["read alike"] += 1
    return outcomes


def try_pairs(count: int, first: int) -> Counter[str]:
    """Try the pairs of so many seeds."""
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + count):
        outcomes += try_pair(seed)
    return outcomes


def test_any_writer_is_read_as_fastavro_resolves_it() -> None:
    outcomes = try_pairs(PAIRS, 0)
    assert outcomes["read alike"] > PAIRS, outcomes
    assert outcomes["refused by both"] > PAIRS // 100, outcomes
    assert outcomes["crashes of fastavro"] < PAIRS // 10, outcomes


if __name__ == "__main__":
    found = try_pairs(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    sys.stdout.write(", ".join(f"{count:,} {name}" for name, count in sorted(found.items())) + "\n")
