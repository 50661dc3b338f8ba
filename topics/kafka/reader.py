"""Two ways to read a Kafka consumer's messages into blocks: natively, or through the client's objects."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, Protocol

import confluent_kafka
from confluent_kafka import Message

from topics.block import MessageBlock, TopicPartition
from topics.bus import BusError
from topics.kafka.native.event import Event
from topics.kafka.native.library import NativeUnavailableError
from topics.kafka.native.reader import NativeReader
from topics.kafka.plain_block import block_of
from topics.kafka.settings import LOGGER

Reading = Literal["auto", "native", "plain"]
_CHECK_ID: Final = "tidemark-check"


class Reader(Protocol):
    """Reads what a consumer was assigned; one thread at a time."""

    @property
    def words(self) -> str:
        """What to print: `native 2.12.1`, or `plain: ` and why."""
        ...

    def take_over(self, partitions: Iterable[TopicPartition]) -> None:
        """Prepare for these partitions too; call it before the client assigns them."""
        ...

    def give_back(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Stop reading these partitions; all of them if None, which drops messages read ahead."""
        ...

    def read(
        self,
        messages_max: int,
        wait_ms: int,
        interrupted: Callable[[], bool],
        unwanted: Callable[[], AbstractSet[TopicPartition]],
    ) -> tuple[MessageBlock, list[Event]]:
        """Return what is there, at once if anything is or `interrupted`, else after at most `wait_ms`.

        What comes of `unwanted` partitions, which a callback of the client's may change, is dropped.
        """
        ...

    def close(self) -> None:
        """Let go of what is held; call it before the client closes.  Blocks stay as they are."""
        ...


class PlainReader:
    """Reads through the official client: an object per message."""

    def __init__(self, client: Any, reason: str) -> None:
        self._client = client
        self.words = f"plain: {reason}"

    def take_over(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing to prepare."""

    def give_back(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Nothing to undo."""

    def read(
        self,
        messages_max: int,
        wait_ms: int,
        interrupted: Callable[[], bool],
        unwanted: Callable[[], AbstractSet[TopicPartition]],
    ) -> tuple[MessageBlock, list[Event]]:
        """Return what is there, at once if anything is or `interrupted`, else after at most `wait_ms`.

        What comes of `unwanted` partitions, which a callback of the client's may change, is dropped.
        """
        # consume() would wait for all of `messages_max`; so it never waits, and poll() does.
        messages = self._client.consume(messages_max, 0)
        if not messages and wait_ms and not interrupted():
            first = self._client.poll(wait_ms / 1_000)
            if first is not None:
                messages = [first]
                if messages_max > 1:
                    messages += self._client.consume(messages_max - 1, 0)
        if dropped := unwanted():
            messages = [m for m in messages if TopicPartition(m.topic(), m.partition()) not in dropped]
        events: list[Event] = []
        if any(map(Message.error, messages)):
            events = [Event.of(message) for message in messages if message.error() is not None]
            messages = [message for message in messages if message.error() is None]
        return block_of(messages, ()), events

    def close(self) -> None:
        """Nothing is held."""


def open_reader(client: Any, client_id: str, reading: Reading, on_error: Callable[[Any], None]) -> Reader:
    """Return the reader for `reading`; "auto" is native where that is safe.

    `on_error` is the client's error callback: whoever reads past the client calls it in its place.
    Raises BusError where `reading` is "native" and that cannot be had.
    """
    if reading == "plain":
        return PlainReader(client, "as asked for")
    try:
        return NativeReader(client, client_id, on_error)
    except NativeUnavailableError as unavailable:
        if reading == "native":
            raise BusError(f'kafka_reading = "native" cannot be had: {unavailable}; say "auto"') from None
        LOGGER.warning("messages are read through the official client: %s", unavailable)
        return PlainReader(client, str(unavailable))


def reading(choice: Reading = "auto") -> str:
    """Say how messages would be read here: `native 2.12.1`, or `plain: ` and why.  Needs no broker.

    Raises BusError where `choice` is "native" and that cannot be had.
    """
    client = confluent_kafka.Consumer({"group.id": _CHECK_ID, "client.id": _CHECK_ID}, logger=LOGGER)
    reader = open_reader(client, _CHECK_ID, choice, lambda _error: None)
    reader.close()
    client.close()
    return reader.words
