"""Seal latency under an offered load: from the evidence that seals a row to its frame, and to a reader.

A row's evidence is the later of two messages: the first on each input of its partition whose time is beyond
the row's by more than the grace.  Times are the wall clock's, so that processes compare.  Rows of a node are
followed as those of the join are, by the row that each was computed from.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from app.config import Settings
from app.settings.metrics import MetricsSettings
from operators.sealed import ALIGNED
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from schemas.frame import LEFT_OFFSET
from tests.bench.kafka_contender import SEEN_COLUMNS
from tests.bench.kafka_load import OPEN_NS, PARTITIONS, Load, bench_settings, make_topics
from tests.bench.kafka_offer import Lane, Offer
from tests.bench.kafka_processes import broker_pid, cpu_s, finish, start
from topics.kafka.bus import KafkaBus

SETTLE_S: Final = 2.0  # the first rows pay for connections
DRAIN_S: Final = 1.0
CONTENDERS: Final = "tests.bench.kafka_contender"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds at an offered rate, of the rows of one output.

    `seal`     in the worker: from the evidence being in its hands to the row's frame being with the producer.
    `sealed`   from the evidence being acknowledged to its feed to the frame being with the producer; below
               zero where the worker was told first.
    `visible`  from the evidence being acknowledged to the row being in a reader's hands (`read_committed`).
    `seen`     the same from the evidence being handed to the feed's client.
    `cpu`      CPU seconds per second of each process meanwhile; the broker's only where it is ours.
    """

    output: str
    guarantee: str
    rows_per_second: int
    rows: int
    lost: int
    seal_ms: dict[str, float]
    sealed_ms: dict[str, float]
    visible_ms: dict[str, float]
    seen_ms: dict[str, float]
    cpu: dict[str, float]

    def line(self) -> str:
        """The lines of the table."""
        told = "   ".join(
            f"{name} " + ", ".join(f"{q} {value:.2f}" for q, value in ms.items())
            for name, ms in (
                ("seal ms", self.seal_ms),
                ("sealed ms", self.sealed_ms),
                ("visible ms", self.visible_ms),
                ("seen ms", self.seen_ms),
            )
        )
        cpu = ", ".join(f"{name} {share:.2f}" for name, share in self.cpu.items())
        lost = f"   LOST {self.lost}" if self.lost else ""
        return (
            f"{self.guarantee:<14}{self.rows_per_second:>8,} rows/s offered   {self.output}: {told}{lost}\n"
            f"{'':<14}CPU seconds per second: {cpu}"
        )

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self)


def measure_latency(
    bootstrap: str, folder: Path, rows_per_second: int, guarantee: str, *, seconds: float
) -> Latency:
    """Offer rows at a rate to one worker of the join alone, and read what it seals."""
    return measure_outputs(bootstrap, folder, rows_per_second, guarantee, seconds=seconds)[ALIGNED]


def measure_outputs(
    bootstrap: str,
    folder: Path,
    rows_per_second: int,
    guarantee: str,
    *,
    seconds: float,
    graph: Mapping[str, Any] | None = None,
    nodes: Sequence[str] = (),
    beside: Callable[[Settings], AbstractContextManager[None]] | None = None,
) -> dict[str, Latency]:
    """The same with `graph` behind the join: of the aligned rows, and of the rows of each of `nodes`.

    `beside` runs while rows are offered, and is given the settings of the worker, which then answers at a
    port.
    """
    run = f"bench-{uuid4().hex[:8]}"
    load = Load(name="offered", quotes=1)
    settings = bench_settings(
        bootstrap, folder, load, prefix=run, inputs=run, graph=graph, guarantee=guarantee
    )
    if beside is not None:
        settings = settings.model_copy(update={"metrics": MetricsSettings(port=0)})
    make_topics(settings)
    offer = Offer(settings, rows_per_second, SETTLE_S + seconds)
    files = {name: folder / f"seen-{name}.npy" for name in (ALIGNED, *nodes)}
    told = {
        "settings": settings.model_dump(mode="json", by_alias=True),
        "rows": 0,
        "seen": {name: str(file) for name, file in files.items()},
    }
    file = folder / "latency.json"
    file.write_text(json.dumps(told))
    worker, reader = start(file, folder, dict.fromkeys(("serve", "watch"), CONTENDERS)).values()
    pids: dict[str, int | str] = {"worker": worker.pid, "reader": reader.pid, "feed": "self", **broker_pid()}
    with nullcontext() if beside is None else beside(settings):
        before, begun_s = cpu_s(pids), time.monotonic()
        offer.run()
        elapsed_s, after = time.monotonic() - begun_s, cpu_s(pids)
    time.sleep(DRAIN_S)
    for process in (worker, reader):
        finish(process, folder)
    admin = KafkaBus(bootstrap).admin()
    admin.delete([settings.topic(kind) for kind in (*settings.stream_names, *settings.output_names)])
    shutil.rmtree(folder / "state", ignore_errors=True)
    cpu = {name: round((after[name] - before[name]) / elapsed_s, 3) for name in pids}
    seen = {name: dict(zip(SEEN_COLUMNS, np.load(file), strict=True)) for name, file in files.items()}
    return {
        name: Latency(
            output=name,
            guarantee=guarantee,
            rows_per_second=rows_per_second,
            cpu=cpu,
            **delays(offer.lanes, seen[ALIGNED], rows),
        )
        for name, rows in seen.items()
    }


