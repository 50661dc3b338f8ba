"""Laws of choosing how messages are read: natively where that is proven safe, else plainly, saying why."""

import os
import subprocess
import sys

import confluent_kafka
import pytest

from topics.bus import BusUnavailableError
from topics.kafka import producer as kafka_producer
from topics.kafka.bus import KafkaBus
from topics.kafka.native.library import NativeLibrary, NativeUnavailableError
from topics.kafka.reader import PlainReader, open_reader, reading
from topics.kafka.settings import LOGGER

CLIENT = "mine"


@pytest.fixture
def client() -> confluent_kafka.Consumer:
    """A consumer that asks no broker."""
    return confluent_kafka.Consumer({"group.id": "g", "client.id": CLIENT})


def test_reading_is_native_here_and_says_of_which_library() -> None:
    assert reading() == f"native {confluent_kafka.libversion()[0]}"


def test_plain_reading_is_plain(client: confluent_kafka.Consumer) -> None:
    assert open_reader(client, CLIENT, "plain", LOGGER.error).words == "plain: as asked for"


class Patience:
    """A client without a message, and how long each call was to wait for one."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, float]] = []

    def consume(self, _messages_max: int, wait_s: float) -> list[confluent_kafka.Message]:
        self.waits.append(("consume", wait_s))
        return []

    def poll(self, wait_s: float) -> None:
        self.waits.append(("poll", wait_s))


def test_plain_reading_waits_in_poll_alone() -> None:
    client = Patience()
    block, events = PlainReader(client, "asked for").read(10, 2_000, lambda: False, set)
    assert (block.messages, events) == (0, [])
    assert client.waits == [("consume", 0), ("poll", 2.0)]


def test_only_a_transactional_producer_writes_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(kafka_producer, "REQUEST_TIMEOUT_S", 0.1)
    monkeypatch.setattr(kafka_producer, "NativeWriter", lambda _client, client_id: made.append(client_id))
    bus = KafkaBus("127.0.0.1:1")  # nobody answers there
    bus.producer(client_id="direct").close()
    with pytest.raises(BusUnavailableError):
        bus.producer(client_id="transactional", transactional_id="id")
    assert made == ["transactional"]


def test_a_client_that_does_not_answer_with_its_name_is_not_read_natively(
    client: confluent_kafka.Consumer,
) -> None:
    with pytest.raises(NativeUnavailableError, match="does not answer with the client's name"):
        NativeLibrary().handle_of(client, "another")
    assert open_reader(client, "another", "auto", LOGGER.error).words.startswith(
        "plain: the client's handle does not"
    )


def test_a_closed_client_and_what_is_no_client_have_no_handle(client: confluent_kafka.Consumer) -> None:
    client.close()
    with pytest.raises(NativeUnavailableError, match="does not begin with its handle"):
        NativeLibrary().handle_of(client, CLIENT)
    with pytest.raises(NativeUnavailableError, match="not a class of the official client"):
        NativeLibrary().handle_of(object(), CLIENT)


def test_without_numba_reading_is_plain_and_asking_for_native_is_refused() -> None:
    program = """
from confluent_kafka import Consumer
from topics.bus import BusError
from topics.kafka.reader import PlainReader, open_reader, reading
print(reading())
try:
    open_reader(Consumer({"group.id": "g", "client.id": "c"}), "c", "native", print)
except BusError as refused:
    print(refused)
"""
    without = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=without, capture_output=True, text=True, check=True
    )
    plain, refused = done.stdout.splitlines()
    assert plain == "plain: numba is switched off (NUMBA_DISABLE_JIT)"
    assert refused.startswith('kafka_reading = "native" cannot be had: numba is switched off')
