"""The newest messages of each input, read as a worker would: whether they give rows, with keys at home."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from app.watch.finding import Finding
from app.watch.tails import read_tails
from app.wiring.pipeline import Pipeline
from app.words import copy_advice
from topics.block import TopicPartition
from topics.wire import Decoded

SAMPLE_OFFSETS: Final = 200  # newest messages of each partition that are looked at


@dataclass(slots=True)
class _Sample:
    """What the newest messages of one input come to."""

    messages: int = 0
    rows: int = 0
    keys: int = 0
    dead: int = 0
    first_dead: str = ""
    stray: str = ""


def sample_findings(pipeline: Pipeline) -> Iterator[Finding]:
    """Say what the newest messages give, and whether their keys are where they belong.

    Raises what reading and decoding raise.
    """
    numbers = range(pipeline.settings.bus.partitions)
    places = [TopicPartition(topic, number) for topic in pipeline.input_topics for number in numbers]
    ranges = pipeline.bus.admin().ranges(places)
    starts = {place: max(log.low, log.stable - SAMPLE_OFFSETS) for place, log in ranges.items()}
    samples = {topic: _Sample() for topic in pipeline.input_topics}
    for source, messages, decoded in read_tails(pipeline, starts):
        _see(samples[source.topic], pipeline, source, messages, decoded)
    for topic, sample in samples.items():
        yield from _rows(topic, pipeline.input_topics[topic], sample)
    for topic, sample in samples.items():
        if sample.stray:
            yield Finding("keys", "problem", sample.stray, copy_advice(topic, len(numbers)))
    if any(sample.keys for sample in samples.values()) and not any(one.stray for one in samples.values()):
        figures = ", ".join(f"{topic}: {sample.keys:,}" for topic, sample in samples.items())
        yield Finding("keys", "ok", f"of the newest rows all keys lie where they belong ({figures})")


def _see(
    sample: _Sample, pipeline: Pipeline, source: TopicPartition, messages: int, decoded: Decoded
) -> None:
    sample.messages += messages - len(decoded.progress)
    sample.dead += len(decoded.dead)
    if decoded.dead and not sample.first_dead:
        sample.first_dead = f"{source.topic}[{source.partition}]: {decoded.dead[0].reason}"
    batch = decoded.batch
    if batch is None:
        return
    keys = batch.keys.take(pa.array(np.unique(batch.key_code)))
    placement = pipeline.placement(pipeline.input_topics[source.topic], source.partition)
    sample.rows += batch.rows
    sample.keys += len(keys)
    sample.stray = sample.stray or placement.refusal(keys) or ""


def _rows(topic: str, stream: str, sample: _Sample) -> Iterator[Finding]:
    if sample.dead == 0:
        return
    found = (
        f"{topic}: of the newest {sample.messages:,} messages {sample.dead:,} rows or messages would be dead "
        f"letters, the first in {sample.first_dead}"
    )
    if sample.rows:
        yield Finding("rows", "note", found)
    else:
        advice = f"correct [streams.{stream}]; `python -m app topics infer {topic}` proposes a table"
        yield Finding("rows", "problem", f"{found}; none would be a row", advice)
