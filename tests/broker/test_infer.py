"""Topics of a real Kafka are looked at as they are: settings proposed, a copy by columns made and joined."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import tomli_w

from tests.contract.bus.conftest import HASTY
from tests.stage.programs import App
from topics.bus import TopicSpec
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.takes_s(10)]

MS = 1_705_311_000_000


@pytest.fixture
def topic(kafka_bootstrap: str) -> Iterator[str]:
    """A topic of JSON without keys, 3 partitions of it in turn; it and its copy go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    name = f"test-{uuid4().hex[:12]}.ticks"
    bus.admin().create([TopicSpec(name=name, partitions=3, configs={"retention.ms": "-1"})])
    producer = bus.producer()
    for number in range(1_500):
        value = json.dumps({"s": f"S{number % 7}", "T": MS + number, "p": f"{number / 8:.3f}"}).encode()
        producer.produce(name, partition=number % 3, key=None, value=value, timestamp_ms=MS + number)
    producer.flush()
    producer.close()
    yield name
    bus.admin().delete([name, f"{name}-copy"])


def test_a_topic_is_proposed_copied_and_proposed_again(
    kafka_bootstrap: str, topic: str, run_app: App, tmp_path: Path
) -> None:
    where = ["--bootstrap", kafka_bootstrap]
    answer = run_app("topics", "infer", topic, "--stream", "tick", *where)
    assert answer.code == 0, answer
    table = tomllib.loads(answer.out)["streams"]["tick"]
    assert table == {
        "topic": topic,
        "format": "json",
        "key": ["s"],
        "key_from": "columns",
        "event_time": {"field": "T", "form": "ms"},
        "fields": {"s": "string", "p": "double"},
    }
    assert "Tried out: 1,500 of 1,500 messages are 1,500 rows" in answer.out
    config = tmp_path / "tidemark.toml"
    settings = {
        "pipeline": {"left": "tick"},
        "bus": {"partitions": 3, "schema_registry": str(tmp_path / "schemas")},
    }
    config.write_text(tomli_w.dumps({**settings, "streams": {"tick": table}}))
    asked = ["--from", topic, "--to", f"{topic}-copy", "--config", config]
    answer = run_app("topics", "repartition", *asked, *where)
    assert answer.code == 0, answer
    assert "1,500 messages copied" in answer.out
    answer = run_app("topics", "infer", f"{topic}-copy", "--messages", 2_000, "--config", config, *where)
    assert "1,500 of 1,500 messages (100 %) lie in the partition" in answer.out
