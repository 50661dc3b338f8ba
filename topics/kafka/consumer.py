"""A Kafka consumer that reads committed messages only, in blocks, from the offsets that its caller names."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import KafkaException

from topics.block import MessageBlock, TopicPartition
from topics.bus import AbortableError, BusError, FencedError, Position, Rebalance
from topics.kafka.client_calls import low_and_high, require_topics, seeks
from topics.kafka.commits import commit_positions
from topics.kafka.committed import GroupPositions
from topics.kafka.errors import AWAY, OUT_OF_RANGE, bus_error, raise_bus_error, raise_event_error
from topics.kafka.group_client import GroupClient
from topics.kafka.group_place import GroupPlace
from topics.kafka.native.event import Event
from topics.kafka.outage import Outage
from topics.kafka.places import kafka_place, our_places
from topics.kafka.reader import Reading
from topics.kafka.settings import LOGGER, REQUEST_TIMEOUT_S
from topics.positions import require_committable

# The client left its group for polling too seldom: `lost` follows, and then it joins again by itself.
_PASSING: Final = AWAY | {"_MAX_POLL_EXCEEDED"}
_JOINS_AGAIN_MAX: Final = 5  # more is no passing trouble


class KafkaConsumer:
    """See `topics.bus.Consumer`.  It waits for a broker that is away, and reports that to `on_wait`."""

    def __init__(
        self, settings: Mapping[str, object], on_wait: Callable[[str], None], reading: Reading = "auto"
    ) -> None:
        """Raise BusError where `reading` is "native" and that cannot be had here."""
        self._outage = Outage(on_wait)
        self._group = settings["group.id"]
        # The consumer protocol moves partitions one by one; the classic one takes all and deals anew.
        self._incremental = settings.get("group.protocol") == "consumer"
        self._unsettled: set[TopicPartition] = set()  # where the client may go on from a wrong place
        self._topics_unchecked: set[str] = set()
        self._rebalance: Rebalance | None = None
        self._positions: dict[TopicPartition, int] = {}  # of what is ours: the offset after the last one read
        self._ends_reported: dict[TopicPartition, int] = {}
        self._raised: BaseException | None = None
        self._closed = False
        self._topics: list[str] = []  # subscribed
        self._place = GroupPlace(settings)
        self._joins_again = -1  # since the group took our partitions; below 0 where it has not
        self._settings = settings
        self._reading_choice = reading
        self._group_positions = GroupPositions(settings, self._outage)
        self._open()

    @property
    def reading(self) -> str:
        """How messages are read: `native 2.12.1`, or `plain: ` and why."""
        return self._reader.words

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """Join the group; `rebalance` is called from inside `poll` and `close`."""
        assert self._rebalance is None, "subscribed already"
        assert not self._positions, "partitions were assigned by hand"
        self._rebalance = rebalance
        self._topics = list(topics)
        self._topics_unchecked = set(topics) if self._incremental else set()
        self._join()

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets: those it has, or others alone."""
        assert self._rebalance is None, "the group assigns the partitions of a subscribed consumer"
        if not (again := starts.keys() & self._positions.keys()):
            self._start(starts)
        assert starts.keys() == self._positions.keys(), "what it has already would stand still beside others"
        for partition in again:  # assigned what it has, the client would stand still
            self.seek(partition, starts[partition])

    def poll(self, *, messages_max: int, wait_ms: int) -> MessageBlock:
        """Return what is there, at once if anything is, else after at most `wait_ms`.

        Raises OffsetRangeError where a start is not in the log, BusError where a topic is not there or
        not allowed, and whatever the rebalance callbacks raised.
        """
        assert messages_max > 0
        assert wait_ms >= 0
        if self._rebalance is not None:
            self._group_positions.look(self._client, self._topics[0], owning=bool(self._positions))
        if self._group_positions.strayed:
            self._start_over()
        try:
            if self._topics_unchecked:
                require_topics(self._client, self._topics_unchecked)
                self._topics_unchecked = set()
            block, events = self._reader.read(
                messages_max, wait_ms, lambda: self._raised is not None, lambda: self._unsettled
            )
        except KafkaException as raised:
            raise_bus_error(raised, "reading")
        if self._raised is not None:
            raised_in_callback, self._raised = self._raised, None
            raise raised_in_callback
        if self._unsettled:
            self._settle()
        if block.messages:
            self._outage.over()
        ends = self._take_events(events) if events else []
        for place, offset in (*block.next_offsets().items(), *ends):
            if place in self._positions:
                self._positions[place] = max(self._positions[place], offset)
        if not ends:
            return block
        return replace(block, ends=tuple((end, offset) for end, offset in ends if self._is_news(end, offset)))

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver nothing from these until `resume`."""
        self._require_owned(partitions)
        self._client.pause([kafka_place(partition) for partition in partitions])

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver from these again, from the first offset that was not delivered.

        The client's own idea of it is wrong: an end of partition that a batch brought counts as a message
        there (librdkafka 2.12.1), so it would skip the first message that came during the pause.
        """
        self._require_owned(partitions)
        self._client.resume([kafka_place(partition) for partition in partitions])
        for partition in partitions:
            self._seek(partition, self._positions[partition])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on at `offset`; messages read ahead are dropped."""
        assert offset >= 0
        self._require_owned([partition])
        self._seek(partition, offset)
        self._positions[partition] = offset
        self._ends_reported.pop(partition, None)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position | None]:
        """The group's committed positions; waits for open transactions on them to end."""
        if not partitions:
            return {}
        positions = self._group_positions.read(self._client, partitions, REQUEST_TIMEOUT_S)
        if self._group_positions.strayed and self._rebalance is None:
            self._start_over()  # a member does when it polls: that is when it may lose partitions
        return positions

    def commit(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Commit positions as this member, outside any transaction; returns once they count.

        Raises AbortableError where the group has moved on, or after a few attempts without an answer, and
        FencedError where another client took this member's place.
        """
        require_committable(offsets)
        self.require_member()
        commit_positions(self._client, offsets, self._outage)

    def commit_soon(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Begin to commit positions; `committing` tells when they count.  One at a time."""
        require_committable(offsets)
        self.require_member()
        self._later.begin(offsets)

    def committing(self, *, wait: bool = False) -> bool:
        """Whether what `commit_soon` began is still under way; raises, once, what `commit` would have."""
        return self._later.under_way(wait=wait)

    def offsets(self, partition: TopicPartition) -> tuple[int, int]:
        """The low and the high offset of the log."""
        return low_and_high(self._client, partition)

    def close(self) -> None:
        """Leave the group; `revoked` is called for what is owned."""
        if self._closed:
            return
        self._leave(await_place=True)
        self._positions = {}
        if self._raised is not None:
            raised_in_callback, self._raised = self._raised, None
            raise raised_in_callback

    def group_metadata(self) -> object:
        """What ties a transaction's positions to this member's generation; read it right before sending.

        Inside `Rebalance.rejoining` that is the member that this one was, or nobody.  Raises AbortableError
        where a subscribed consumer owns nothing: the broker would not check a member without a generation,
        and take positions from anybody.
        """
        if not self._place.asking:
            self.require_member()
        return self._place.metadata(self._client)

    def require_member(self) -> None:
        """Raise AbortableError where a subscribed consumer owns nothing, or gave its place up by itself."""
        if self._rebalance is not None and not (self._positions and self._client.memberid()):
            raise AbortableError("this member owns no partitions now: abort, and poll until it does")

    def _open(self) -> None:
        self._own = GroupClient(self._settings, self._reading_choice, self._outage, self._on_client_error)
        self._client, self._reader, self._later = self._own.client, self._own.reader, self._own.later

    def _join(self) -> None:
        self._own.subscribe(self._topics, self._on_assign, self._on_revoke, self._on_lost)

    def _leave(self, *, await_place: bool = False) -> None:
        self._closed = True
        self._own.close(await_place=await_place)

    def _join_again(self) -> None:
        """Join the group with a new client.

        Of two requests of a static member to join, as a client sends them whose broker stands still, the
        broker turns the first one away as if another client had sent the second; to the client that is final.
        Another client may have sent it, too: of these two, the transactional id alone tells.
        """
        assert self._rebalance is not None
        self._leave()
        self._place.ask(self._rebalance, as_nobody=True)
        self._rebalance.replaced("rejoined")
        self._closed = False
        self._joins_again += 1
        self._open()
        self._join()

    def _start_over(self) -> None:
        """Go on with a new client in place of one that does not find its group any more."""
        LOGGER.warning("%s: the client does not find its group any more: a new one goes on", self._group)
        starts, self._positions, self._unsettled, self._ends_reported = self._positions, {}, set(), {}
        self._group_positions.strayed = False
        try:
            if self._rebalance is not None and starts:
                self._lose(tuple(sorted(starts)))
            self._later.under_way(wait=True)
        except FencedError:
            self._closed = True
            raise
        finally:
            self._own.leave_behind()
            if not self._closed:
                self._open()
                if self._rebalance is not None:
                    self._rebalance.replaced("strayed")
                    self._joins_again = max(0, self._joins_again)
                    self._join()
                elif starts:
                    self._start(starts)

    def _start(self, starts: Mapping[TopicPartition, int]) -> None:
        assert all(offset >= 0 for offset in starts.values()), "a start is an offset of 0 or more"
        self._reader.give_back()
        self._reader.take_over(starts)
        self._client.assign([kafka_place(partition, offset) for partition, offset in starts.items()])
        self._positions, self._ends_reported = dict(starts), {}

    def _unsettle(self) -> None:
        """Set partitions that stay while others come or go back to our own positions.

        The client stops them meanwhile and goes on from its own idea of it, which is wrong as `resume` says:
        at the end of the log it would skip a message, or find itself out of range and stop for good.  So this
        comes before the client is told what came or went.
        """
        self._unsettled = set(self._positions)
        for partition, offset in self._positions.items():
            seeks(self._client, partition, offset)

    def _settle(self) -> None:
        """Set back again what stayed while others came or went.

        The reader dropped what this poll brought of it: that may be from before and from behind the seek.  A
        partition that has not started yet waits for the next poll.
        """
        for partition in sorted(self._unsettled):
            if seeks(self._client, partition, self._positions[partition]):
                self._unsettled.discard(partition)

    def _add(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read these partitions too, beside those that are ours already."""
        self._reader.take_over(starts)
        self._client.incremental_assign(
            [kafka_place(partition, offset) for partition, offset in starts.items()]
        )
        self._positions.update(starts)
        for partition in starts:
            self._ends_reported.pop(partition, None)

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        """Seek now, or at the polls to come: a partition may not have started yet, and one that the group has
        taken, which only a poll will tell, never will.
        """
        if not seeks(self._client, partition, offset):
            self._unsettled.add(partition)

    def _is_news(self, partition: TopicPartition, end: int) -> bool:
        """Whether this end was not told before: a fetch that starts again at an end brings it again."""
        known, self._ends_reported[partition] = self._ends_reported.get(partition), end
        return known != end

    def _require_owned(self, partitions: Sequence[TopicPartition]) -> None:
        assert set(partitions) <= self._positions.keys(), f"{partitions} are not all ours"

    # The callbacks below run inside the client's C code: what they raise is kept and raised by `poll`.

    def _on_assign(self, _client: Any, places: Sequence[Any]) -> None:
        partitions = our_places(places)
        assert self._rebalance is not None
        self._joins_again = -1
        self._place.take(self._client)
        if self._closed:  # what comes while we leave goes to another member: nothing is to be opened for it
            (self._client.incremental_assign if self._incremental else self._client.assign)([])
            return
        try:
            starts = self._rebalance.assigned(partitions) if partitions else {}
            assert starts.keys() >= set(partitions), "assigned() must say where to start each partition"
            if self._incremental:
                self._unsettle()
                self._add({place: starts[place] for place in partitions})
                self._positions.update(starts)  # inputs assigned earlier, too: the whole task starts there
            else:
                self._start(starts)
        except BaseException as raised:  # an interrupt too must pass through the C code
            self._raised = raised
            if self._incremental:
                self._client.incremental_assign([])
            else:
                self._client.assign([])

    def _on_revoke(self, _client: Any, places: Sequence[Any]) -> None:
        assert self._rebalance is not None
        self._give_up(self._rebalance.revoked, places)

    def _on_lost(self, _client: Any, places: Sequence[Any]) -> None:
        assert self._rebalance is not None
        self._joins_again = max(0, self._joins_again)
        self._give_up(self._lose, places)

    def _lose(self, partitions: Sequence[TopicPartition]) -> None:
        """Tell of what was lost, and let the client stay away from the group where another has our place.

        It would join as soon as these are given up, and as a new member: it has forgotten which one it was.
        """
        assert self._rebalance is not None
        try:
            self._rebalance.lost(partitions)
            if not self._closed:
                self._place.ask(self._rebalance)
        except FencedError:
            with suppress(KafkaException):  # a client that knows of the other one says so, but obeys
                self._client.unsubscribe()
            raise

    def _give_up(self, tell: Callable[[Sequence[TopicPartition]], None], places: Sequence[Any]) -> None:
        try:
            if self._positions:
                tell(our_places(places))
        except BaseException as raised:
            self._raised = raised
        if self._incremental:
            for place in our_places(places):
                self._positions.pop(place, None)
                self._ends_reported.pop(place, None)
            if not self._closed:
                try:
                    self._unsettle()
                except BusError as raised:
                    self._raised = self._raised or raised
                self._reader.give_back(our_places(places))
                self._client.incremental_unassign(list(places))
            return
        self._positions = {}
        self._unsettled = set()
        if not self._closed:
            self._reader.give_back()
            self._client.unassign()

    def _on_client_error(self, error: Any) -> None:
        if error.fatal():
            self._raised = bus_error(error, "reading")
        else:
            self._outage.tell(error)

    def _take_events(self, events: Sequence[Event]) -> list[tuple[TopicPartition, int]]:
        """Return the ends among what came in place of messages; tell of what passes, raise the rest."""
        ends = []
        for event in events:
            name = event.error.name()
            # The client may still tell of a place that the group has taken meanwhile.
            lost = name in OUT_OF_RANGE and event.place not in self._positions
            if name == "_PARTITION_EOF":
                ends.append((event.place, event.offset))
            elif name in _PASSING or lost:
                self._outage.tell(event.error)
            elif event.fenced and 0 <= self._joins_again < _JOINS_AGAIN_MAX:
                # A member that another replaces still has its partitions; ours are gone.
                self._outage.tell(event.error)
                self._join_again()
                return []
            else:
                raise_event_error(event, self._group, self.offsets)
        return ends