def delays(
    lanes: Mapping[tuple[str, int], Lane], aligned: Mapping[str, Int64s], seen: Mapping[str, Int64s]
) -> dict[str, Any]:
    """Compare when each row's evidence came with when the row in `seen` was; the settling time is left out.

    Both are what `watch` writes.  When evidence was in the worker's hands the frames of the join say of each
    row; one of a node says it of its first row alone.  Returns `rows`, `lost` and milliseconds as in Latency.
    """
    from_ns = OPEN_NS + int(SETTLE_S * NS_PER_S)
    found: dict[str, list[Int64s]] = {"seal_ms": [], "sealed_ms": [], "visible_ms": [], "seen_ms": []}
    lost = 0
    for partition in range(PARTITIONS):
        mine = seen["partition"] == partition
        event_ns = seen["event_ns"][mine]
        own = [lane for lane in lanes.values() if lane.partition == partition]
        sent_ns, acked_ns = np.zeros((2, event_ns.size), np.int64)
        for lane in own:
            place = np.searchsorted(lane.event_ns, event_ns, side="right")
            part = np.minimum(np.searchsorted(lane.stops, place, side="right"), len(lane.stops) - 1)
            sent_ns = np.maximum(sent_ns, np.array(lane.sent_ns)[part])
            acked_ns = np.maximum(acked_ns, np.array(lane.acked_ns)[part])
        last_ns = min(int(lane.event_ns[-1]) for lane in own)
        trades = lanes["trade", partition].event_ns
        lost += int(np.count_nonzero(trades < last_ns)) - int(np.count_nonzero(event_ns < last_ns))
        counted = (event_ns >= from_ns) & (event_ns < last_ns)
        frame_ns, seen_ns = seen["sealed_ns"][mine], seen["seen_ns"][mine]
        for name, ns in (
            ("seal_ms", frame_ns - _released_ns(aligned, partition, seen[LEFT_OFFSET][mine])),
            ("sealed_ms", frame_ns - acked_ns),
            ("visible_ms", seen_ns - acked_ns),
            ("seen_ms", seen_ns - sent_ns),
        ):
            found[name].append(ns[counted])
    told = {name: np.concatenate(ns) for name, ns in found.items()}
    return {
        "rows": told["seen_ms"].size,
        "lost": lost,
        **{name: _quantiles(ns) for name, ns in told.items()},
    }


def _released_ns(aligned: Mapping[str, Int64s], partition: int, left_offset: Int64s) -> Int64s:
    """When the evidence of rows of a partition was in the worker's hands, by the offset of their left row."""
    mine = np.flatnonzero(aligned["partition"] == partition)
    ordered = mine[np.argsort(aligned[LEFT_OFFSET][mine], kind="stable")]
    offsets = aligned[LEFT_OFFSET][ordered]
    at = np.searchsorted(offsets, left_offset)
    assert np.array_equal(offsets[np.minimum(at, offsets.size - 1)], left_offset), "no joined row was seen"
    return aligned["released_ns"][ordered[at]]


def _quantiles(ns: npt.NDArray[Any]) -> dict[str, float]:
    if not ns.size:
        return {}
    p50, p99, most = np.quantile(ns, [0.5, 0.99, 1.0]) / NS_PER_MS
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(most), 3)}
