"""Rows that were not accepted: where the letters say they are, and whether each was late for a reason.

A row is late if the frontier had passed its time.  The log bounds how far it can have come: the frontier is
the smallest watermark over the inputs, an input is read in order, so its own watermark counts only what lies
before the row, and the others' at most all that they hold.  An input that may be idle bounds nothing: the
frontier goes on without it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import polars as pl

from app.audit.findings import Violation
from app.audit.join import INDEX, OFFSET
from app.audit.retained import Lows, Retained
from app.config import Settings
from app.reading.partition import read_partition
from app.wiring.pipeline import Pipeline
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS
from schemas.letters import DeadLetter, LateLetter
from topics.block import MessageBlock, Original, TopicPartition
from topics.wire import Progress

OFFSET_MAX: Final = 2**63 - 1  # no message lies there
PLACES = {OFFSET: pl.Int64, INDEX: pl.Int32}


@dataclass(frozen=True, slots=True)
class Sent:
    """A late letter as it was sent, and of what it keeps of its message a digest and how much that is."""

    letter: LateLetter
    digest: bytes
    key_kept: int
    value_kept: int

    @classmethod
    def of(cls, original: Original) -> "Sent":
        """A message of the late topic; raises LetterError for one that is no letter."""
        key, value = original.key or b"", original.value or b""
        return cls(LateLetter.from_kafka(original.headers), _digest(original), len(key), len(value))

    def passes_on(self, original: Original) -> bool:
        """Whether the letter is about this message."""
        cut = self.letter.cut
        key, value = original.key, original.value
        if cut.key_size is not None and key is not None and len(key) == cut.key_size:
            key = key[: self.key_kept]
        if cut.value_size is not None and value is not None and len(value) == cut.value_size:
            value = value[: self.value_kept]
        return _digest(original._replace(key=key, value=value)) == self.digest

    def __str__(self) -> str:
        told = self.letter
        return (
            f"{told.topic}[{told.partition}]@{told.offset} rows {list(told.indexes)}, said to be "
            f"{told.lateness_ns} ns below the frontier {told.frontier_ns}"
        )


@dataclass(slots=True)
class NotAccepted:
    """The rows of one partition's inputs that were set aside: late ones, and rows of dead letters.

    `late` and `dead` hold places by stream, as OFFSET and INDEX; `lows` say from where on no letter is gone.
    `letters_unjudged` counts late letters of which nobody can say whether they had a reason.
    """

    late: dict[str, pl.DataFrame]
    dead: dict[str, pl.DataFrame]
    letters: dict[str, dict[int, list[Sent]]]  # by stream and offset
    dead_letters: int
    lows: dict[str, Lows]
    letters_unjudged: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)

    def without(self, stream: str, rows: pl.DataFrame) -> pl.DataFrame:
        """The accepted ones of `rows`, which have OFFSET and INDEX."""
        for places in (self.late[stream], self.dead[stream]):
            if places.height and rows.height:
                rows = rows.join(places, on=[OFFSET, INDEX], how="anti", maintain_order="left")
        return rows

    def fault(self, kind: str, told: str) -> None:
        """Note a letter that is not as it should be."""
        self.faults.setdefault(kind, []).append(told)

    def violations(self) -> Iterable[Violation]:
        """The faults of letters."""
        for kind, told in self.faults.items():
            yield Violation(kind, len(told), tuple(told[:3]))


def read_not_accepted(
    pipeline: Pipeline, partition: int, *, group: str, next_offsets: Mapping[str, int] | None = None
) -> NotAccepted:
    """Read the late and the dead-letter topic of one partition; raises LetterError for what is no letter.

    Letters about messages at or beyond `next_offsets`, by stream, are passed over: they came after the cut.
    """
    ends, wait = next_offsets or {}, next_offsets is None
    names = pipeline.settings.stream_names
    stream_of = pipeline.input_topics
    late: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    dead: dict[str, list[tuple[int, int]]] = {name: [] for name in names}
    found = NotAccepted({}, {}, {name: {} for name in names}, 0, {})
    lows = {"late": _Low(), "dead": _Low()}
    for original in _originals(pipeline, "late", partition, group, wait, lows["late"].begin):
        sent = Sent.of(original)
        told = sent.letter
        if stream_of.get(told.topic) != told.stream or told.partition != partition:
            found.fault("unjustified late", f"{sent}: no input of partition {partition}")
            continue
        lows["late"].see(told.stream, told.offset)
        if told.offset >= ends.get(told.stream, OFFSET_MAX):
            continue
        late[told.stream] += [(told.offset, index) for index in told.indexes]
        found.letters[told.stream].setdefault(told.offset, []).append(sent)
    for original in _originals(pipeline, "dead", partition, group, wait, lows["dead"].begin):
        unread = DeadLetter.from_kafka(original.headers)
        lows["dead"].see(stream_of.get(unread.topic, ""), unread.offset)
        if unread.offset >= ends.get(stream_of.get(unread.topic, ""), OFFSET_MAX):
            continue
        found.dead_letters += 1
        if unread.topic in stream_of and unread.partition == partition:
            dead[stream_of[unread.topic]] += [(unread.offset, index) for index in unread.indexes]
    for name in names:
        places = pl.DataFrame(late[name], schema=PLACES, orient="row")
        if pipeline.settings.worker.guarantee == "exactly_once":
            for place in places.filter(places.is_duplicated()).unique(maintain_order=True).rows():
                found.fault("late twice", f"{name} row {place[0]}/{place[1]}")
        found.late[name] = places.unique(maintain_order=True)
        found.dead[name] = pl.DataFrame(dead[name], schema=PLACES, orient="row")
        found.lows[name] = Lows(late=lows["late"].of(name), dead=lows["dead"].of(name))
    return found


class _Low:
    """From which offset of each stream on no letter is gone: a task reads an input in its order."""

    def __init__(self) -> None:
        self._low = 0
        self._first: dict[str, int] = {}

    def begin(self, low: int) -> None:
        """The letters' own log begins at this offset."""
        self._low = low

    def see(self, stream: str, offset: int) -> None:
        """There is a letter about this message."""
        self._first[stream] = min(offset, self._first.get(stream, OFFSET_MAX))

    def of(self, stream: str) -> int:
        """Behind the first message that has a letter; of that one others may be gone."""
        return 0 if self._low == 0 else self._first.get(stream, OFFSET_MAX - 1) + 1


