"""The loaders that the sink is measured against: what one writes first with pyarrow and PyTorch.

They are spared what the sink does besides: headers, fingerprint, bounds and UTF-8 are not checked, and their
batches lie in new memory, which `pin_memory()` would copy once more, where the sink's lie in a slot.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from gpu_sink.frames import FrameDecoder, Place
from gpu_sink.source import AlignedStream

BATCH_ROWS = 4_096

Message = tuple[bytes, list[tuple[str, bytes | None]]]
Columns = Mapping[str, Any]


def ours(messages: list[Message]) -> Iterator[Columns]:
    """Batches of the sink: decoding and checks included, made when asked for as by the others."""
    decoder = FrameDecoder()
    frames = (
        decoder.decode(value, headers, Place("bench", 0, offset))
        for offset, (value, headers) in enumerate(messages)
    )
    stream = AlignedStream.from_frames(frames, partitions=[0])
    return iter(stream.batches(batch_rows=BATCH_ROWS, prefetch=0, arrays="torch"))


def columns_of(value: bytes, codes: dict[str, int]) -> dict[str, torch.Tensor]:
    """A frame's columns as tensors: pyarrow, `torch.from_numpy`, a mask beside each nullable column."""
    rows = pa.ipc.open_stream(value).read_all()
    found = {}
    for name in rows.schema.names:
        column = rows[name].combine_chunks()
        if pa.types.is_string(column.type):
            words = column.to_pylist()
            numbers = np.array([codes.setdefault(word, len(codes)) for word in words], np.int32)
        else:
            if column.null_count:
                filler = float("nan") if pa.types.is_floating(column.type) else 0
                numbers = column.fill_null(filler).to_numpy(zero_copy_only=False).copy()
            else:
                numbers = column.to_numpy(zero_copy_only=False).copy()
        found[name] = torch.from_numpy(numbers)
        if rows.schema.field(name).nullable:
            valid = column.is_valid().to_numpy(zero_copy_only=False).copy()
            found[name + "_valid"] = torch.from_numpy(valid)
    return found


def by_frame(messages: list[Message]) -> Iterator[Columns]:
    """pyarrow and `torch.from_numpy` per frame and column, `torch.cat` to batches of the size asked for."""
    codes: dict[str, int] = {}
    waiting: list[dict[str, torch.Tensor]] = []
    rows = 0
    for value, _ in messages:
        frame = columns_of(value, codes)
        waiting.append(frame)
        rows += len(next(iter(frame.values())))
        while rows >= BATCH_ROWS:
            joined = {name: torch.cat([one[name] for one in waiting]) for name in frame}
            yield {name: column[:BATCH_ROWS] for name, column in joined.items()}
            waiting = [{name: column[BATCH_ROWS:] for name, column in joined.items()}]
            rows -= BATCH_ROWS
    if rows:
        yield {name: torch.cat([one[name] for one in waiting]) for name in waiting[0]}


class FrameDicts(IterableDataset[dict[str, torch.Tensor]]):
    """Yields the columns of each frame, for a DataLoader that collates frames to batches."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        codes: dict[str, int] = {}
        for value, _ in self._messages:
            yield columns_of(value, codes)


def concatenated(frames: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Frames as one batch."""
    return {name: torch.cat([frame[name] for frame in frames]) for name in frames[0]}


def by_iterable(messages: list[Message]) -> Iterator[Columns]:
    """A DataLoader over frames, as many collated as make a batch; one of larger frames is cut up."""
    frame_rows = int(dict(messages[0][1])["tidemark-rows"] or 0)
    loader = DataLoader(
        FrameDicts(messages), batch_size=max(1, BATCH_ROWS // frame_rows), collate_fn=concatenated
    )
    for batch in loader:
        rows = len(next(iter(batch.values())))
        for lower in range(0, rows, BATCH_ROWS):
            yield {name: column[lower : lower + BATCH_ROWS] for name, column in batch.items()}


class RowDicts(Dataset[dict[str, Any]]):
    """Rows of decoded frames by number, each a dict: what a map-style dataset is."""

    def __init__(self, messages: list[Message]) -> None:
        codes: dict[str, int] = {}
        self._columns = concatenated([columns_of(value, codes) for value, _ in messages])
        self._rows = len(next(iter(self._columns.values())))

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: column[row] for name, column in self._columns.items()}


def by_row(messages: list[Message]) -> Iterator[Columns]:
    """The plain DataLoader: `batch_size` over a dataset of rows, collated as PyTorch does by itself."""
    return iter(DataLoader(RowDicts(messages), batch_size=BATCH_ROWS))


LOADERS = {"gpu_sink": ours, "per frame": by_frame, "IterableDataset": by_iterable, "row-wise": by_row}
