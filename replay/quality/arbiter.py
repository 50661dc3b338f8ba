"""One feed out of two lines that carry the same rows: the first copy wins, gaps are filled by the other (D2).

The clock is the log's `known_ns`, never the wall's, so the same two lines give the same feed, however fast
each was read.
"""

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Generic, NamedTuple, TypeVar

from replay.quality.numbering import NumberCounts, Numbering

HOLD_NS: Final = 50_000_000
REMEMBERED_MAX: Final = 65_536  # payloads of each channel's released rows that later copies are held against

Row = TypeVar("Row")


class Copy(NamedTuple, Generic[Row]):
    """One line's copy of a row: when it came, its channel and number, what it holds as a hash, and itself."""

    known_ns: int
    channel: int
    number: int
    payload: int
    row: Row


class Release(NamedTuple, Generic[Row]):
    """A row of the feed, and the moment from which it could be known in its order."""

    known_ns: int
    channel: int
    number: int
    row: Row


class FeedGap(NamedTuple):
    """Numbers, first to last, that neither line had in time, and when that was given up."""

    channel: int
    first: int
    last: int
    known_ns: int


@dataclass(slots=True)
class ArbiterCounts:
    """`duplicates` are copies that came second, `conflicts` those of them that hold something else.

    `late` are first copies of rows that had been given up, or that lie before a channel's first; they are
    left out.
    """

    duplicates: int = 0
    conflicts: int = 0
    late: int = 0


class Arbiter(Generic[Row]):
    """Takes copies in the order of `known_ns`, those of line A first, and releases rows in number order.

    A row ahead of its turn waits `hold_ns` at most; then the numbers missing before it are a gap and the feed
    goes on.  Memory is bounded by the rows of that time, and `REMEMBERED_MAX` payloads of each channel.
    """

    def __init__(self, hold_ns: int = HOLD_NS, remembered_max: int = REMEMBERED_MAX) -> None:
        self._hold_ns, self._remembered_max = hold_ns, remembered_max
        self._numbering = Numbering()
        self._first: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._waiting: dict[int, dict[int, Copy[Row]]] = {}
        self._deadlines: list[tuple[int, int, int]] = []  # when, channel, number
        self._payloads: dict[int, dict[int, int]] = {}
        self._order: dict[int, deque[int]] = {}
        self.counts = ArbiterCounts()
        self.gaps: list[FeedGap] = []

    @property
    def numbers(self) -> NumberCounts:
        """The numbers of the feed: gaps, and what of them came late."""
        return self._numbering.counts

    def take(self, copy: Copy[Row]) -> list[Release[Row]]:
        """Take the next copy, and return the rows that are released up to its moment."""
        released = self._give_up(copy.known_ns)
        channel, number = copy.channel, copy.number
        self._first.setdefault(channel, number)
        expected = self._next.setdefault(channel, number)
        waiting = self._waiting.setdefault(channel, {})
        if number in waiting:
            self._count_copy(waiting[number].payload, copy.payload)
        elif number < expected:
            self._take_behind(copy)
        else:
            waiting[number] = copy
            if number == expected:
                released += self._run(channel, copy.known_ns)
            else:
                heappush(self._deadlines, (copy.known_ns + self._hold_ns, channel, number))
        return released

    def finish(self) -> list[Release[Row]]:
        """Return what still waits, each row at the end of its time."""
        return self._give_up(None)

    def _give_up(self, now_ns: int | None) -> list[Release[Row]]:
        """Release rows whose time has passed before `now_ns`, all where it is None."""
        released: list[Release[Row]] = []
        while self._deadlines and (now_ns is None or self._deadlines[0][0] < now_ns):
            deadline_ns, channel, number = heappop(self._deadlines)
            if number not in self._waiting[channel]:
                continue
            for waiting in sorted(self._waiting[channel]):
                if waiting > number:
                    break
                if waiting > self._next[channel]:
                    self.gaps.append(FeedGap(channel, self._next[channel], waiting - 1, deadline_ns))
                    self._next[channel] = waiting
                released += self._run(channel, deadline_ns)
        return released

    def _run(self, channel: int, known_ns: int) -> list[Release[Row]]:
        """Release the rows that are next in order."""
        waiting, released = self._waiting[channel], []
        while (copy := waiting.pop(self._next[channel], None)) is not None:
            self._numbering.take_one(channel, copy.number)
            self._remember(channel, copy)
            self._next[channel] += 1
            released.append(Release(known_ns, channel, copy.number, copy.row))
        return released

    def _take_behind(self, copy: Copy[Row]) -> None:
        """A copy of a number that is past: its row was released, or given up, or before the first."""
        payload = self._payloads[copy.channel].get(copy.number)
        filled = self._numbering.counts.filled
        self._numbering.take_one(copy.channel, copy.number)
        before = copy.number < self._first[copy.channel] and payload is None
        if before or self._numbering.counts.filled > filled:
            self.counts.late += 1
            self._remember(copy.channel, copy)
        else:
            self._count_copy(copy.payload if payload is None else payload, copy.payload)

    def _count_copy(self, first: int, second: int) -> None:
        self.counts.duplicates += 1
        self.counts.conflicts += first != second

    def _remember(self, channel: int, copy: Copy[Row]) -> None:
        payloads = self._payloads.setdefault(channel, {})
        order = self._order.setdefault(channel, deque())
        payloads[copy.number] = copy.payload
        order.append(copy.number)
        if len(order) > self._remembered_max:
            payloads.pop(order.popleft(), None)
