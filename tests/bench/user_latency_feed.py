"""`python -m tests.bench.user_latency_feed feed CONFIG.json`: trades and quotes as they come due."""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Producer

from app.config import Settings
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.bench.kafka_load import QUOTE, TRADE
from tests.bench.kafka_offer import QUOTE_SHARE, Lane, stream_lanes
from tests.bench.kafka_processes import CHECKED, no_pauses, ready_until_told, require_delivered

STEP_NS: Final = NS_PER_MS  # what has come due meanwhile is produced at once
ENCODED_PER_S: Final = 100_000  # rows made ready in time for the first one to be due


def feed(config: dict[str, Any], settings: Settings) -> None:
    """Wait for a line, say `begun`, produce trades and quotes as they come due, and write down when.

    A row's time is the wall clock's when it is created, evenly spaced over a stream; it is produced up to the
    disorder later.  What is produced is in the order of those moments even where the feed falls behind, so
    that no row is ever later than the grace.  The client is a plain one, with its linger of 5 ms.
    """
    producer = Producer(
        {
            "bootstrap.servers": settings.bus.bootstrap,
            **CHECKED,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.list_topics()
    ready_until_told().wait()
    begin_ns, lanes = _lanes_in_time(config, settings)
    messages = [list(lane.messages) for lane in lanes]
    lane_of = np.repeat(np.arange(len(lanes)), [lane.due_ns.size for lane in lanes])
    due_ns = np.concatenate([lane.due_ns for lane in lanes])
    order = np.argsort(due_ns, kind="stable")
    due_ns = due_ns[order]
    rows = [(lanes[lane].topic, each) for lane, many in enumerate(messages) for each in many]
    rows = [rows[place] for place in order.tolist()]
    sent_ns: list[int] = []
    with no_pauses():
        _wait_until(begin_ns)
        print("begun", flush=True)
        while len(sent_ns) < len(rows):
            stop = int(np.searchsorted(due_ns, time.time_ns() - begin_ns, side="right"))
            for topic, message in rows[len(sent_ns) : stop]:
                sent_ns.append(time.time_ns())
                producer.produce(
                    topic, message.value, message.key, message.partition, on_delivery=require_delivered
                )
            producer.poll(0)
            _wait_until(begin_ns + (time.time_ns() - begin_ns) // STEP_NS * STEP_NS + STEP_NS)
        producer.flush()
    sent = np.array(sent_ns)
    columns: dict[str, Any] = {"begin_ns": np.array([begin_ns]), "behind_ns": sent - begin_ns - due_ns}
    for number, lane in enumerate(lanes):
        columns[f"{lane.topic}/{lane.partition}/event_ns"] = lane.event_ns
        columns[f"{lane.topic}/{lane.partition}/due_ns"] = begin_ns + lane.due_ns
        columns[f"{lane.topic}/{lane.partition}/sent_ns"] = sent[lane_of[order] == number]
    np.savez(config["sent"], **columns)


def _lanes_in_time(config: dict[str, Any], settings: Settings) -> tuple[int, list[Lane]]:
    """When the first row is due, and all rows; made again where that moment passed meanwhile."""
    total = int(config["rows_per_second"] * config["seconds"])
    allowed_ns = NS_PER_S + total * NS_PER_S // ENCODED_PER_S
    while True:
        begin_ns = time.time_ns() + allowed_ns
        lanes = []
        for stream, share in ((QUOTE, QUOTE_SHARE), (TRADE, 1 - QUOTE_SHARE)):
            created_ns = np.linspace(0, config["seconds"] * NS_PER_S, round(total * share)).astype(np.int64)
            later_ns = np.random.default_rng([11, stream is TRADE]).integers(
                0, config["disorder_ns"], created_ns.size, endpoint=True
            )
            order = np.argsort(created_ns + later_ns, kind="stable")
            due_ns = (created_ns + later_ns)[order]
            lanes += stream_lanes(settings, stream, begin_ns + created_ns[order], due_ns)
        if time.time_ns() < begin_ns - allowed_ns // 2:
            return begin_ns, lanes
        allowed_ns *= 2


def _wait_until(at_ns: int) -> None:
    if (left_ns := at_ns - time.time_ns()) > 0:
        time.sleep(left_ns / NS_PER_S)


def main(file: str) -> None:
    """Run the feed."""
    config = json.loads(Path(file).read_text())
    feed(config, Settings.model_validate(config["settings"]))


if __name__ == "__main__":
    main(sys.argv[2])
