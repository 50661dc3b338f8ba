"""A publisher that is killed outright, on a real Kafka: the same command again doubles nothing."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.stage.days import DATE
from tests.stage.topic_reader import read_topic, rows_in
from topics.block import TopicPartition
from topics.catalogue import apply, pipeline_topics, plan
from topics.kafka.bus import KafkaBus
from topics.registry.folder import FileRegistry

pytestmark = pytest.mark.broker

PARTITIONS = 2
ROWS = {"trade": 2_000, "quote": 8_000}
SPEED_PACED = "1000"  # the day takes 23 s then, so that the kill comes in its midst


def test_a_killed_publisher_goes_on_where_it_was(kafka_bootstrap: str, tmp_path: Path) -> None:
    days = generate_day(
        HistoryStore(tmp_path / "history"), DATE, symbols=9, trades=ROWS["trade"], quotes=ROWS["quote"]
    )
    prefix = f"killed-{uuid.uuid4().hex[:8]}"
    bus = KafkaBus(kafka_bootstrap)
    admin = bus.admin()
    apply(admin, plan(admin, pipeline_topics(prefix=prefix, streams=ROWS, partitions=PARTITIONS)))
    command = [sys.executable, "-m", "replay", "publish", "--date", DATE, "--store", str(days[0].root)]
    command += ["--bootstrap", kafka_bootstrap, "--topics", prefix, "--registry", str(tmp_path / "schemas")]

    first = subprocess.Popen([*command, "--speed", SPEED_PACED], stderr=subprocess.PIPE, text=True)
    watcher = bus.consumer(group=f"{prefix}-publisher")
    place = TopicPartition(f"{prefix}.quote", 0)
    while (position := watcher.committed([place])[place]) is None or position.offset < ROWS["quote"] // 10:
        assert first.poll() is None, first.communicate()[1]
    first.kill()
    first.communicate()
    second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert second.returncode == 0, second.stderr
    assert f"quote: {ROWS['quote']:,} rows published\n" not in second.stdout
    registry = FileRegistry(tmp_path / "schemas")
    for stream, rows in ROWS.items():
        messages = read_topic(bus, registry, f"{prefix}.{stream}", PARTITIONS)
        assert len(rows_in(messages)) == rows
        assert sum(m.progress and m.rows[0]["final"] for m in messages) == PARTITIONS
    watcher.close()
    again = subprocess.run(
        [*command, "--run", f"{prefix}-again"], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"{sum(ROWS.values()):,} of {sum(ROWS.values()):,} rows will be late" in again.stderr
