"""Laws of the Kafka settings: the user's go where they are meant, and none unmakes a guarantee."""

import pytest
from confluent_kafka import KafkaError

from topics.bus import BusError, BusUnavailableError
from topics.kafka.bus import KafkaBus
from topics.kafka.errors import AWAY, FENCED, MOVED_ON, OUT_OF_RANGE, bus_error
from topics.kafka.settings import (
    CLASSIC_ONLY,
    CONSUMER,
    FIXED,
    GroupProtocol,
    consumer_settings,
    settings_for,
)


@pytest.mark.parametrize(
    "key", ["isolation.level", "consumer.enable.auto.commit", "producer.enable.idempotence", "group.id"]
)
def test_a_setting_that_the_guarantees_stand_on_is_refused_by_name(key: str) -> None:
    with pytest.raises(BusError, match=key):
        KafkaBus("127.0.0.1:9092", {key: "other"})


def test_a_prefixed_setting_is_for_its_role_alone() -> None:
    config = {"security.protocol": "SSL", "consumer.fetch.wait.max.ms": "7", "producer.linger.ms": "9"}
    consumer = settings_for("consumer", "h:1", "c", config, CONSUMER)
    assert consumer["security.protocol"] == "SSL"
    assert consumer["fetch.wait.max.ms"] == "7"
    assert "linger.ms" not in consumer
    assert "consumer.fetch.wait.max.ms" not in consumer


def test_a_setting_for_all_gives_way_to_one_for_the_role() -> None:
    config = {"consumer.client.rack": "b", "client.rack": "a"}
    assert settings_for("consumer", "h:1", "c", config, {})["client.rack"] == "b"
    assert settings_for("producer", "h:1", "c", config, {})["client.rack"] == "a"


def test_every_error_we_sort_by_is_one_the_client_knows() -> None:
    assert {
        name for name in FENCED | AWAY | MOVED_ON | OUT_OF_RANGE if not hasattr(KafkaError, name)
    } == set()


@pytest.mark.parametrize("name", ["_TRANSPORT", "_DESTROY_BROKER", "OFFSET_NOT_AVAILABLE"])
def test_an_answer_that_a_changing_broker_kept_is_waited_for(name: str) -> None:
    error = KafkaError(getattr(KafkaError, name))
    assert isinstance(bus_error(error, "reading offsets"), BusUnavailableError)


def test_what_is_fixed_covers_what_makes_reading_exact() -> None:
    assert {"isolation.level", "auto.offset.reset", "enable.auto.commit", "enable.partition.eof"} <= FIXED


def test_either_protocol_puts_equal_partition_numbers_on_one_member() -> None:
    assert consumer_settings("g", "classic")["partition.assignment.strategy"] == "range"
    newer = consumer_settings("g", "consumer")
    assert (newer["group.protocol"], newer["group.remote.assignor"]) == ("consumer", "range")
    assert not newer.keys() & CLASSIC_ONLY, "the client refuses what the broker sets"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_both_protocols_check_every_batch_and_never_jump(protocol: GroupProtocol) -> None:
    settings = consumer_settings("g", protocol)
    assert settings["check.crcs"] is True
    assert settings["auto.offset.reset"] == "error"
    assert settings["isolation.level"] == "read_committed"
