"""One iteration over a stream, put together: reader, feed, filler, ring, and what goes round between them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from gpu_sink.batches.fill import (
    POLL_WAIT_S,
    Content,
    Gathered,
    Gatherer,
    OrderedFiller,
    ShuffledFiller,
    pad_rows,
)
from gpu_sink.batches.prefetch import FilledSlots, OnDemand, Prefetcher
from gpu_sink.batches.state import Mark
from gpu_sink.columns.columns import VALID, ColumnPlan, ColumnWriter, fields_of, plan_columns, word_type
from gpu_sink.columns.layout import Field, SlotLayout
from gpu_sink.columns.windows import History, WindowMaker, require_features, window_fields
from gpu_sink.columns.words import Dictionary
from gpu_sink.errors import OptionError, SourceError
from gpu_sink.options import ROW_VALID, WINDOWS, BatchOptions
from gpu_sink.reading.feed import Feed
from gpu_sink.reading.layouts import LayoutRule, grown_schema
from gpu_sink.reading.source import FrameReader, FrameSource
from gpu_sink.segments.columns import SegmentColumns
from gpu_sink.segments.cuda_reads import CudaReads
from gpu_sink.segments.reads import HostReads, PieceReader
from gpu_sink.slots.copies import CopyEngine
from gpu_sink.slots.ring import Ring, Slot


class Pipeline:
    """Everything that the first frame's columns decide, made once; batches allocate nothing of their size."""

    def __init__(
        self,
        source: FrameSource,
        reader: FrameReader,
        feed: Feed,
        schema: pa.Schema,
        options: BatchOptions,
        engine: CopyEngine,
        dictionaries: dict[str, Dictionary],
        seed: Sequence[int],
    ) -> None:
        """`dictionaries` is added to: earlier ones keep their codes; `seed` is the shuffle's."""
        self.feed = feed
        self.engine = engine
        self._source = source
        self._reader = reader
        self._options = options
        self._plans = plan_columns(schema, options.columns_read, options.dtypes)
        feed.rule = LayoutRule(schema, self._plans, options)
        _add_dictionaries(dictionaries, self._plans, options)
        rows_max = max(options.batch_rows, options.shuffle_rows)
        self._writer = ColumnWriter(self._plans, dictionaries, rows_max)
        self.pieces = PieceReader(engine.open if isinstance(engine, CudaReads) else HostReads)
        segments = SegmentColumns(self._plans, dictionaries, rows_max, self.pieces)
        self._gatherer = Gatherer(feed, self._writer, segments, options)
        self.windows: WindowMaker | None = None
        if options.windows is not None:
            require_features(options.windows, self._plans)
            self.windows = WindowMaker(options.windows, self._plans, dictionaries, rows_max)
        fields = fields_of(self._plans)
        self._filler: OrderedFiller | ShuffledFiller
        if options.shuffle_rows:
            buffer = SlotLayout.of(fields, options.shuffle_rows)
            self._filler = ShuffledFiller(self._gatherer, options, self.windows, buffer, seed)
        else:
            self._filler = OrderedFiller(self._gatherer, options, self.windows)
        self.layout = SlotLayout.of(_with_extras(fields, options), options.batch_rows)
        self.ring = Ring(engine, self.layout, options.prefetch + 1, feed.waits)
        if options.columns is not None:
            self.ring.hide(
                {
                    name
                    for plan in self._plans
                    for name in (plan.name, plan.name + VALID)
                    if plan.name not in options.columns
                }
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns of batches that are made of later rows."""
        chosen = self._options.columns
        labels = [plan.name for plan in self._plans if plan.label]
        return tuple(name for name in labels if chosen is None or name in chosen)

    def restore(self, mark: Mark, history: History | None) -> None:
        """Take up an earlier life: the windows' history, and the shuffle buffer with the rows it had."""
        if self.windows is not None and history is not None:
            self.windows.history.take_up(history)
        if isinstance(self._filler, ShuffledFiller):
            if mark.handed_over:
                self._filler.restore(self._read_again(mark, self._filler), mark.number, mark.handed_over)
            else:
                self._filler.start_after(mark.number)

    def start(self) -> FilledSlots:
        """Begin to fill slots."""
        if not self._options.prefetch:
            return OnDemand(self.ring, self._fill)
        return Prefetcher(self.ring, self._fill, self._reader, self._stop)

    def _stop(self) -> None:
        self._gatherer.stopped = True

    def _fill(self, slot: Slot) -> Content | None:
        columns = slot.columns
        if isinstance(self.engine, CudaReads):  # filled where it is read, so behind the consumer's work
            columns = slot.views
            if slot.used is not None:
                self.engine.wait(slot.used)
        content = self._filler.fill(columns)
        if content is not None and self._options.pad:
            pad_rows(slot.columns, self._plans, content.rows)
        return content

    def _read_again(self, mark: Mark, filler: ShuffledFiller) -> Gathered:
        """Put the rows of a shuffle buffer where they were in it, partition after partition."""
        rows = sum(run.rows for run in mark.runs)
        starts = np.cumsum([0, *(run.rows for run in mark.runs)]).tolist()
        wanted = {
            (run.partition, run.offset): (run, at) for run, at in zip(mark.runs, starts[:-1], strict=True)
        }
        first = mark.restart()
        for partition in sorted({run.partition for run in mark.runs}):
            left = sum(run.partition == partition for run in mark.runs)
            reader = self._source.open({partition: first[partition]})
            try:
                while left:
                    frame = reader.read(POLL_WAIT_S)
                    if frame is None:
                        if reader.ended:
                            raise SourceError(
                                f"partition {partition} no longer holds all rows that a state names"
                            )
                        continue
                    entry = wanted.get((partition, frame.place.offset))
                    if entry is not None:
                        run, at = entry
                        assert self.feed.rule is not None
                        self.feed.rule.require(frame)
                        self._gatherer.write(frame, run.row, run.rows, filler.buffer, at)
                        left -= 1
            finally:
                reader.close()
        return Gathered(rows, mark.runs, None, None, ended=False)


def _add_dictionaries(
    dictionaries: dict[str, Dictionary], plans: Sequence[ColumnPlan], options: BatchOptions
) -> None:
    """Make a dictionary for each text column that has none yet; raises OptionError for one too many."""
    names = [plan.name for plan in plans if plan.kind in ("text", "codes")]
    for name in options.dictionaries:
        if name not in names:
            raise OptionError(f"a dictionary for {name}, which is not a text column that is read")
    for plan in plans:
        type_ = word_type(plan.type)
        if type_ is not None and plan.name not in dictionaries:
            dictionaries[plan.name] = Dictionary(plan.name, type_, options.dictionaries.get(plan.name))


def require_agreed_codes(schema: pa.Schema, options: BatchOptions, readers: int) -> None:
    """Raise OptionError where several readers would each give a text column codes of its own, unasked."""
    if readers == 1:
        return
    names = schema.names if options.columns is None else options.columns
    for name in names:
        is_text = name in schema.names and word_type(schema.field(name).type) is not None
        if is_text and name not in options.dictionaries:
            raise OptionError(
                f"{readers} readers would give the words of {name} codes that differ: give the words with "
                f'dictionaries={{"{name}": [...]}} (`AlignedStream.words` lists them), leave the column out '
                f'with columns=, or say dictionaries={{"{name}": None}} for codes that are each reader\'s own'
            )


def _with_extras(fields: list[Field], options: BatchOptions) -> list[Field]:
    names = {field.name for field in fields}
    extras = [] if options.windows is None else window_fields(options.windows)
    if options.pad:
        extras.append(Field(ROW_VALID, np.dtype(np.bool_)))
    for extra in extras:
        if extra.name in names:
            raise OptionError(f"column {extra.name} has the name of what {_maker(extra.name)} adds")
    return [*fields, *extras]


def _maker(name: str) -> str:
    return "windows=" if name.startswith(WINDOWS) else "pad="


def layout_of(source: FrameSource, feed: Feed, mark: Mark | None, options: BatchOptions) -> pa.Schema | None:
    """The columns that batches are made of; None for no rows."""
    schema = _first_schema(source, feed, mark)
    if schema is None or options.columns_missing == "raise":
        return schema
    return grown_schema(schema, source, options)


def _first_schema(source: FrameSource, feed: Feed, mark: Mark | None) -> pa.Schema | None:
    """The columns of the first frame, or of a shuffle buffer's where no frame is left; None for no rows."""
    while (frame := feed.peek(POLL_WAIT_S)) is None:
        if feed.ended:
            break
    if frame is not None:
        return frame.rows.schema
    if mark is None or not mark.runs:
        return None
    run = mark.runs[0]
    reader = source.open({run.partition: mark.restart()[run.partition]})
    try:
        while (again := reader.read(POLL_WAIT_S)) is None and not reader.ended:
            continue
        return None if again is None else again.rows.schema
    finally:
        reader.close()
