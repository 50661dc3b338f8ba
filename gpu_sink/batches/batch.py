"""A batch: columns by name, and in a debug mode one that notices being read or held for too long."""

import gc
import warnings
from collections import deque
from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any
from weakref import ref

import numpy as np

from gpu_sink.errors import HeldWarning, OverwrittenError
from gpu_sink.reading.feed import Run
from gpu_sink.slots.ring import Slot


class Batch(dict[str, Any]):
    """Columns of equal length by name: NumPy arrays or tensors [rows, ...].

    `rows`           rows that are rows; with `pad` the columns are longer.
    `runs`           where they came from, in their order; none where they were shuffled.
    `sealed_ns`      the worker's clock when the newest of their frames was sealed; None for files.
    `tile_lower_ns`  where their tile of time begins; None without tiles.
    `labels`         the columns that are made of later rows: to be trained on, and never a model's input.

    Unless `copy` is chosen, columns are valid until the next batch is asked for.
    """

    rows: int
    runs: tuple[Run, ...]
    sealed_ns: int | None
    tile_lower_ns: int | None
    labels: tuple[str, ...]


class GuardedBatch(Batch):
    """A batch whose columns cannot be read through it once its slot has gone to later rows.

    Raises OverwrittenError then.
    """

    def __init__(self, columns: dict[str, Any], slot: Slot, number: int) -> None:
        """Columns that lie in a slot, as batch `number` of an iteration."""
        super().__init__(columns)
        self._slot, self._rounds, self._number = slot, slot.rounds, number

    def __getitem__(self, name: str) -> Any:
        """The column, as long as it is this batch's."""
        self._require_own()
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        """The names; who copies the batch to another dict comes this way."""
        self._require_own()
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """The column, as long as it is this batch's."""
        self._require_own()
        return super().get(name, default)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """The columns, as long as they are this batch's."""
        self._require_own()
        return ValuesView(self)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """Names and columns, as long as they are this batch's."""
        self._require_own()
        return ItemsView(self)

    def _require_own(self) -> None:
        if self._slot.rounds != self._rounds:
            raise OverwrittenError(
                f"batch {self._number} (counted from 0) is read after its slot went to later rows: its "
                "columns are no longer its own; use a batch before you ask for the next one, or say "
                "copy=True to keep it"
            )


class Guard:
    """Hands out guarded batches, and looks whether the columns of earlier ones are let go."""

    def __init__(self) -> None:
        self._count = 0
        self._out: deque[tuple[int, list[ref[Any]]]] = deque()

    def guarded(self, columns: dict[str, Any], slot: Slot) -> GuardedBatch:
        """These columns as a batch, in arrays of its own over the same memory."""
        views = {name: _own_view(column) for name, column in columns.items()}
        batch = GuardedBatch({name: view for name, (view, _) in views.items()}, slot, self._count)
        self._out.append((self._count, [ref(owner) for _, owner in views.values()]))
        self._count += 1
        return batch

    def look(self) -> None:
        """Warn with HeldWarning of columns that somebody has whose batch is not the last one handed out.

        A loop's variable has the last one until the next one comes.
        """
        while len(self._out) > 1:
            number, watched = self._out.popleft()
            if not _is_held(watched):
                continue
            gc.collect()
            if _is_held(watched):
                warnings.warn(
                    f"columns of batch {number} (counted from 0) are still held, and their slot goes round: "
                    "they will hold later rows; let them go before you ask for the batch after the next, or "
                    "say copy=True to keep them (list(batches) needs it)",
                    HeldWarning,
                    stacklevel=2,
                )


def _is_held(watched: list[ref[Any]]) -> bool:
    return any(each() is not None for each in watched)


def _own_view(column: Any) -> tuple[Any, Any]:
    """The column as an object of its own, and what lives as long as it or any view of it.

    NumPy lets a view of a view hold the array at the bottom; one over a memoryview is held itself.  On a card
    only the tensor is watched, not what is cut from it.
    """
    if isinstance(column, np.ndarray):
        view = np.asarray(column.data)
        return view, view
    if column.device.type != "cpu":
        tensor = column[:]
        return tensor, tensor
    import torch

    view = np.asarray(column.numpy().data)
    return torch.from_numpy(view), view
