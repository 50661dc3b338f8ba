"""How large a message is, and how large a topic lets it be."""

import pytest

from topics.bus import BusError
from topics.message_size import AROUND_SIZE, message_limit, message_size


@pytest.mark.parametrize("size", [0, 1, 63, 64, 8_191, 8_192, 1 << 20, 8 << 20])
def test_a_message_without_headers_has_few_bytes_besides_its_key_and_value(size: int) -> None:
    for key in (None, b"", b"k" * 200):
        assert 0 < message_size(key, b"x" * size) - size - len(key or b"") < AROUND_SIZE


def test_the_smaller_of_the_topics_and_the_clients_setting_counts_and_is_named() -> None:
    configs = {"max.message.bytes": "5000000"}
    limit = message_limit("t", configs, client_size_max=1 << 26, batch_size_max=1 << 20)
    assert limit == (5_000_000, "max.message.bytes of the topic")
    limit = message_limit("t", configs, client_size_max=4_000_000, batch_size_max=1 << 20)
    assert limit == (4_000_000, '"producer.message.max.bytes" in [bus.kafka]')


def test_a_topic_that_takes_less_than_a_batch_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        BusError, match=r'takes batches of 500,000 bytes .*set "producer\.batch\.size" = "250000"'
    ):
        message_limit("t", {"max.message.bytes": "500000"}, client_size_max=1 << 26, batch_size_max=1 << 20)
