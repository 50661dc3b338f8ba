"""How fast Kafka is read and joined: against a bare client that does nothing, and against Quix Streams.

Everything in one run on one broker, over the same topics; rounds are interleaved, medians printed.  The rows
that Tidemark aligned are compared with Polars' own join each time.
"""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import matplotlib as mpl
import polars as pl
import pyarrow as pa

from app.config import Settings
from app.reading.aligned import read_aligned
from app.wiring.broker import start_broker
from app.wiring.pipeline import Pipeline
from app.wiring.schemas import registered_streams
from tests.bench.asof import machine
from tests.bench.kafka_latency import measure_latency
from tests.bench.kafka_load import (
    PARTITIONS,
    Load,
    bench_settings,
    expected,
    make_topics,
    publish,
    same_rows,
)
from topics.bus import TopicSpec
from topics.kafka.bus import KafkaBus
from topics.registry.open import open_registry

ROUNDS: Final = 3
QUICK_SCALE: Final = 0.02

RECORDS: Final = Load(name="records", quotes=2_000_000)
BLOCKS: Final = Load(name="blocks of about 100", quotes=8_000_000, shape="block")
LOADS: Final = (
    RECORDS,
    BLOCKS,
    Load(name="JSON objects", quotes=2_000_000, shape="json"),
    Load(name="Protobuf messages", quotes=2_000_000, shape="protobuf"),
    Load(name="records, 50,000 symbols", quotes=2_000_000, symbols=50_000),
    Load(name="records, hot symbol", quotes=2_000_000, hot=True),
    Load(name="blocks, hot symbol", quotes=8_000_000, shape="block", hot=True),
)
# Quix Streams wants a client of its own; `make bench` sets its place up, and without it it is left out.
PYTHONS: Final = {"quix": "build/venv-quix/bin/python"}
OFFERED: Final = (10_000, 50_000, 200_000)  # rows a second


