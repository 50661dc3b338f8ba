"""Retention after a run: the beginnings of partitions are deleted at drawn places, and audits stay clean."""

import random

from app.audit.cut import read_cuts
from app.audit.topics import audit
from app.wiring.pipeline import Pipeline
from topics.block import TopicPartition
from topics.memory.bus import MemoryBus


def forget(rng: random.Random, pipeline: Pipeline, rounds: int) -> int:
    """Delete and audit, a few times over; fails on any finding.  Returns the rows that were passed over."""
    bus, settings = pipeline.bus, pipeline.settings
    assert isinstance(bus, MemoryBus)
    outputs = [settings.topic(name) for name in ("aligned", "late", "dead", *settings.node_outputs)]
    passed_over = 0
    for _ in range(rounds):
        for topic in [*pipeline.input_topics, *outputs]:
            for number in range(settings.bus.partitions):
                source = TopicPartition(topic, number)
                log = bus.admin().ranges([source])[source]
                if rng.random() < 0.4:
                    bus.delete_before(source, rng.randint(log.low, log.high))
        for cuts in (None, read_cuts(pipeline)):
            report = audit(pipeline, cuts)
            assert not report.violations, f"audited where topics keep not all: {report.violations}"
            passed_over += report.reach.passed_over.rows.total()
    return passed_over
