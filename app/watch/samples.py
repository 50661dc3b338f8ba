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
from schemas.clocks import END_NS, NS_PER_DAY
from topics.block import TopicPartition
from topics.wire import Decoded

_EARLIEST_NS: Final = 20 * 365 * NS_PER_DAY  # the end of 1989
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
    first_ns: int = END_NS
    last_ns: int = -END_NS
    empty: set[str] | None = None  # columns that no row has had a value in so far


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
    sample.first_ns = min(sample.first_ns, int(batch.time_ns.min()))
    sample.last_ns = max(sample.last_ns, int(batch.time_ns.max()))
    empty = {
        name for name in batch.columns.schema.names if batch.columns.column(name).null_count == batch.rows
    }
    sample.empty = empty if sample.empty is None else sample.empty & empty


def _rows(topic: str, stream: str, sample: _Sample) -> Iterator[Finding]:
    if sample.rows:
        yield _times(topic, stream, sample)
    for column in sorted(sample.empty or ()):
        found = f"{topic}: {column} is null in all of the newest {sample.rows:,} rows: is its path right?"
        yield Finding("rows", "note", found)
    if sample.dead == 0:
        return
    found = (
        f"{topic}: of the newest {sample.messages:,} messages {sample.dead:,} rows or messages would be dead "
        f"letters, the first in {sample.first_dead}"
    )
    if 2 * sample.dead < sample.messages:
        yield Finding("rows", "note", found)
        return
    advice = f"correct [streams.{stream}]; `python -m app topics infer {topic}` proposes a table"
    few = "" if sample.rows else "; none would be a row"
    yield Finding("rows", "problem", f"{found}{few}", advice)


def _times(topic: str, stream: str, sample: _Sample) -> Finding:
    """Between which times the newest rows lie: in 1970 where a unit is too small by a thousand or more."""
    first, last = (
        np.datetime64(ns, "ns").astype("datetime64[ms]") for ns in (sample.first_ns, sample.last_ns)
    )
    found = f"{topic}: the newest {sample.rows:,} rows lie between {first}Z and {last}Z"
    if sample.last_ns >= _EARLIEST_NS:
        return Finding("times", "ok", found)
    advice = f"correct the form in streams.{stream}.event_time or known_time: numbers may be ns, us, ms or s"
    return Finding("times", "problem", f"{found}: before there were such markets", advice)
