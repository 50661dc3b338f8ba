"""What programs do with a history: publish from it, capture into it, and read it through the cache."""

import hashlib
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay.capture.capture import CaptureLimits
from replay.capture.session import CapturedTopic, CaptureTarget, capture
from replay.publish.publication import Publication
from replay.store.cache import Cache, CacheSettings, Entry
from replay.store.content_hash import combined, content_hash
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.table import HistoryTable
from replay.store.upgrade import upgrade
from schemas.stream import Stream
from tests.bench.history_rows import draw_rows, once_s
from topics.avro.decode import Decoder
from topics.bus import TopicSpec
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

ROWS: Final = 1_000_000
ROUNDS: Final = 3
PARTITIONS: Final = 4
DATE: Final = "2025-11-28"
TOPIC: Final = "quotes"
OBJECTS: Final = 1_000
ASKED: Final = 20_000
ZIPF: Final = 1.2  # how much more often the first objects are asked for


def publishing(folder: Path, scale: float) -> dict[str, Any]:
    """Rows a second into blocks on the embedded bus, of one day in its folder and in a table, in turns."""
    near, far = HistoryStore(folder / "near"), HistoryStore(folder / "far")
    day = _day(near, int(ROWS * scale))
    upgrade(near, to=far.root)
    sources = {"from a folder": day, "from a table": far.day("quote", DATE)}
    taken_s: dict[str, list[float]] = {name: [] for name in sources}
    published = set()
    for number in range(ROUNDS):
        for name, source in sources.items():
            bus, registry = _bus(), FileRegistry(folder / f"schemas-{number}-{name}")
            (rows, size), seconds = once_s(partial(_published, bus, registry, source))
            taken_s[name].append(seconds)
            published.add((rows, size))
    rates = {name: day.rows / float(np.median(seconds)) for name, seconds in taken_s.items()}
    figures = {f"{name}, rows/s": rate for name, rate in rates.items()}
    figures["of the folder's"] = rates["from a table"] / rates["from a folder"]
    return {"right": len(published) == 1 and day.rows in {rows for rows, _ in published}, "figures": figures}


def capturing(folder: Path, scale: float) -> dict[str, Any]:
    """Rows a second from blocks of nine columns into parts, against writing the same rows with pyarrow."""
    store = HistoryStore(folder / "near")
    day = _day(store, int(ROWS * scale), columns=9)
    bus, registry = _bus(), FileRegistry(folder / "schemas")
    _published(bus, registry, day)
    topic = CapturedTopic(
        topic=TOPIC, partitions=PARTITIONS, stream=day.stream, decoder=Decoder(day.stream, "known", registry)
    )
    target = CaptureTarget(
        bus=bus,
        store=folder / "captured",
        group="bench",
        zone="UTC",
        buckets=None,
        limits=CaptureLimits(),
        accepts_gaps=False,
        to_end=True,
    )
    _, ours_s = once_s(lambda: capture([topic], target))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = pa.Table.from_batches(day.batches())
    _, theirs_s = once_s(lambda: pq.write_table(rows, folder / "plain.parquet", compression="zstd"))
    captured = pa.Table.from_batches(HistoryStore(folder / "captured").day("quote", DATE).batches())
    right = combined(*map(content_hash, captured.to_batches())) == combined(
        *map(content_hash, rows.to_batches())
    )
    figures = {
        "tidemark, rows/s": rows.num_rows / ours_s,
        "pyarrow, writing alone, rows/s": rows.num_rows / theirs_s,
        "MiB of this whole bench so far, at most": peak_kb / 1_024,
        "parts": float(len(HistoryTable(folder / "captured", "quote").snapshot().parts)),
    }
    return {"right": right, "figures": figures}


def cache_under_load(folder: Path, scale: float) -> dict[str, Any]:
    """Objects asked for by a power law, with room for a tenth of their bytes: hits, and the most bytes."""
    draw = np.random.default_rng(1)
    sizes = draw.integers(1_000, 60_000, OBJECTS)
    cache = Cache(CacheSettings(folder=folder, size_max=int(sizes.sum() // 10)))
    right, largest, asked = True, 0, max(int(ASKED * scale), 500)
    chosen = (draw.zipf(ZIPF, asked) - 1) % OBJECTS
    for number in chosen.tolist():
        content = number.to_bytes(4, "little") * (int(sizes[number]) // 4)
        entry = Entry(
            name=f"object-{number}", size=len(content), digest=hashlib.sha256(content).hexdigest()[:8]
        )
        held = cache.hold(entry, _writes(content))
        if held is not None:
            right &= held.path.stat().st_size == len(content)
            held.close()
        largest = max(largest, cache.size())
    distinct = float(sizes[np.unique(chosen)].sum())
    return {
        "right": right and largest <= cache.settings.size_max,
        "figures": {
            f"hits of {asked:,} (Zipf {ZIPF}, {OBJECTS:,} objects)": cache.counts.hits / asked,
            "most bytes, of those allowed": largest / cache.settings.size_max,
            "a cache without a bound would hold, of those allowed": distinct / cache.settings.size_max,
        },
    }


def _writes(content: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(content)

    return write


def _day(store: HistoryStore, rows: int, columns: int = 9) -> Day:
    drawn = draw_rows(rows, columns=columns)
    stream = Stream(name="quote", schema=drawn.schema, sequence="sequence")
    return store.write(stream, DATE, [drawn], order="known", made={"timezone": "UTC"})


def _bus() -> MemoryBus:
    bus = MemoryBus()
    bus.admin().create([TopicSpec(name=TOPIC, partitions=PARTITIONS, configs={})])
    return bus


def _published(bus: MemoryBus, registry: FileRegistry, day: Day) -> tuple[int, int]:
    """Publish a day; the rows and bytes that were."""
    publication = Publication(
        bus=bus,
        registry=registry,
        days=[day],
        topics={"quote": TOPIC},
        partitions=PARTITIONS,
        shape="block",
        grace_ns=10**9,
        clock="known",
        run="bench",
    )
    report = publication.run()
    publication.close()
    return report.rows["quote"], report.bytes_size
