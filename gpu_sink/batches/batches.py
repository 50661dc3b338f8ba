"""Batches of an aligned stream: dicts of columns, each row once, and a state that says how far."""

import warnings
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

from gpu_sink.batches.batch import Batch, Guard
from gpu_sink.batches.fill import Content
from gpu_sink.batches.pipeline import Pipeline, layout_of, require_agreed_codes
from gpu_sink.batches.prefetch import FilledSlots
from gpu_sink.batches.state import VERSION, Identity, Mark, mark_from_json, mark_to_json
from gpu_sink.columns.windows import History
from gpu_sink.columns.words import Dictionary, Word
from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, GapError, OptionError, ReaderWarning, StateError
from gpu_sink.figures import Counts, SinkFigures
from gpu_sink.options import BatchOptions
from gpu_sink.reading.feed import Feed
from gpu_sink.reading.idle import IdleReader
from gpu_sink.reading.source import FrameReader, FrameSource, Position, share
from gpu_sink.segments.cuda_reads import engine_for
from gpu_sink.segments.reads import Mode, PieceReader
from gpu_sink.slots.copies import CopyEngine
from gpu_sink.slots.ring import Slot

if TYPE_CHECKING:
    from gpu_sink.columns.groups import Groups


class Batches:
    """The batches of one reader of a stream.

    Each iteration starts over.  After `load_state_dict` it goes on behind the rows that were handed over, and
    so it does after an iteration that ended because nothing came for `idle_ms`.
    One iteration runs at a time.  Iterating raises SourceError, FrameError, OptionError, ColumnError and
    DeviceError and GapError, and warns with ReaderWarning, OrderWarning, GapWarning and HeldWarning.
    """

    def __init__(
        self,
        source: FrameSource,
        options: BatchOptions,
        *,
        reader: int = 0,
        readers: int = 1,
        engine: CopyEngine | None = None,
    ) -> None:
        """The share of one of `readers` readers; `engine` replaces the one for the options' device."""
        if not 0 <= reader < readers:
            raise OptionError(f"reader {reader} of {readers}: readers are numbered from 0")
        self.options = options
        # Over all iterations: frames in which a partition went back; gaps before frames, the rows missing in
        # them, and rows that came again.
        self.order_break_count = 0
        self.gap_count = self.missing_rows = self.repeated_rows = 0
        self._counts = Counts()
        self._feed: Feed | None = None  # of the iteration under way
        self._source = source
        self._reader_number, self._readers = reader, readers
        self._engine = engine
        self._dictionaries: dict[str, Dictionary] = {}
        self._identity = Identity.of(source.name, reader, readers, options)
        self._loaded: Mapping[str, Any] | None = None
        self._mark: Mark | None = None
        self._unread: Mapping[str, Any] | None = None  # the state of an iteration that went on to no row
        self._history: History | None = None
        self._groups: Groups | None = None  # of windows; what `_history` numbers
        self._epoch = -1
        self._open: FrameReader | None = None
        self._pieces: PieceReader | None = None
        self._io_mode: Mode | None = None

    @property
    def dictionaries(self) -> dict[str, list[Word]]:
        """Per text column the words that its codes stand for; new ones are added behind."""
        return {name: list(dictionary.words) for name, dictionary in self._dictionaries.items()}

    @property
    def unknown_count(self) -> dict[str, int]:
        """Per closed dictionary the words met that it lacks, counted per row for text."""
        return {name: one.unknown_count for name, one in self._dictionaries.items() if one.closed}

    @property
    def io_mode(self) -> Mode | None:
        """How segments were really read (`reads.Mode`); None for other frames."""
        if self._pieces is not None and self._pieces.mode is not None:
            self._io_mode = self._pieces.mode
        return self._io_mode

    def figures(self) -> SinkFigures:
        """What was handed over, missing and waited for so far, as plain numbers; from any thread."""
        feed = self._feed
        return self._counts.figures(
            rows_missing=self.missing_rows + (0 if feed is None else feed.missing_rows),
            rows_repeated=self.repeated_rows + (0 if feed is None else feed.repeated_rows),
        )

    def state_dict(self) -> dict[str, Any]:
        """The state at the last batch handed over, as JSON takes it."""
        if self._unread is not None:
            return dict(self._unread)
        if self._mark is None:
            return dict(self._loaded or {"version": VERSION, "of": self._identity.to_json(), "begun": False})
        return {
            "version": VERSION,
            "of": self._identity.to_json(),
            "begun": True,
            "epoch": self._epoch,
            **mark_to_json(self._mark),
            "dictionaries": {n: one.to_json() for n, one in self._dictionaries.items() if not one.closed},
            "windows": self._windows_to_json(),
        }

    def _windows_to_json(self) -> dict[str, Any] | None:
        if self._history is None or self._groups is None:
            return None
        return {**self._history.to_json(), "groups": self._groups.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration go on from a state; raises StateError for one of another stream."""
        self._identity.require(state)
        if state["begun"]:
            mark_from_json(state)
        self._loaded, self._mark, self._unread = dict(state), None, None

    def commit(self) -> None:
        """Commit every row handed over, as the stream's group; raises SourceError for a stream without one.

        Call it when the work on the last batch is done: committed rows are not read again.
        """
        if self._mark is None:
            return
        reader = self._open or self._source.open(dict(self._mark.positions))
        try:
            reader.commit(self._mark.restart())
        finally:
            if reader is not self._open:
                reader.close()

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches."""
        assert self._open is None, "one iteration at a time"
        partitions = share(self._source.partitions(), self._reader_number, self._readers)
        if not partitions:
            warnings.warn(
                f"reader {self._reader_number} of {self._readers} has nothing to read: there are more "
                f"readers than partitions in {self._source.name}",
                ReaderWarning,
                stacklevel=2,
            )
            return
        state, self._loaded = self._loaded, None
        mark = mark_from_json(state) if state is not None and state["begun"] else None
        self._epoch = int(state["epoch"]) if state is not None and mark is not None else self._epoch + 1
        starts: dict[int, Position | None] = dict.fromkeys(partitions)
        if mark is not None:
            if elsewhere := sorted(mark.positions.keys() - starts.keys()):
                raise StateError(f"the state has partitions {elsewhere}, this reader has {partitions}")
            starts.update(mark.positions)
        self._open = self._source.open(starts)
        idle = None if self.options.idle_ms is None else IdleReader(self._open, self.options.idle_ms)
        try:
            yield from self._batches(idle or self._open, state, mark)
        except FrameError:
            self._counts.frame_errors["frame"] += 1
            raise
        except GapError:
            self._counts.frame_errors["gap"] += 1
            raise
        except ColumnError:
            self._counts.frame_errors["column"] += 1
            raise
        finally:
            self._open.close()
            self._open = None
        if idle is not None and idle.is_idle:
            self._loaded = self.state_dict()

    def _batches(
        self, reader: FrameReader, state: Mapping[str, Any] | None, mark: Mark | None
    ) -> Iterator[Batch]:
        """Put the iteration together around the first frame, and take it apart at its end."""
        self._mark, self._history, self._unread = mark, None, None
        sealed_rows = {} if mark is None else mark.sealed_rows
        feed = Feed(
            reader,
            self.options.time_column,
            sealed_rows,
            gaps=self.options.gaps,
            waits=self._counts.waits,
        )
        schema = layout_of(self._source, feed, mark, self.options)
        if schema is None:
            self._mark, self._unread = mark or Mark(dict(feed.positions)), state
            return
        require_agreed_codes(schema, self.options, self._readers)
        if mark is not None:
            self._dictionaries = {}
        first = feed.peek(0)
        engine = self._engine or engine_for(self.options, None if first is None else first.rows)
        seed = [self.options.seed, self._epoch, self._reader_number]
        pipeline = Pipeline(
            self._source, reader, feed, schema, self.options, engine, self._dictionaries, seed
        )
        if self.options.windows is not None and pipeline.windows is not None:
            self._history = History(self.options.windows)
            self._groups = pipeline.windows.groups
        if state is not None and mark is not None:
            self._take_up(state)
            pipeline.restore(mark, self._history)
        self._pieces = pipeline.pieces
        slots, self._feed = pipeline.start(), feed
        try:
            yield from self._hand_over(pipeline, slots)
        finally:
            slots.close()
            engine.close()
            self._io_mode = pipeline.pieces.mode
            self._pieces = None
            pipeline.pieces.close()
            self._feed = None
            self._count(feed)

    def _count(self, feed: Feed) -> None:
        self.order_break_count += feed.order_break_count
        self.gap_count += feed.gap_count
        self.missing_rows += feed.missing_rows
        self.repeated_rows += feed.repeated_rows

    def _take_up(self, state: Mapping[str, Any]) -> None:
        """Give words and windows what they had; raises StateError for what is not a state's."""
        try:
            for name, words in state["dictionaries"].items():
                if name in self._dictionaries and not self._dictionaries[name].closed:
                    self._dictionaries[name].from_json(words)
            # A stream that ended before its first row has no windows.
            if self._history is not None and self._groups is not None and state["windows"] is not None:
                self._history.from_json(state["windows"])
                self._groups.from_json(state["windows"].get("groups", []))
        except (KeyError, TypeError, ValueError, AttributeError) as malformed:
            raise StateError(f"not the state of a stream: {malformed!r}") from None

    def _hand_over(self, pipeline: Pipeline, slots: FilledSlots) -> Iterator[Batch]:
        """Yield the filled slots; asking for the next batch says that the one before is done with."""
        held: Slot | None = None
        committed_s = monotonic()
        every_ms = self.options.commit_every_ms
        guard = Guard() if self.options.debug and not self.options.copy else None
        while True:
            if held is not None:
                pipeline.ring.release(held)
            if guard is not None:
                guard.look()
            if every_ms is not None and monotonic() - committed_s >= every_ms / 1_000:
                self.commit()
                committed_s = monotonic()
            held = slots.next()
            if held is None:
                if every_ms is not None:
                    self.commit()
                return
            content: Content = held.content
            copied_size = 0 if held.target is held.host else held.host.nbytes
            batch = self._batch(pipeline, held, content, guard)
            if self.options.copy:
                pipeline.ring.release(held)
                held = None
            if content.mark.tails is not None and pipeline.windows is not None and self._history is not None:
                self._history.apply(content.mark.tails)
                pipeline.windows.reuse(content.mark.tails)
            self._mark = content.mark
            self._counts.handed_over(content.rows, content.sealed_ns, copied_size)
            yield batch

    def _batch(self, pipeline: Pipeline, slot: Slot, content: Content, guard: Guard | None) -> Batch:
        batch = Batch(slot.views)
        if content.rows < self.options.batch_rows and not self.options.pad:
            for name, view in slot.views.items():
                batch[name] = view[: content.rows]
        if self.options.copy:
            for name, view in batch.items():
                batch[name] = pipeline.engine.own(view)
        elif guard is not None:
            batch = guard.guarded(batch, slot)
        batch.rows, batch.runs = content.rows, content.runs
        batch.sealed_ns, batch.tile_lower_ns = content.sealed_ns, content.tile_lower_ns
        batch.labels = pipeline.labels
        return batch
