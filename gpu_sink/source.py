"""The aligned stream: an aligned topic or a folder of aligned files, as frames or as batches of columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from gpu_sink.batches.batches import Batches
from gpu_sink.columns.words import Word
from gpu_sink.errors import ColumnError, OptionError
from gpu_sink.frames import Frame
from gpu_sink.ipc import DECODED_SIZE_MAX
from gpu_sink.options import BatchOptions
from gpu_sink.reading.folder import FolderFrames
from gpu_sink.reading.iterable import IterableFrames
from gpu_sink.reading.kafka import KafkaFrames
from gpu_sink.reading.source import FrameSource
from gpu_sink.tables import read_batches, read_frames, require_bounded, table_schema


class AlignedStream:
    """Aligned rows as they were sealed: frames by iterating, columns by `batches`.

    Rows of one partition come in sealed order.  A bounded stream (`until_end`, or folders) yields partition
    after partition, of several folders within each, so that two readings of the same range are equal; a live
    one yields as they arrive.

    A bounded stream is also a table, for whatever takes Arrow: `pa.table(stream)`, `pl.DataFrame(stream)`,
    `pd.DataFrame.from_arrow(stream)`, `from stream` in DuckDB.  Each reads it from its beginning, and none
    holds more of it than it wants.
    """

    def __init__(self, source: FrameSource) -> None:
        """Read from any source of frames; most callers want one of the three `from_`."""
        self.source = source

    @classmethod
    def from_kafka(
        cls,
        bootstrap: str,
        topic: str,
        *,
        partitions: Sequence[int] | None = None,
        offsets: Mapping[int, int] | Literal["end"] | None = None,
        until_end: bool = False,
        layout: str | None = None,
        group: str | None = None,
        settings: Mapping[str, str | int | bool] | None = None,
        decoded_size_max: int = DECODED_SIZE_MAX,
    ) -> "AlignedStream":
        """Read an aligned topic: committed frames only, partitions chosen by the reader and not by a group.

        `partitions`  the ones to read; all of them where not given.
        `offsets`     where to start, per partition; the beginning of the log where not given.  `"end"`: only
                      what is committed once an iteration has begun.  A state or the group's offsets win.
        `until_end`   stop at the ends that the partitions have when iteration starts; else never.
        `layout`      refuse frames of any other fingerprint.
        `group`       go on where this group has committed, and let `commit` commit to it.
        `settings`    further librdkafka settings, such as `security.protocol`.
        `decoded_size_max`  bytes that a frame may unpack to; one of more is refused before it is unpacked.

        Raises SourceError where confluent-kafka is missing, no broker answers within 10 s, or the topic or a
        partition is not there; OptionError for offsets that are neither.
        """
        if not (offsets is None or offsets == "end" or isinstance(offsets, Mapping)):
            raise OptionError(
                f'offsets is {offsets!r}: say "end", or the offset of each partition, {{0: 1200}}'
            )
        source = KafkaFrames(
            bootstrap=bootstrap,
            topic=topic,
            chosen=partitions,
            offsets=offsets or {},
            until_end=until_end,
            layout=layout,
            group=group,
            settings=settings or {},
            decoded_size_max=decoded_size_max,
        )
        source.partitions()  # what is wrong with address, topic or login is better known now
        return cls(source)

    @classmethod
    def from_folder(cls, folder: str | Path | Sequence[str | Path]) -> "AlignedStream":
        """Read the aligned Parquet and frame files of a folder, or its segments, by the order of names.

        Several folders, a day each, are read one after another: a list of them, a pattern
        (`"build/replay/*/aligned"`), or a folder of folders named `day=2024-01-15`.  Files of one name are
        one partition.  Raises SourceError where a folder or its files are missing.
        """
        places = [folder] if isinstance(folder, str | Path) else folder
        return cls(FolderFrames([Path(place) for place in places]))

    @classmethod
    def from_frames(
        cls, frames: Iterable[Frame], *, partitions: Sequence[int] | None = None
    ) -> "AlignedStream":
        """Read any iterable of frames; `partitions` names those there are where it can be read only once."""
        return cls(IterableFrames(frames, partitions))

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames, as they are in the log; raises SourceError and FrameError."""
        return read_frames(self.source)

    @property
    def schema(self) -> pa.Schema:
        """The columns of the stream as a table, all nullable: those of its newest frames.

        Raises SourceError for a live stream and for one without frames, ColumnError where parts of it have a
        column of two kinds.
        """
        require_bounded(self.source)
        return table_schema(self.source)

    def __arrow_c_schema__(self) -> object:
        """The schema by the Arrow PyCapsule interface; raises as `schema`."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows by the Arrow PyCapsule interface, read as they are taken; raises as `schema`.

        A row group or frame is a batch.  Columns that a frame lacks are null in its rows.  What is wrong with
        a frame is then the error of the library that reads, with the words of ours.
        """
        schema = self.schema
        batches = pa.RecordBatchReader.from_batches(schema, read_batches(self.source, schema))
        return batches.__arrow_c_stream__(requested_schema)

    def batches(self, *, reader: int = 0, readers: int = 1, **options: Any) -> Batches:
        """Batches of columns; `options` are the fields of `BatchOptions`, which raises OptionError.

        Reader number `reader` of `readers` gets every `readers`-th partition, and no other reader gets those.
        """
        return Batches(self.source, BatchOptions(**options), reader=reader, readers=readers)

    def words(self, column: str) -> list[Word]:
        """All words of a text column, sorted: what `dictionaries=` takes.  Reads the whole bounded stream.

        Raises ColumnError where no frame has such a column.
        """
        words: set[Word] = set()
        lacking: Frame | None = None
        there = False
        for frame in self:
            if column not in frame.rows.schema.names:
                lacking = frame
                continue
            there = True
            words.update(
                word for word in pc.unique(frame.rows.column(column)).to_pylist() if word is not None
            )
        if lacking is not None and not there:
            raise ColumnError(f"{lacking.place}: no column {column}")
        return sorted(words)
