"""The newest row at the end of each log: how far the market is, where the workers have not come yet."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from app.process.clock import monotonic_ns
from app.watch.watermarks import Picture
from app.wiring.pipeline import Pipeline
from schemas.clocks import NS_PER_S
from topics.block import TopicPartition
from topics.wire import Decoded

TAIL_OFFSETS: Final = 32  # the last ones may be transaction markers or progress records, which hold no row
MESSAGES_MAX: Final = 10_000
WAIT_NS: Final = 3 * NS_PER_S


def with_tails(picture: Picture, pipeline: Pipeline) -> Picture:
    """The same picture, with the newest row time in the log of each input that the workers are behind on."""
    behind = {
        figures.source: max(figures.log.low, figures.log.stable - TAIL_OFFSETS)
        for task in picture.tasks
        for figures in task.inputs
        if figures.lag
    }
    tails = newest_rows(pipeline, behind)
    tasks = [
        replace(
            task,
            inputs=tuple(replace(figures, tail_ns=tails.get(figures.source, 0)) for figures in task.inputs),
        )
        for task in picture.tasks
    ]
    return replace(picture, tasks=tuple(tasks))


def newest_rows(pipeline: Pipeline, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The newest row time from each start to the end of its log, of partitions that have a row there."""
    found: dict[TopicPartition, int] = {}
    for source, _, decoded in read_tails(pipeline, starts):
        if decoded.batch is not None:
            found[source] = max(int(decoded.batch.time_ns.max()), found.get(source, 0))
    return found


def read_tails(
    pipeline: Pipeline, starts: Mapping[TopicPartition, int]
) -> Iterator[tuple[TopicPartition, int, Decoded]]:
    """What is decoded from each start to the end of its log, with its partition and its messages.

    Gives up after a while.
    """
    if not starts:
        return
    decoders = pipeline.decoders()
    ended: set[TopicPartition] = set()
    group = f"{pipeline.settings.pipeline.prefix}-watermarks"
    reader = pipeline.bus.consumer(group=group, to_end=True)
    until_ns = monotonic_ns() + WAIT_NS
    try:
        reader.assign(starts)
        while ended < starts.keys() and monotonic_ns() < until_ns:
            block = reader.poll(messages_max=MESSAGES_MAX, wait_ms=100)
            for number, source in enumerate(block.sources):
                _, decoder = decoders[source.topic]
                messages = np.flatnonzero(block.source == number)
                yield source, messages.size, decoder.decode(block, messages)
            ended |= {source for source, _ in block.ends}
    finally:
        reader.close()
