"""The copy engine: how a filled block gets to its consumer, and when each side is done with it.

The ring knows this interface only.  `HostCopies` serves the CPU, where the block is read where it was filled;
`CudaCopies` (`gpu_sink.slots.cuda`) copies on a stream of its own.
"""

from typing import Any, Protocol

from gpu_sink.columns.layout import Bytes, ColumnPlace, page_aligned

Ticket = Any  # stands for work in flight; what it is, the engine alone knows


class CopyEngine(Protocol):
    """Memory in pairs, a host block and its target, and the order of what happens to them."""

    def allocate(self, size: int) -> tuple[Bytes, Any]:
        """Return a host block of `size` bytes, which may be pinned, and the target that it is copied to."""
        ...

    def copy(self, host: Bytes, target: Any, used: Ticket | None) -> Ticket:
        """Begin to copy the block to its target, once the consumer's work behind `used` is done."""
        ...

    def wait(self, copied: Ticket) -> None:
        """Return when the copy is done, so that the host block may be written again."""
        ...

    def join(self, copied: Ticket) -> None:
        """Let the consumer's work from now on see what was copied."""
        ...

    def used(self) -> Ticket:
        """Stand for all that the consumer has begun until now."""
        ...

    def view(self, target: Any, place: ColumnPlace, rows: int) -> Any:
        """The column [rows, ...] that lies at a place of the target."""
        ...

    def own(self, column: Any) -> Any:
        """A copy of a column that does not lie in a target."""
        ...

    def close(self) -> None:
        """Return when no copy is in flight."""
        ...


class HostCopies:
    """Plain memory and no copy: the target is the host block, and what is begun is done."""

    def __init__(self, *, tensors: bool = False) -> None:
        """`tensors`: columns are CPU tensors of PyTorch instead of NumPy arrays, over the same memory."""
        self._tensors = tensors

    def allocate(self, size: int) -> tuple[Bytes, Any]:
        """One page-aligned block, twice."""
        block = page_aligned(size)
        return block, block

    def copy(self, host: Bytes, target: Any, used: Ticket | None) -> Ticket:
        """Nothing to do."""
        assert host is target
        return None

    def wait(self, copied: Ticket) -> None:
        """Nothing to wait for."""

    def join(self, copied: Ticket) -> None:
        """Nothing to order."""

    def used(self) -> Ticket:
        """The consumer's work is done when it says so."""
        return None

    def view(self, target: Any, place: ColumnPlace, rows: int) -> Any:
        """A view of the block."""
        field = place.field
        array = target[place.offset : place.offset + place.size].view(field.dtype)
        array = array.reshape(rows, *field.row_shape)
        if not self._tensors:
            return array
        import torch

        return torch.from_numpy(array)

    def own(self, column: Any) -> Any:
        """A copy."""
        return column.clone() if self._tensors else column.copy()

    def close(self) -> None:
        """Nothing is in flight."""