@dataclass(slots=True)
class Contest:
    """One load on its topics, and what each contender needed, round by round."""

    load: Load
    settings: Settings
    messages: int
    wanted: pl.DataFrame
    folder: Path
    figures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def play(
        self, name: str, *, workers: int = 1, graph: Mapping[str, Any] | None = None, **worker: Any
    ) -> None:
        """Let a contender read the load once; of Tidemark's rows none may differ.

        `graph` stands behind its join, and is counted with it.
        """
        label = name if workers == 1 else f"{name}, {workers} workers"
        label += ", with the graph" if graph else ""
        if worker.get("guarantee") == "at_least_once":
            label += ", at least once"
        run = f"bench-{uuid4().hex[:8]}"
        settings = bench_settings(
            self.settings.bus.bootstrap,
            self.folder,
            self.load,
            prefix=run,
            inputs=self.settings.pipeline.prefix,
            graph=graph,
            **worker,
        )
        if name == "tidemark":
            make_topics(settings)
        else:
            KafkaBus(settings.bus.bootstrap).admin().create(
                [TopicSpec(name=f"{run}.to", partitions=PARTITIONS, configs={})]
            )
        processes = [self._start(name, settings, run, slot) for slot in range(workers)]
        told = []
        for process in processes:
            output, _ = process.communicate()
            if process.returncode:
                raise RuntimeError(f"{name} ended with exit code {process.returncode}; see {self.folder}")
            told.append(json.loads(output.splitlines()[-1]))
        self.figures.setdefault(label, []).append(_together(told))
        if name == "tidemark" and not self._right(settings):
            self.wrong.append(label)
        admin = KafkaBus(settings.bus.bootstrap).admin()
        admin.delete([f"{run}.to", *map(settings.topic, settings.output_names)])
        shutil.rmtree(self.folder / "state", ignore_errors=True)

    def median(self, label: str, figure: str) -> float:
        """The median of one figure over the rounds."""
        return float(statistics.median(told[figure] for told in self.figures[label]))

    def _start(self, name: str, settings: Settings, run: str, slot: int) -> subprocess.Popen[str]:
        told = {
            "settings": settings.model_dump(mode="json", by_alias=True)  # `from` of a node
            | {"worker": settings.worker.model_dump(mode="json", by_alias=True) | {"slot": str(slot)}},
            "group": run,
            "to": f"{run}.to",
            "messages": self.messages,
            "rows": self.load.rows,
            "state": str(self.folder / "state"),
        }
        file = self.folder / f"{name}-{slot}.json"
        file.write_text(json.dumps(told))
        with (self.folder / f"{name}-{slot}.log").open("w") as log:
            return subprocess.Popen(
                [PYTHONS.get(name, sys.executable), "-m", "tests.bench.kafka_contender", name, str(file)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _right(self, settings: Settings) -> bool:
        registry = open_registry(settings.bus.schema_registry)
        streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
        pipeline = Pipeline(settings, KafkaBus(settings.bus.bootstrap), registry, streams)
        batches = [rows for number in range(PARTITIONS) for rows in read_aligned(pipeline, number)]
        return same_rows(pa.Table.from_batches(batches, pipeline.asof.aligned_schema()), self.wanted)


def run(out: Path, *, quick: bool) -> bool:
    """Measure all; write kafka.json and kafka.png and print the tables.  False if a row was wrong."""
    bootstrap = start_broker()
    folder = out / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    contests = []
    for load in LOADS:
        contest = offer(bootstrap, folder, load, QUICK_SCALE if quick else 1.0)
        for place in range(1 if quick else ROUNDS):
            contest.play("bare")
            if load is RECORDS:
                contest.play("copy")
            contest.play("tidemark")
            if load in (RECORDS, BLOCKS):
                contest.play("tidemark", guarantee="at_least_once")
                contest.play("tidemark", workers=2)
            if load is RECORDS and place == 0 and Path(PYTHONS["quix"]).exists():
                contest.play("quix")
        admin = KafkaBus(bootstrap).admin()
        admin.delete([contest.settings.topic(name) for name in contest.settings.stream_names])
        contests.append(contest)
        for line in contest_lines(contest):
            print(line, flush=True)
    latencies = [
        measure_latency(bootstrap, folder, rate, guarantee, seconds=3 if quick else 15)
        for guarantee in ("at_least_once", "exactly_once")
        for rate in OFFERED
    ]
    for latency in latencies:
        print(latency.line(), flush=True)
    report = {
        "machine": machine(),
        "quick": quick,
        "throughput": {contest.load.name: contest.figures for contest in contests},
        "latency": [latency.as_json() for latency in latencies],
    }
    (out / "kafka.json").write_text(json.dumps(report, indent=2) + "\n")
    draw(contests, out / "kafka.png")
    return not any(contest.wrong for contest in contests) and not any(each.lost for each in latencies)


def offer(bootstrap: str, folder: Path, load: Load, scale: float) -> Contest:
    """Publish a load on topics of its own."""
    scaled = replace(load, quotes=int(load.quotes * scale))
    run = f"bench-{uuid4().hex[:8]}"
    settings = bench_settings(bootstrap, folder, scaled, prefix=run, inputs=run)
    make_topics(settings)
    messages = publish(settings, scaled)
    return Contest(scaled, settings, messages, expected(scaled), folder)


def _together(told: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of workers that ran side by side: rows and CPU add up, the clock runs over all."""
    rows = sum(one["rows"] for one in told)
    seconds = (
        max(one["ended_ns"] for one in told) - min(one["begun_ns"] for one in told if one["begun_ns"])
    ) / 1e9
    return {
        "rows": rows,
        "seconds": seconds,
        "rows_per_second": rows / seconds,
        "cpu_s_per_million": 1e6 * sum(one["cpu_s"] for one in told) / rows,
        "rss_mb": sum(one["rss_mb"] for one in told),
        "peak_mb": sum(one["peak_mb"] for one in told),
    }


def contest_lines(contest: Contest) -> list[str]:
    """One contest as a table; in brackets how many times the bare client."""
    load = contest.load
    lines = [
        f"{load.name}: {load.rows:,} rows in {contest.messages:,} messages, {load.symbols:,} symbols",
        f"  {'':<26}{'rows/s':>12}{'':>9}{'CPU s per M rows':>18}{'resident MB':>13}",
    ]
    bare = contest.median("bare", "rows_per_second")
    for label in contest.figures:
        rate = contest.median(label, "rows_per_second")
        cpu = contest.median(label, "cpu_s_per_million")
        wrong = "   WRONG ROWS" if label in contest.wrong else ""
        lines.append(
            f"  {label:<26}{rate:>12,.0f} ({rate / bare:5.2f}x)"
            f"{cpu:>18.2f}{contest.median(label, 'rss_mb'):>13.0f}{wrong}"
        )
    return lines


def draw(contests: list[Contest], path: Path) -> None:
    """Draw rows per second of every contender, a panel per load."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(
        len(contests), 1, figsize=(9, 1.2 + 1.3 * len(contests)), layout="constrained", squeeze=False
    )
    for axes, contest in zip(panels[:, 0], contests, strict=True):
        labels = list(contest.figures)
        bars = axes.barh(labels, [contest.median(label, "rows_per_second") / 1e6 for label in labels])
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        axes.invert_yaxis()
        axes.set_title(contest.load.name, loc="left", fontsize=9)
    panels[-1, 0].set_xlabel("million input rows a second, more is better")
    figure.savefig(path, dpi=120)
    plt.close(figure)
