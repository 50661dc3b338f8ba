"""An aligned stream as a PyTorch dataset of whole batches, divided among ranks and workers by partition."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch.utils.data import IterableDataset, get_worker_info
from torch.utils.data._utils.collate import default_collate_fn_map

from gpu_sink.batches.batch import Batch
from gpu_sink.batches.batches import Batches
from gpu_sink.columns.words import Word
from gpu_sink.errors import OptionError, StateError
from gpu_sink.options import BatchOptions
from gpu_sink.source import AlignedStream


class AlignedDataset(IterableDataset[Batch]):
    """Yields dicts of tensors; use it with `DataLoader(dataset, batch_size=None)`.

    Every partition has one reader: rank r of w, worker k of n, is reader `r * n + k` of `w * n`.  Rank and
    world are torch.distributed's where it runs, else 0 and 1, unless given.  The state is the reader's: with
    worker processes it is in the workers, where torchdata's StatefulDataLoader finds it.
    """

    def __init__(
        self, stream: AlignedStream, *, rank: int | None = None, world: int | None = None, **options: Any
    ) -> None:
        """`options` are the fields of `BatchOptions`, which raises OptionError; columns are tensors."""
        if (rank is None) != (world is None):
            raise OptionError("rank and world go together: give both or neither")
        self._stream = stream
        self._rank, self._world = rank, world
        self._options = BatchOptions(**{**options, "arrays": "torch"})
        self._batches: Batches | None = None
        self._batches_of: int | None = None  # the worker they are of, None for a process that is none
        self._was_loaded = False
        flag = cast("Any", torch.zeros(1, dtype=torch.bool))  # untyped in PyTorch
        self._read_by_workers: torch.Tensor = flag.share_memory_()

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of this process's share; see `Batches`."""
        batches = self._reader()
        if get_worker_info() is None:
            self._was_loaded = False
            self._read_by_workers[0] = False
        else:
            self._read_by_workers[0] = True
        return iter(batches)

    @property
    def dictionaries(self) -> dict[str, list[Word]]:
        """Per text column the words that its codes stand for, as far as this process has read."""
        return self._reader().dictionaries

    def state_dict(self) -> dict[str, Any]:
        """The state at the last batch that this process handed over, as JSON takes it.

        Raises StateError in a process that leaves reading to loader workers.
        """
        if get_worker_info() is None and bool(self._read_by_workers[0]):
            raise StateError(
                "the rows are read by worker processes, and the state is theirs: say num_workers=0, or use "
                "torchdata's StatefulDataLoader and its state_dict()"
            )
        return self._reader().state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration go on from a state; raises StateError for one that is another's."""
        self._reader().load_state_dict(state)
        self._was_loaded = get_worker_info() is None

    def commit(self) -> None:
        """Commit what this process handed over to the stream's group; see `Batches.commit`."""
        self._reader().commit()

    def _reader(self) -> Batches:
        """This process's reader, made when first asked for: a worker's differs from its parent's."""
        worker = get_worker_info()
        rank, world = self._ranks()
        me = None if worker is None else worker.id
        if worker is not None and self._was_loaded:
            raise StateError(
                "a state was loaded into the dataset, but worker processes read it: say num_workers=0, or "
                "use torchdata's StatefulDataLoader and its load_state_dict()"
            )
        if self._batches is None or self._batches_of != me:  # a forked worker has its parent's
            options, number, readers = self._options, rank, world
            if worker is not None:
                number, readers = rank * worker.num_workers + worker.id, world * worker.num_workers
                if options.device != "cpu":
                    raise OptionError('worker processes share no card: say device="cpu", or num_workers=0')
                options = replace(options, copy=True)  # sent to another process while the slot goes round
            self._batches = Batches(self._stream.source, options, reader=number, readers=readers)
            self._batches_of = me
        return self._batches

    def _ranks(self) -> tuple[int, int]:
        if self._rank is not None and self._world is not None:
            return self._rank, self._world
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1

    def __getstate__(self) -> dict[str, Any]:
        """What a worker process gets: no reader of its parent's, but its parent's place among the ranks.

        A spawned worker does not know of torch.distributed, and would be rank 0 of 1.
        """
        rank, world = self._ranks()
        return {**self.__dict__, "_batches": None, "_rank": rank, "_world": world}


def refuse_to_collate(batches: object, *, collate_fn_map: object = None) -> None:
    """Raise OptionError: a loader that was not told so takes batches for single rows, and stacks them."""
    raise OptionError(
        "DataLoader is to make batches of batches: pass batch_size=None, the dataset makes batches, and say "
        "how long they are with batch_rows= of AlignedDataset"
    )


default_collate_fn_map[Batch] = refuse_to_collate
