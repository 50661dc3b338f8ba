"""Raw column segments: a file whose bytes are a batch's columns, so that reading it is moving them.

    page 0        magic, version, zeros
    pages         one piece per column and segment: its values, then zeros to the end of the page
    then          the footer: JSON, what lies where and the checksum of every block
    last 32 bytes the footer's size and SHA-256's first 16 bytes, the magic again

A piece is divided into blocks of 4,096 rows.  A block of any column is whole pages, has its own checksum, and
is the least that is ever read: no row is handed over that was not checked.  Nulls are filled in as in a
batch, their masks are columns of bytes, words are int32 codes of the file's own dictionary, which the footer
holds.  A file is read when its end is whole: a torn one has no footer.
"""

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpu_sink.columns.columns import VALID
from gpu_sink.columns.layout import PAGE_SIZE
from gpu_sink.columns.words import Word
from gpu_sink.contract import LABEL, ROLE
from gpu_sink.errors import SegmentError

MAGIC: Final = b"tidemark-segment"
VERSION: Final = 1
BLOCK_ROWS: Final = 4_096  # as many as a page has bytes: a block of any type begins and ends on a page
END: Final = struct.Struct("<q16s")  # the footer's size and checksum, before the magic
WORD_TYPES: Final = {"text": pa.string(), "bytes": pa.binary()}


def _weights() -> npt.NDArray[np.int64]:
    """One odd 64-bit weight per word of a block, from splitmix64."""
    with np.errstate(over="ignore"):
        z = np.arange(1, BLOCK_ROWS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) | np.uint64(1)).view(np.int64)


# The checksum of a block is the weighted sum of its 64-bit words modulo 2**64 (multilinear hashing): a
# card computes it where the bytes lie; a CRC it does not.  Odd weights: no change of one word goes unseen.
WEIGHTS: Final = _weights()


