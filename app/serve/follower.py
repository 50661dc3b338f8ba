"""Follows the ends of the output topics by the headers of frames: rows, seal delays, reasons of nulls."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from app.process.clock import monotonic_ns
from app.serve.strips import Departed
from operators.sealed import ALIGNED
from schemas.clocks import NS_PER_MS
from schemas.frame import FrameError, FrameHeaders
from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus

LOOK_NS: Final = 200 * NS_PER_MS  # of each look at most: who watches takes little of the machine
MESSAGES_MAX: Final = 500
WAIT_MS: Final = 20  # without a frame in so long there is none
DELAYS_MAX: Final = 10_000  # of one look
COUNT_LENGTH_MAX: Final = 19  # digits of an int64


class Follower:
    """Reads new frames at each look, and passes over what it cannot read in time.

    Rows are counted by the parity in the headers, which counts all of a partition, so that frames that were
    passed over are counted too.  The values are not opened.
    """

    def __init__(self, bus: Bus, outputs: Mapping[str, str], partitions: int, group: str) -> None:
        """`outputs` are the topics by output name; raises BusUnavailableError."""
        self._names = {topic: name for name, topic in outputs.items()}
        self._sources = [TopicPartition(topic, n) for topic in self._names for n in range(partitions)]
        self._admin = bus.admin()
        self._consumer = bus.consumer(group=group, client_id=group, to_end=True)
        self._next = {source: log.stable for source, log in self._admin.ranges(self._sources).items()}
        self._rows: dict[TopicPartition, int] = {}
        self.nulls: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in outputs}
        self.counted: Counter[str] = Counter()  # rows of frames that were read, by output
        self.broken = ""  # why a message of an output is no frame, of the last such
        self._consumer.assign(self._next)

    def look(self) -> Departed:
        """What came since the last look; raises BusUnavailableError."""
        until_ns = monotonic_ns() + LOOK_NS
        rows, delays = 0, list[int]()
        while (block := self._consumer.poll(messages_max=MESSAGES_MAX, wait_ms=WAIT_MS)).messages:
            more, seen = self._take(block)
            rows += more
            delays += seen
            self._next.update(block.next_offsets())
            if monotonic_ns() > until_ns:
                self._pass_over()
                break
        return Departed(rows, tuple(delays[-DELAYS_MAX:]))

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _take(self, block: MessageBlock) -> tuple[int, list[int]]:
        """Joined rows since the last frame, and the delays of the frames in a block."""
        rows, delays = 0, []
        for message in range(block.messages):
            source = block.sources[int(block.source[message])]
            values = block.originals[message].headers or []
            name = self._names[source.topic]
            try:
                headers = FrameHeaders.from_kafka(list(values))
            except FrameError as broken:
                self.broken = f"{source.topic}[{source.partition}]@{int(block.offset[message])}: {broken}"
                continue
            self.counted[name] += headers.rows
            if name == ALIGNED:
                rows += self._counted(source, headers)
                delays.append(max(0, headers.sealed_ns - headers.released_ns))
            for feature, reasons in (headers.nulls or {}).items():
                self.nulls[name].update({(feature, reason): count for reason, count in reasons.items()})
        return rows, delays

    def _counted(self, source: TopicPartition, headers: FrameHeaders) -> int:
        """Rows of a partition since its last frame that was seen; without a parity those of this frame."""
        text = headers.parity.partition("-")[0]
        if not text.isdecimal() or len(text) > COUNT_LENGTH_MAX:
            return headers.rows
        before = self._rows.get(source, int(text) - headers.rows)
        self._rows[source] = int(text)
        return max(0, int(text) - before)

    def _pass_over(self) -> None:
        """Go on at the ends of those partitions that have more than could be read in time."""
        for source, log in self._admin.ranges(self._sources).items():
            if self._next[source] < log.stable:
                self._consumer.seek(source, log.stable)
                self._next[source] = log.stable