class LateJudge:
    """Sees one input go by, in the order of its log, and says which of its late rows had no reason to be.

    `held` says that the settings held all the time.  Else grace and idle limits may have been others: then
    only a frontier that no input's rows reach at all is no reason, and what else these settings do not
    explain is counted.
    """

    def __init__(
        self, found: NotAccepted, stream: str, settings: Settings, retained: Retained, *, held: bool
    ) -> None:
        self.retained = retained
        self._held = held
        self._found = found
        self._stream = stream
        self._grace_ns = settings.grace_ns(stream)
        self.may_be_idle = settings.idle_after_ms(stream) is not None
        self._unseen = {
            (offset, at): sent
            for offset, letters in found.letters[stream].items()
            for at, sent in enumerate(letters)
        }
        self._reached: list[tuple[Sent, bool]] = []  # and whether its own input explains it
        self.watermark_ns = BEGINNING_NS
        self.newest_ns = BEGINNING_NS  # where the watermark would be without grace

    def see(self, block: MessageBlock, batch: Batch | None, progress: Sequence[tuple[int, Progress]]) -> None:
        """Take the messages of one block and what was decoded from them."""
        if batch is not None and self._unseen:
            lower, upper = int(batch.offset[0]), int(batch.offset[-1])
            for offset, at in [place for place in self._unseen if lower <= place[0] <= upper]:
                self._judge(self._unseen.pop((offset, at)), block, batch, progress)
        if batch is not None and batch.rows:
            trusted = batch.time_ns[self._trusted(batch)]
            if trusted.size:
                self.newest_ns = max(self.newest_ns, int(trusted.max()))
                self.watermark_ns = max(self.watermark_ns, int(trusted.max()) - self._grace_ns)
        upper_ns = max((told.upper_ns for _, told in progress), default=BEGINNING_NS)
        self.newest_ns, self.watermark_ns = max(self.newest_ns, upper_ns), max(self.watermark_ns, upper_ns)

    @property
    def exact(self) -> bool:
        """Whether it is known how far the input let the frontier come."""
        return self._held and not self.retained.gone

    def end(self, others: Mapping[str, "LateJudge"]) -> None:
        """Judge by how far the other inputs, by stream, ever came."""
        for sent in self._unseen.values():
            if sent.letter.offset < self.retained.low or self.retained.compacted:
                self._found.letters_unjudged += 1
            else:
                self._found.fault("unjustified late", f"{sent}: the input has no such row")
        judges = [self, *others.values()]
        reach_ns = max(judge.watermark_ns if self._held else judge.newest_ns for judge in judges)
        for sent, explained in self._reached:
            frontier_ns = sent.letter.frontier_ns
            behind = {
                stream: other
                for stream, other in others.items()
                if frontier_ns > other.watermark_ns and not other.may_be_idle
            }
            told = ""
            if frontier_ns > reach_ns and not any(judge.retained.gone for judge in judges):
                told = f"no input ever came further than {reach_ns}"
            for stream, other in behind.items():
                if other.exact:
                    told = f"{stream} never came further than {other.watermark_ns}"
            if told:
                self._found.fault("unjustified late", f"{sent}: {told}")
            elif behind or not explained or frontier_ns > reach_ns:
                self._found.letters_unjudged += 1

    def _judge(
        self, sent: Sent, block: MessageBlock, batch: Batch, progress: Sequence[tuple[int, Progress]]
    ) -> None:
        told = sent.letter
        message = int(np.searchsorted(block.offset, told.offset))
        at = np.flatnonzero((batch.offset == told.offset) & np.isin(batch.index, told.indexes))
        before = (batch.offset < told.offset) & self._trusted(batch)
        own_ns = self.watermark_ns
        if before.any():
            own_ns = max(own_ns, int(batch.time_ns[before].max()) - self._grace_ns)
        own_ns = max([own_ns, *(record.upper_ns for offset, record in progress if offset < told.offset)])
        times: Int64s = batch.time_ns[at]
        if at.size != len(told.indexes):
            reason = "the input has no such row"
        elif not sent.passes_on(block.originals[message]):
            reason = "the message is not the one in the input"
        elif int(times.max()) >= told.frontier_ns:
            reason = f"a row of time {int(times.max())} is not below it"
        elif told.frontier_ns - int(times.min()) != told.lateness_ns:
            reason = f"the oldest row is {told.frontier_ns - int(times.min())} ns below it"
        elif told.frontier_ns > own_ns and not self.may_be_idle and self.exact:
            reason = f"what {self._stream} held before lets it come to {own_ns} at most"
        else:
            self._reached.append((sent, told.frontier_ns <= own_ns or self.may_be_idle))
            return
        self._found.fault("unjustified late", f"{sent}: {reason}")

    def _trusted(self, batch: Batch) -> Bools:
        """Which rows may move a watermark: not those of dead letters."""
        dead = self._found.dead[self._stream]
        trusted = np.ones(batch.rows, np.bool_)
        if dead.height:
            places = pl.DataFrame({OFFSET: batch.offset, INDEX: batch.index}, schema=PLACES).with_row_index(
                "at"
            )
            trusted[places.join(dead, on=[OFFSET, INDEX], how="semi")["at"].to_numpy()] = False
        return trusted


def _originals(
    pipeline: Pipeline, kind: str, partition: int, group: str, wait: bool, begun: Callable[[int], None]
) -> Iterable[Original]:
    source = TopicPartition(pipeline.settings.topic(kind), partition)
    for block in read_partition(pipeline.bus, source, group=group, wait=wait, begun=begun):
        yield from (block.originals[message] for message in range(block.messages))


def _digest(original: Original) -> bytes:
    digest = blake2b(digest_size=16)
    for part in (original.key, original.value):
        digest.update(b"-" if part is None else len(part).to_bytes(8, "little") + part)
    return digest.digest()
