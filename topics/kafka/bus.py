"""The bus on Apache Kafka, through librdkafka: the same protocol as the embedded one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from types import MappingProxyType

import confluent_kafka
from confluent_kafka import KafkaException

from topics.bus import BusError, BusUnavailableError, MessageLimit
from topics.kafka.admin import KafkaAdmin
from topics.kafka.consumer import KafkaConsumer
from topics.kafka.errors import error_of
from topics.kafka.producer import KafkaProducer
from topics.kafka.reader import Reading
from topics.kafka.settings import (
    AT_ONCE,
    LOGGER,
    PRODUCER,
    TO_END,
    TRANSACTION_TIMEOUT_MS,
    GroupProtocol,
    consumer_settings,
    require_free,
    settings_for,
)
from topics.kafka.vacate import vacate
from topics.message_size import message_limit


def client_version() -> str:
    """Which Kafka client this is: the library in C, and its Python package."""
    return f"librdkafka {confluent_kafka.libversion()[0]} (confluent-kafka {confluent_kafka.version()})"


class KafkaBus:
    """See `topics.bus.Bus`.

    `config` holds librdkafka settings as text for all clients; a key that begins with `consumer.` or
    `producer.` is for those alone.  `group_protocol` is how members of a group agree: `classic`, or
    `consumer` (KIP-848, brokers from 4.0 on).  `reading` is how consumers read (see `topics.kafka.reader`).
    `on_wait` gets a line of text when a client waits for a broker.
    """

    def __init__(
        self,
        bootstrap: str,
        config: Mapping[str, str] = MappingProxyType({}),
        *,
        group_protocol: GroupProtocol = "classic",
        reading: Reading = "auto",
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        require_free(config)
        self._group_protocol: GroupProtocol = group_protocol
        self._bootstrap = bootstrap
        self._config = dict(config)
        self._reading: Reading = reading
        self._on_wait = on_wait or (lambda words: LOGGER.warning("waiting: %s", words))

    @property
    def name(self) -> str:
        """What to print."""
        return f"kafka {self._bootstrap}"

    def check(self, timeout_ms: int) -> None:
        """Return when a broker answers; raises BusUnavailableError without an answer within `timeout_ms`."""
        begun_s = monotonic()
        try:
            self.admin().ping(timeout_ms / 1_000)
        except BusUnavailableError:
            raise BusUnavailableError(
                f"no Kafka broker answers at {self._bootstrap} (waited {monotonic() - begun_s:.1f} s); "
                "start one with `make kafka`, or name yours with --bootstrap or bus.bootstrap"
            ) from None

    def consumer(self, *, group: str, client_id: str = "tidemark", to_end: bool = False) -> KafkaConsumer:
        """Make a consumer of a group; one that reads `to_end` alone hears of an end without a wait."""
        own = {**consumer_settings(group, self._group_protocol), **(TO_END if to_end else {})}
        settings = settings_for("consumer", self._bootstrap, client_id, self._config, own)
        with _named_settings():
            return KafkaConsumer(settings, self._on_wait, self._reading)

    def vacate(self, *, group: str, client_id: str, topics: Sequence[str]) -> None:
        """Give up the place in a group that a member of these settings keeps after it has ended."""
        own = consumer_settings(group, self._group_protocol)
        settings = settings_for("consumer", self._bootstrap, client_id, self._config, own)
        with _named_settings():
            vacate(settings, topics)

    def producer(self, *, transactional_id: str | None = None, client_id: str = "tidemark") -> KafkaProducer:
        """Make a producer; with an id, abort what that id left open and fence who had it."""
        of_kind = AT_ONCE if transactional_id is None else {"transaction.timeout.ms": TRANSACTION_TIMEOUT_MS}
        own = {**PRODUCER, **of_kind}
        settings = settings_for("producer", self._bootstrap, client_id, self._config, own)
        with _named_settings():
            return KafkaProducer(settings, transactional_id, self._on_wait)

    def message_limits(self, topics: Sequence[str]) -> dict[str, MessageLimit]:
        """How large a message each topic takes from our producers."""
        settings = settings_for("producer", self._bootstrap, "tidemark", self._config, PRODUCER)
        client, batch = (int(str(settings[name])) for name in ("message.max.bytes", "batch.size"))
        limits = {}
        for topic, spec in self.admin().describe(list(topics)).items():
            if spec is None:
                raise BusError(f"topic {topic} does not exist: create it first")
            limits[topic] = message_limit(
                topic, spec.configs, client_size_max=client, batch_size_max=min(client, batch)
            )
        return limits

    def admin(self) -> KafkaAdmin:
        """Make a client for topics."""
        with _named_settings():
            return KafkaAdmin(settings_for("admin", self._bootstrap, "tidemark", self._config, {}))


@contextmanager
def _named_settings() -> Iterator[None]:
    """Turn the client's refusal of a setting into a BusError that names it."""
    try:
        yield
    except KafkaException as refused:
        raise BusError(f"Kafka setting refused: {error_of(refused).str()}") from None
