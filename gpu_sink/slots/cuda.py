"""Copies to a card: pinned host blocks, a stream of their own, and events on both sides of every slot.

A slot's round, on two streams and the host:

    host      fill | . . . . . . . . wait(copied) | fill the next round
    copies         | wait_event(used) copy record(copied)
    consumer       |                  wait_event(copied) kernels record(used)

So a copy runs while the consumer computes on another slot, and no host thread waits for a kernel.
"""

from typing import Any

from gpu_sink.columns.layout import Bytes, ColumnPlace
from gpu_sink.errors import DeviceError
from gpu_sink.slots.copies import Ticket


def require_card(device: str, torch: Any) -> Any:
    """The card of this name, a torch.device with its index; raises DeviceError where there is none."""
    if not torch.cuda.is_available():
        raise DeviceError(f'device="{device}": PyTorch sees no card here; say device="cpu"')
    card = torch.device(device)
    if card.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    if card.index >= torch.cuda.device_count():
        raise DeviceError(f'device="{device}": there are {torch.cuda.device_count()} cards, from cuda:0 on')
    return card


class CudaCopies:
    """A copy engine over PyTorch's CUDA streams; the consumer's stream is the one current in its thread.

    PyTorch's pinned memory comes in powers of two: a block a little below one wastes little, one a little
    above wastes half.  Columns used on further streams must be ordered by whoever uses them there.
    """

    def __init__(self, device: str) -> None:
        """Raises DeviceError without PyTorch or without the card."""
        from gpu_sink.adapters import require

        torch = require("torch", "a card", "tidemark-gpu-sink[torch]")
        self.device: Any = require_card(device, torch)
        self._torch = torch
        self._stream = torch.cuda.Stream(self.device)
        self._pinned: dict[int, Any] = {}  # by address of the host block

    def allocate(self, size: int) -> tuple[Bytes, Any]:
        """A pinned block, and as much memory on the card."""
        pinned = self._torch.zeros(size, dtype=self._torch.uint8).pin_memory()
        target = self._torch.empty(size, dtype=self._torch.uint8, device=self.device)
        target.record_stream(self._stream)
        # The memory may have been somebody's whose kernels still run on the consumer's stream.
        self._stream.wait_stream(self._torch.cuda.current_stream(self.device))
        host: Bytes = pinned.numpy()
        self._pinned[host.ctypes.data] = pinned
        return host, target

    def copy(self, host: Bytes, target: Any, used: Ticket | None) -> Ticket:
        """One copy for all columns, behind the consumer's last kernel on this target."""
        copied = self._torch.cuda.Event()
        with self._torch.cuda.stream(self._stream):
            if used is not None:
                self._stream.wait_event(used)
            target.copy_(self._pinned[host.ctypes.data], non_blocking=True)
            copied.record(self._stream)
        return copied

    def wait(self, copied: Ticket) -> None:
        """Block the host until the copy engine has read the block."""
        copied.synchronize()

    def join(self, copied: Ticket) -> None:
        """The consumer's stream waits for the copy; the host does not."""
        self._torch.cuda.current_stream(self.device).wait_event(copied)

    def used(self) -> Ticket:
        """An event behind everything on the consumer's stream."""
        used = self._torch.cuda.Event()
        used.record(self._torch.cuda.current_stream(self.device))
        return used

    def view(self, target: Any, place: ColumnPlace, rows: int) -> Any:
        """A tensor over the target."""
        dtype = getattr(self._torch, place.field.dtype.name)
        tensor = target[place.offset : place.offset + place.size].view(dtype)
        return tensor.view(rows, *place.field.row_shape)

    def own(self, column: Any) -> Any:
        """A clone on the consumer's stream."""
        return column.clone()

    def close(self) -> None:
        """Wait for the copies in flight, so that the blocks can go."""
        self._stream.synchronize()
        self._pinned.clear()
