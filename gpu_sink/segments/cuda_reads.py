"""From disk to a card's memory: kvikio reads blocks of segments to where the batch has them.

What runs underneath is kvikio's to decide: GPUDirect Storage where driver, file system and container allow
it, else reads through the host's memory.  Which of the two it was is read off the driver's own counter after
each read, so a fall-back is never called GPUDirect.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_sink.adapters import require
from gpu_sink.columns.layout import Bytes, page_aligned
from gpu_sink.errors import SegmentError
from gpu_sink.options import BatchOptions
from gpu_sink.segments.file import WEIGHTS
from gpu_sink.segments.reads import WORD_SIZE, Mode, SegmentRows, gds_reads, mode_of
from gpu_sink.slots.copies import CopyEngine, Ticket
from gpu_sink.slots.cuda import CudaCopies
from gpu_sink.slots.engine import copy_engine


class CudaReads(CudaCopies):
    """Slots that are filled on the card: the host blocks of the ring are never touched."""

    def allocate(self, size: int) -> tuple[Bytes, Any]:
        """Addresses without memory behind them, and memory on the card."""
        target = self._torch.empty(size, dtype=self._torch.uint8, device=self.device)
        return page_aligned(size), target

    def copy(self, host: Bytes, target: Any, used: Ticket | None) -> Ticket:
        """Nothing to copy: stand for what the filler has begun."""
        filled = self._torch.cuda.Event()
        filled.record(self._torch.cuda.current_stream(self.device))
        return filled

    def close(self) -> None:
        """Wait for all that fills slots, which is on the filler's stream and not on the copies'."""
        self._torch.cuda.synchronize(self.device)

    def open(self, file: Path) -> "DeviceReads":
        """Read a file into this card's memory; raises OSError."""
        return DeviceReads(file, self._torch, self.device)


class DeviceReads:
    """kvikio into a card's memory."""

    def __init__(self, file: Path, torch: Any, device: Any) -> None:
        kvikio = require("kvikio", "segments on a card", "kvikio-cu12 or kvikio-cu13")
        self.mode: Mode = "kvikio compat"
        self._torch = torch
        self._device = device
        self._weights = torch.from_numpy(WEIGHTS.copy()).to(device)
        self._file = kvikio.CuFile(file, "r")
        self._name = file
        self._read_count = self._direct_count = 0

    def empty(self, size: int) -> Any:
        """Memory on the card."""
        return self._torch.empty(size, dtype=self._torch.uint8, device=self._device)

    def bytes_of(self, column: Any) -> Any:
        """A view."""
        return column.view(self._torch.uint8)

    def read(self, offset: int, out: Any) -> int:
        """Wait for what was begun on `out`, and then for the read."""
        self._torch.cuda.current_stream(self._device).synchronize()
        before = gds_reads()
        try:
            count = int(self._file.pread(out, len(out), offset).get())
        except RuntimeError as refused:  # all that kvikio raises
            raise SegmentError(f"{self._name}: kvikio cannot read at offset {offset}: {refused}") from refused
        after = gds_reads()
        self._read_count += 1
        self._direct_count += before is not None and after is not None and after > before
        self.mode = mode_of(self._direct_count, self._read_count)
        return count

    def sums(self, data: Any, block_size: int) -> npt.NDArray[np.int64]:
        """Checked by the card, where the bytes lie."""
        words = data.view(self._torch.int64).view(-1, block_size // WORD_SIZE)
        sums: npt.NDArray[np.int64] = (words * self._weights[: words.shape[1]]).sum(1).cpu().numpy()
        return sums

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def engine_for(options: BatchOptions, rows: Any) -> CopyEngine:
    """The engine for the options' device and the first frame's rows.

    Segments go straight to a card where kvikio is installed and nothing is to be done to them on the host: no
    other types, windows, shuffling or padding.
    """
    plain = not (options.dtypes or options.windows or options.shuffle_rows or options.pad)
    if options.device != "cpu" and plain and isinstance(rows, SegmentRows) and find_spec("kvikio"):
        return CudaReads(options.device)
    return copy_engine(options)
