"""An error of the client's keeps nothing alive."""

import weakref

import confluent_kafka
import pytest
from confluent_kafka import KafkaException

from topics.bus import AbortableError, BusUnavailableError
from topics.kafka.errors import MESSAGE_TIMED_OUT, bus_error, error_of, transaction_error


class HandledError(Exception):
    """What is being handled as the client is asked for something that it refuses."""


def test_what_was_being_handled_as_the_client_refused_goes_as_all_exceptions_do() -> None:
    client = confluent_kafka.Producer({"bootstrap.servers": "127.0.0.1:9"})
    handled = []
    try:
        raise HandledError
    except HandledError as raised:
        handled.append(weakref.ref(raised))
        with pytest.raises(KafkaException) as refused:
            client.begin_transaction()
        assert error_of(refused.value).name() == "_NOT_CONFIGURED"
    del refused
    assert handled[0]() is None


def test_an_error_made_by_hand_is_as_it_was() -> None:
    error = confluent_kafka.KafkaError(1)
    assert error_of(KafkaException(error)) is error


def test_a_message_that_timed_out_is_sent_again() -> None:
    error = confluent_kafka.KafkaError(-192)
    assert error.name() == MESSAGE_TIMED_OUT
    assert isinstance(transaction_error(error, "writing"), AbortableError)
    assert isinstance(bus_error(error, "writing"), BusUnavailableError)
