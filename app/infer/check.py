"""Proposed settings tried out: the sample read with them as a worker would, and what comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.config import Settings
from app.infer.sample import Sample
from app.settings.streams import StreamSettings
from app.wiring.formats import stream_format
from app.wiring.sources import Source
from schemas.batch import Batch
from schemas.clocks import Clock
from topics.placement import home_partitions
from topics.wire import SchemaRegistry


@dataclass(slots=True)
class Trial:
    """What the settings make of the sampled messages.

    `readable` counts the messages with rows, `at_home` those of them whose rows all lie in the partition of
    their key.  `dead` counts what would be dead letters, and `first_dead` says which is the first.
    `first_ns` and `last_ns` are the oldest and the newest time.
    """

    messages: int
    rows: int = 0
    readable: int = 0
    at_home: int = 0
    dead: int = 0
    first_dead: str = ""
    first_ns: int | None = None
    last_ns: int | None = None

    def see(self, batch: Batch, partition: int, partitions: int) -> None:
        """Count the rows of one partition."""
        self.rows += batch.rows
        home = home_partitions(batch.keys, partitions)[batch.key_code] == partition
        messages, of_row = np.unique(batch.offset, return_inverse=True)
        strays = np.bincount(of_row, weights=~home, minlength=messages.size)
        self.readable += messages.size
        self.at_home += int((strays == 0).sum())
        oldest, newest = int(batch.time_ns.min()), int(batch.time_ns.max())
        self.first_ns = oldest if self.first_ns is None else min(self.first_ns, oldest)
        self.last_ns = newest if self.last_ns is None else max(self.last_ns, newest)


def try_out(
    table: Mapping[str, object],
    name: str,
    source: Source,
    sample: Sample,
    numbers: Sequence[int],
    registry: SchemaRegistry,
    clock: Clock,
) -> Trial:
    """Read these messages with the settings of a stream of that name.

    Raises CodecError and StreamError where the settings do not stand, and RegistryUnavailableError.
    """
    own = StreamSettings.model_validate({**table, "topic": None, "incompatible": "dead"})
    other = "quote" if name != "quote" else "trade"
    settings = Settings.model_validate(
        {"pipeline": {"left": name, "right": [other], "clock": clock}, "streams": {name: own}}
    )
    reading = stream_format(own, name, source)
    reading.stream.require_clock(clock)
    decoder = reading.decoder(settings, registry)
    trial = Trial(len(numbers))
    for part in sample.parts(numbers):
        decoded = decoder.decode(part.block, part.indexes)
        if decoded.batch is not None:
            trial.see(decoded.batch, part.partition, sample.partitions)
        trial.dead += len(decoded.dead)
        if decoded.dead and not trial.first_dead:
            row = decoded.dead[0]
            place = f"{sample.topic}[{part.partition}] offset {part.block.offset[row.message]}"
            trial.first_dead = f"{place}: {row.reason}"
    return trial
