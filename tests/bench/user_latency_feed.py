"""`python -m tests.bench.user_latency_feed feed CONFIG.json`: trades and quotes as they come due."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Producer

from app.config import Settings
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.bench.kafka_load import QUOTE, TRADE
from tests.bench.kafka_offer import QUOTE_SHARE, Lane, stream_lanes
from tests.bench.kafka_processes import CHECKED, no_pauses, ready_until_told, require_delivered
from topics.outgoing import Message

STEP_NS: Final = NS_PER_MS  # what has come due meanwhile is produced at once
PLANNED_PER_S: Final = 100_000  # rows made ready in time for the first one to be due


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
    sent_ns: list[int] = []
    with no_pauses():
        plan = _plan_in_time(config, settings)
        begin_ns, due_ns, rows = plan.begin_ns, plan.due_ns, plan.rows
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
    for number, lane in enumerate(plan.lanes):
        columns[f"{lane.topic}/{lane.partition}/event_ns"] = lane.event_ns
        columns[f"{lane.topic}/{lane.partition}/due_ns"] = begin_ns + lane.due_ns
        columns[f"{lane.topic}/{lane.partition}/sent_ns"] = sent[plan.lane_of == number]
    np.savez(config["sent"], **columns)


@dataclass(frozen=True, slots=True)
class Plan:
    """All rows in the order in which they are produced: topic and message, lane, when due after the begin."""

    begin_ns: int
    lanes: list[Lane]
    lane_of: Int64s
    due_ns: Int64s
    rows: list[tuple[str, Message]]


def _plan_in_time(config: dict[str, Any], settings: Settings) -> Plan:
    """A plan whose begin has not come yet: made again, for a later one, where it came meanwhile."""
    allowed_ns = NS_PER_S + int(config["rows_per_second"] * config["seconds"]) * NS_PER_S // PLANNED_PER_S
    while True:
        plan = _plan(config, settings, time.time_ns() + allowed_ns)
        if time.time_ns() < plan.begin_ns:
            return plan
        allowed_ns *= 2


def _plan(config: dict[str, Any], settings: Settings, begin_ns: int) -> Plan:
    lanes: list[Lane] = []
    for stream, share in ((QUOTE, QUOTE_SHARE), (TRADE, 1 - QUOTE_SHARE)):
        count = round(config["rows_per_second"] * config["seconds"] * share)
        created_ns = np.linspace(0, config["seconds"] * NS_PER_S, count).astype(np.int64)
        draw = np.random.default_rng([11, stream is TRADE])
        due_ns = created_ns + draw.integers(0, config["disorder_ns"], count, endpoint=True)
        order = np.argsort(due_ns, kind="stable")
        lanes += stream_lanes(settings, stream, begin_ns + created_ns[order], due_ns[order])
    lane_of = np.repeat(np.arange(len(lanes)), [lane.due_ns.size for lane in lanes])
    due_ns = np.concatenate([lane.due_ns for lane in lanes])
    order = np.argsort(due_ns, kind="stable")
    rows = [(lane.topic, message) for lane in lanes for message in lane.messages]
    return Plan(begin_ns, lanes, lane_of[order], due_ns[order], [rows[place] for place in order.tolist()])


def _wait_until(at_ns: int) -> None:
    if (left_ns := at_ns - time.time_ns()) > 0:
        time.sleep(left_ns / NS_PER_S)


def main(file: str) -> None:
    """Run the feed."""
    config = json.loads(Path(file).read_text())
    feed(config, Settings.model_validate(config["settings"]))


if __name__ == "__main__":
    main(sys.argv[2])
