"""`python -m gpu_sink`: read a topic as a model service would, and say whether it equals aligned files."""

import argparse
import sys
from importlib.abc import MetaPathFinder
from itertools import zip_longest
from pathlib import Path

import numpy as np

from gpu_sink.batches.batch import Batch
from gpu_sink.batches.batches import Batches
from gpu_sink.columns.columns import readable_columns
from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, SourceError
from gpu_sink.source import AlignedStream

BATCH_ROWS = 65_536


class WithoutPandas(MetaPathFinder):
    """Hides pandas from this command: pyarrow would load it with its first array, which takes 0.3 s."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse pandas and leave all others to the finders behind this one."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is hidden from this process", name=fullname)


def main(arguments: list[str] | None = None) -> int:
    """Return 0 where all rows are equal, 1 with the first that is not, 2 with what cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m gpu_sink",
        description="Read an aligned topic as a model service would, and compare it row by row with files.",
        epilog="example: python -m gpu_sink --bootstrap 127.0.0.1:9092 --topic aligned --folder out/aligned",
    )
    parser.add_argument("--bootstrap", required=True, help="address of the Kafka broker, host:port")
    parser.add_argument("--topic", required=True, help="name of the aligned topic")
    parser.add_argument("--folder", required=True, help="folder of aligned files, one for each partition")
    parser.add_argument(
        "--client-config",
        help="file of librdkafka settings, a key=value a line; - is standard input (default: none)",
    )
    options = parser.parse_args(arguments)
    try:
        settings = read_client_config(options.client_config)
    except OSError as unreadable:
        parser.error(f"--client-config {options.client_config}: {unreadable.strerror}")
    try:
        topic = AlignedStream.from_kafka(options.bootstrap, options.topic, until_end=True, settings=settings)
        rows, difference = compare(topic, AlignedStream.from_folder(options.folder))
    except (SourceError, FrameError, ColumnError) as unreadable:
        sys.stderr.write(f"{unreadable}\n")
        return 2
    if difference is not None:
        sys.stderr.write(f"topic {options.topic} differs from {options.folder}: {difference}\n")
        return 1
    sys.stdout.write(f"read back through gpu_sink: {rows:,} rows, equal to {options.folder}\n")
    return 0


def read_client_config(name: str | None) -> dict[str, str | int | bool]:
    """Read a file of `key=value` lines, as other Kafka tools take them; no settings for None."""
    if name is None:
        return {}
    text = sys.stdin.read() if name == "-" else Path(name).read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def compare(ours: AlignedStream, theirs: AlignedStream) -> tuple[int, str | None]:
    """Return how many rows two bounded streams have alike, and in words where they first differ.

    Compared are all columns that batches hold: values, masks and words, so no nested ones.
    """
    first = next(iter(theirs), None)
    columns = None if first is None else readable_columns(first.rows.schema)
    left = ours.batches(batch_rows=BATCH_ROWS, columns=columns, prefetch=0)
    right = theirs.batches(batch_rows=BATCH_ROWS, columns=columns, prefetch=0)
    rows = 0
    for our, their in zip_longest(left, right):
        difference = _difference(our, their, left, right)
        if difference is not None:
            return rows, f"after {rows:,} equal rows {difference}"
        rows += our.rows
    return rows, None


def _difference(our: Batch | None, their: Batch | None, left: Batches, right: Batches) -> str | None:
    if our is None or their is None or our.rows != their.rows:
        counts = [0 if batch is None else batch.rows for batch in (our, their)]
        return f"there are {counts[0]:,} more rows and {counts[1]:,} more rows"
    words = ((left.dictionaries[name], right.dictionaries[name]) for name in left.dictionaries)
    alike = all(a == b for pair in words for a, b in zip(*pair, strict=False))  # segments tell words early
    if our.keys() != their.keys() or not alike:
        return "columns or words differ"
    for name, values in our.items():
        is_float = values.dtype.kind == "f"
        if not np.array_equal(values, their[name], equal_nan=is_float):
            return f"column {name} differs"
    return None


if __name__ == "__main__":
    sys.meta_path.insert(0, WithoutPandas())
    sys.exit(main())
