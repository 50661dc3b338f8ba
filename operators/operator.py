"""What the worker knows of an operator: push rows, tell how far inputs are complete, take what is final.

The worker drives every operator through this protocol and never asks what it computes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from operators.inputs.progress import InputProgress
from schemas.batch import Batch


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What to write down: entries to put, keys to delete.  Keys and values are opaque to the store."""

    puts: Sequence[tuple[bytes, bytes]]
    deletes: Sequence[bytes]


class Operator(Protocol):
    """One task's share of a computation over named streams.

    The life of a task: `resume` once (a fresh task resumes from nothing), then any number of `push` and
    `advance`, `seal` at the end of each turn, `finish` when a bounded run ends without final records.
    """

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the inputs."""
        ...

    @property
    def frontier_ns(self) -> int:
        """The smallest watermark over the inputs, upper-exclusive; rows below it are sealed."""
        ...

    @property
    def complete_ns(self) -> int:
        """Every left row below it has been sealed; less than the frontier where rows wait for later ones."""
        ...

    @property
    def assumed_rows(self) -> int:
        """How many rows of the last seal, the last ones, hang on an idle input having stayed silent."""
        ...

    @property
    def final(self) -> bool:
        """Whether every input has read its final record and nothing waits to be sealed."""
        ...

    @property
    def ended(self) -> bool:
        """Whether every input has read its final record: what still waits, waits for a later period."""
        ...

    def push(self, stream: str, batch: Batch | pa.RecordBatch, *, now_ns: int | None = None) -> None:
        """Take rows of one input.  A row below the frontier is late: it is set aside for `late`.

        A row too far ahead, of the wall clock `now_ns` or of the inputs, is set aside for `ahead`.  The
        others raise the watermark of the input to their newest time less the stream's grace; the frontier
        itself moves only in `seal`.
        """
        ...

    def advance(
        self,
        stream: str,
        upper_ns: int,
        *,
        final: bool = False,
        offset: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """No further row of `stream` below `upper_ns` is expected: a progress record, read at `offset`.

        One that is too far ahead is set aside for `ahead`; without an offset it is the caller's own word.
        """
        ...

    def idle(self, stream: str) -> None:
        """`stream` is silent: leave it out of the frontier until its next row or progress record.

        Only the caller knows: the log has been read to its end and nothing came for long enough.
        """
        ...

    def reached(self, stream: str, offset: int) -> None:
        """Everything of `stream` below `offset` has been read: the end of the log was seen there."""
        ...

    def seal(self) -> pa.RecordBatch | None:
        """Move the frontier as far as the inputs allow and return the rows that became final, in order."""
        ...

    def finish(self) -> pa.RecordBatch | None:
        """Seal everything that is left, as if every input had ended."""
        ...

    def late(self, stream: str) -> pa.RecordBatch:
        """Return the late rows since the last call (`LATE_SCHEMA`), oldest offset first, and forget them."""
        ...

    def ahead(self, stream: str) -> pa.RecordBatch:
        """Return what was too far ahead since the last call (`AHEAD_SCHEMA`), and forget it."""
        ...

    def full(self, stream: str, *, paused: bool = False) -> bool:
        """Whether to pause `stream`: its buffers are at their limit until the other inputs catch up.

        One that is `paused` stays so until they are half empty: pausing throws away what was read ahead.
        """
        ...

    def buffered(self, stream: str) -> tuple[int, int]:
        """Rows and bytes of `stream` that wait for the frontier."""
        ...

    def progress(self, stream: str) -> InputProgress:
        """How far an input has come, for the commit."""
        ...

    def resume(self, frontier_ns: int, inputs: dict[str, InputProgress], state_next: dict[str, int]) -> None:
        """Take up committed progress.

        `state_next` says, per input, the next offset of the restored state (equal to `needed_offset` where
        there was none): reading starts there.  Rows below `inputs[stream].next_offset` have been judged
        before, and those in `inputs[stream].late` are left out; until every input has reached it, nothing
        is sealed.
        """
        ...

    @property
    def keeps_last_known(self) -> bool:
        """Whether rows without any bound behind the frontier are needed, so that entries are to be kept."""
        ...

    def last_known(self) -> Sequence[tuple[bytes, bytes]]:
        """Return entries, key and value, for what changed since the last call; only once `caught_up`.

        They go to a log that keeps the newest value of each key, in one transaction with the next progress:
        that asks for no row any more which the entries of all calls hold.
        """
        ...

    def recall(self, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int) -> Mapping[str, int]:
        """Take back the newest last-known entry of each key; before `resume` with `frontier_ns`.

        Returns, by stream, the offset from which rows have to be read again that entries cannot give back:
        those that were kept with other columns.
        """
        ...

    @property
    def caught_up(self) -> bool:
        """Whether every input has been read again up to its committed next offset: snapshots may be taken."""
        ...

    def snapshot(self) -> Snapshot:
        """Return what changed since the last snapshot; only once `caught_up` and after `seal`."""
        ...

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back the entries of all snapshots so far; only on a new operator, before `resume`."""
        ...
