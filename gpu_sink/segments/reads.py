"""Reading blocks of segments: straight to where they are wanted, each checked before it is used."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gpu_sink.columns.columns import VALID
from gpu_sink.columns.layout import page_aligned
from gpu_sink.columns.words import NULL_CODE
from gpu_sink.errors import SegmentError
from gpu_sink.segments.file import BLOCK_ROWS, Footer, Segment, checksums

# How the bytes really came: all of them past the host's memory (GPUDirect Storage), some of them so, by
# kvikio through the host's memory, or by plain reads into it.
Mode = Literal["gpudirect", "gpudirect in part", "kvikio compat", "posix"]
WORD_SIZE: Final = 8  # bytes; checksums are over 64-bit words


class Reads(Protocol):
    """Reads an open file into memory of one kind, the host's or a card's."""

    mode: Mode

    def empty(self, size: int) -> Any:
        """Memory of that kind, `size` bytes."""
        ...

    def bytes_of(self, column: Any) -> Any:
        """The bytes of a column, where they lie."""
        ...

    def read(self, offset: int, out: Any) -> int:
        """Fill `out` from the file, return how many bytes there were; raises OSError."""
        ...

    def sums(self, data: Any, block_size: int) -> npt.NDArray[np.int64]:
        """The checksums of the blocks in `data`."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class HostReads:
    """`preadv` into the host's memory."""

    mode: Mode = "posix"

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_RDONLY)

    def empty(self, size: int) -> Any:
        """Memory that begins on a page."""
        return page_aligned(size)

    def bytes_of(self, column: Any) -> Any:
        """A view."""
        return column.view(np.uint8)

    def read(self, offset: int, out: Any) -> int:
        """Read until `out` is full or the file ends."""
        done = 0
        while done < out.size:
            count = os.preadv(self._file, [out[done:]], offset + done)
            if not count:
                break
            done += count
        return done

    def sums(self, data: Any, block_size: int) -> npt.NDArray[np.int64]:
        """Checked by the processor."""
        return checksums(data.view(np.int64).reshape(-1, block_size // WORD_SIZE))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class SegmentRows:
    """The rows of one segment, which stay in the file until somebody says where they are wanted.

    It stands where a frame has its record batch, with as much of its interface as a feed needs.
    """

    def __init__(self, file: Path, footer: Footer, number: int) -> None:
        self.file = file
        self.footer = footer
        self.segment: Segment = footer.segments[number]
        self.num_rows = self.segment.rows
        self.schema = footer.schema
        self._read: dict[str, pa.Array] = {}

    def column(self, name: str) -> pa.Array:
        """Read one column, once; raises SegmentError."""
        if name not in self._read:
            pieces = PieceReader(HostReads)
            try:
                self._read[name] = self._column(name, pieces)
            finally:
                pieces.close()
        return self._read[name]

    def to_arrow(self) -> pa.RecordBatch:
        """Read all columns; raises SegmentError."""
        columns = [self.column(name) for name in self.schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def words(self, name: str) -> pa.Array:
        """The words of a column of codes."""
        return pa.array(self.footer.dictionaries[name], self.schema.field(name).type.value_type)

    def _column(self, name: str, pieces: "PieceReader") -> pa.Array:
        (stored,) = (column for column in self.footer.columns if column.name == name)
        values = np.empty(self.num_rows, stored.dtype)
        pieces.read(self, name, 0, values)
        missing = None
        if stored.nullable:
            valid = np.empty(self.num_rows, np.bool_)
            pieces.read(self, name + VALID, 0, valid)
            missing = ~valid
        if stored.words is None:
            return pa.array(values, mask=missing)
        codes = pa.array(values, mask=values == NULL_CODE)
        return pa.DictionaryArray.from_arrays(codes, self.words(name))


class PieceReader:
    """Reads rows of columns through one kind of reads; keeps a file open and each column's last block."""

    def __init__(self, opens: Callable[[Path], Reads]) -> None:
        self.mode: Mode | None = None  # of the file read last
        self._opens = opens
        self._file: Path | None = None
        self._reads: Reads | None = None
        self._blocks: dict[str, Any] = {}
        self._held: dict[str, tuple[Segment, int]] = {}  # which block that is

    def read(self, rows: SegmentRows, name: str, lower: int, out: Any) -> None:
        """Fill `out`, an array or tensor of the stored type, with rows from `lower` on.

        Whole blocks that fit into `out` on a multiple of 8 bytes are read to where they are wanted
        and checked there, the others by way of a block of scratch.  Raises SegmentError naming the place.
        """
        reads = self._open(rows.file)
        data = reads.bytes_of(out)
        width = len(data) // max(len(out), 1)
        address = out.data_ptr() if hasattr(out, "data_ptr") else out.ctypes.data
        at, count = 0, len(out)
        while at < count:
            block, within = divmod(lower + at, BLOCK_ROWS)
            whole = (count - at) // BLOCK_ROWS
            if not within and whole and (address + at * width) % WORD_SIZE == 0:
                part = data[at * width : (at + whole * BLOCK_ROWS) * width]
                self._fill(rows, name, block, width, part)
                at += whole * BLOCK_ROWS
            else:
                here = min(count - at, BLOCK_ROWS - within)
                scratch = self._block(rows, name, block, width)
                data[at * width : (at + here) * width] = scratch[within * width : (within + here) * width]
                at += here
        self.mode = reads.mode

    def close(self) -> None:
        """Let go of the file."""
        if self._reads is not None:
            self._reads.close()
        self._file = self._reads = None
        self._blocks, self._held = {}, {}

    def _open(self, file: Path) -> Reads:
        if self._reads is None or self._file != file:
            self.close()
            try:
                self._reads = self._opens(file)
            except OSError as gone:
                raise SegmentError(f"{file}: cannot be read: {gone}") from gone
            self._file = file
        return self._reads

    def _block(self, rows: SegmentRows, name: str, block: int, width: int) -> Any:
        """One block in scratch memory, as long as it is."""
        reads = self._open(rows.file)
        if name not in self._blocks:
            self._blocks[name] = reads.empty(BLOCK_ROWS * WORD_SIZE)
        count = min(BLOCK_ROWS, rows.num_rows - block * BLOCK_ROWS)
        size = -(-count * width // WORD_SIZE) * WORD_SIZE  # a piece goes on with zeros
        scratch = self._blocks[name][:size]
        if self._held.get(name) != (rows.segment, block):
            self._held.pop(name, None)
            self._fill(rows, name, block, width, scratch)
            self._held[name] = (rows.segment, block)
        return scratch

    def _fill(self, rows: SegmentRows, name: str, block: int, width: int, out: Any) -> None:
        """Read blocks from number `block` on and compare their checksums."""
        assert self._reads is not None
        piece = rows.segment.pieces[name]
        offset = piece.offset + block * BLOCK_ROWS * width
        try:
            read = self._reads.read(offset, out)
        except OSError as failed:
            raise SegmentError(f"{rows.file}: column {name} at offset {offset}: {failed}") from failed
        if read != len(out):
            raise SegmentError(
                f"{rows.file}: torn: column {name} has {read} of {len(out)} bytes at offset {offset}"
            )
        size = min(len(out), BLOCK_ROWS * width)
        expected = piece.sums[block : block + -(-len(out) // size)]
        sums = self._reads.sums(out, size)
        if not np.array_equal(sums, expected):
            bad = int(np.flatnonzero(sums != expected)[0])
            raise SegmentError(
                f"{rows.file}: corrupt: column {name} at offset {offset + bad * size} does not match its "
                "checksum"
            )


def gds_reads(stats: Path = Path("/proc/driver/nvidia-fs/stats")) -> int | None:
    """How many reads past the host's memory the driver has done; None without such a driver."""
    with suppress(OSError):
        for line in stats.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name.strip() == "Reads" and "ok=" in rest:
                return int(rest.partition("ok=")[2].split()[0])
    return None


def mode_of(direct_count: int, read_count: int) -> Mode:
    """What kvikio really did, by how many of its reads the driver counted as past the host's memory."""
    if not direct_count:
        return "kvikio compat"
    return "gpudirect" if direct_count == read_count else "gpudirect in part"