def checksums(blocks: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Per block [blocks, words] its checksum."""
    sums: npt.NDArray[np.int64] = blocks @ WEIGHTS[: blocks.shape[1]]
    return sums


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """One column of a batch as it is stored; `words` is "text" or "bytes" where it holds codes.

    `label` says that it is made of later rows.
    """

    name: str
    dtype: np.dtype[Any]
    nullable: bool
    words: str | None
    label: bool = False

    def field(self) -> pa.Field:
        """The column for readers of frames: codes are Arrow's dictionaries, the rest its numbers."""
        type_ = pa.from_numpy_dtype(self.dtype)
        if self.words is not None:
            type_ = pa.dictionary(pa.int32(), WORD_TYPES[self.words])
        return pa.field(self.name, type_, self.nullable, {ROLE: LABEL} if self.label else None)

    def parts(self) -> list[tuple[str, np.dtype[Any]]]:
        """What lies in the file: the values, and behind a nullable column's its mask."""
        values = [(self.name, self.dtype)]
        return [*values, (self.name + VALID, np.dtype(np.bool_))] if self.nullable else values


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The values of one column in one segment: where they begin, and the checksum of each block."""

    offset: int
    sums: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Rows whose columns lie one behind another."""

    rows: int
    pieces: dict[str, Piece]


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of itself; `layout` is the fingerprint of the frames it was written from."""

    layout: str
    partition: int
    columns: tuple[StoredColumn, ...]
    dictionaries: dict[str, list[Word]]
    segments: tuple[Segment, ...]

    @property
    def rows(self) -> int:
        """All rows of the file."""
        return sum(segment.rows for segment in self.segments)

    @property
    def schema(self) -> pa.Schema:
        """The columns for readers of frames."""
        return pa.schema([column.field() for column in self.columns])

    def to_bytes(self) -> bytes:
        """The footer as it is written, with the end of the file behind it."""
        fields = {
            "version": VERSION,
            "layout": self.layout,
            "partition": self.partition,
            "rows": self.rows,
            "columns": [[c.name, c.dtype.str, c.nullable, c.words] for c in self.columns],
            "labels": [column.name for column in self.columns if column.label],
            "dictionaries": {
                name: [word if isinstance(word, str) else word.hex() for word in words]
                for name, words in self.dictionaries.items()
            },
            "segments": [
                {
                    "rows": segment.rows,
                    "pieces": {n: [p.offset, p.sums.tobytes().hex()] for n, p in segment.pieces.items()},
                }
                for segment in self.segments
            ],
        }
        text = json.dumps(fields).encode()
        return text + END.pack(len(text), hashlib.sha256(text).digest()[:16]) + MAGIC

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Footer":
        """The footer in a file; raises KeyError, TypeError or ValueError for anything else."""
        labels = set(fields.get("labels", ()))  # of files from before there were any: none
        columns = tuple(
            StoredColumn(n, np.dtype(t), bool(null), words, n in labels)
            for n, t, null, words in fields["columns"]
        )
        binary = {column.name for column in columns if column.words == "bytes"}
        return cls(
            layout=str(fields["layout"]),
            partition=int(fields["partition"]),
            columns=columns,
            dictionaries={
                name: [bytes.fromhex(word) if name in binary else str(word) for word in words]
                for name, words in fields["dictionaries"].items()
            },
            segments=tuple(
                Segment(
                    int(one["rows"]),
                    {
                        name: Piece(int(offset), np.frombuffer(bytes.fromhex(sums), np.int64))
                        for name, (offset, sums) in one["pieces"].items()
                    },
                )
                for one in fields["segments"]
            ),
        )


def header_page() -> bytes:
    """The first page of a file."""
    return (MAGIC + struct.pack("<q", VERSION)).ljust(PAGE_SIZE, b"\0")


def read_footer(file: Path) -> Footer:
    """Read and check what a file says of itself; raises SegmentError naming file and offset.

    Checked: the magic at both ends, the version, the footer's checksum, and that pieces lie in the file.
    """
    with file.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        head = source.read(len(MAGIC) + 8)
        if head[: len(MAGIC)] != MAGIC:
            raise SegmentError(f"{file}: not a file of segments: it begins with {head[:16]!r}")
        version = int.from_bytes(head[len(MAGIC) :], "little")
        if version != VERSION:
            raise SegmentError(f"{file}: version {version} of segments, this library reads {VERSION}")
        tail_size = END.size + len(MAGIC)
        if size < PAGE_SIZE + tail_size:
            raise SegmentError(f"{file}: torn: it ends at offset {size}, before its footer; write it again")
        source.seek(size - tail_size)
        tail = source.read(tail_size)
        text_size, digest = END.unpack(tail[: END.size])
        if tail[END.size :] != MAGIC or not 0 <= text_size <= size - PAGE_SIZE - tail_size:
            raise SegmentError(f"{file}: torn: no footer ends at offset {size}; write it again")
        start = size - tail_size - text_size
        source.seek(start)
        text = source.read(text_size)
    if hashlib.sha256(text).digest()[:16] != digest:
        raise SegmentError(f"{file}: the footer at offset {start} does not match its checksum")
    try:
        footer = Footer.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as malformed:
        raise SegmentError(f"{file}: the footer at offset {start} is not one: {malformed!r}") from None
    _require_pieces(file, footer, start)
    return footer


def blocks_of(rows: int) -> int:
    """How many blocks so many rows take."""
    return -(-rows // BLOCK_ROWS)


def padded(size: int) -> int:
    """A size in bytes, up to the end of its page."""
    return -(-size // PAGE_SIZE) * PAGE_SIZE


def _require_pieces(file: Path, footer: Footer, upper: int) -> None:
    for segment in footer.segments:
        for column in footer.columns:
            for name, dtype in column.parts():
                piece = segment.pieces.get(name)
                if piece is None or piece.sums.size != blocks_of(segment.rows):
                    raise SegmentError(f"{file}: column {name} lacks a piece or checksums in its footer")
                end = piece.offset + padded(segment.rows * dtype.itemsize)
                if piece.offset < PAGE_SIZE or piece.offset % PAGE_SIZE or end > upper:
                    raise SegmentError(f"{file}: column {name} would lie at offset {piece.offset} to {end}")
