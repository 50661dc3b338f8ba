"""What a graph of thirty features costs on Kafka: rows a second, delay, and the time until a restart seals.

Everything in one run on one machine, against the join alone, exactly once: the ratio counts, since others may
share the machine, and the load stands beside each figure.  The features are one table, whose output has the
columns of the joined rows as well.  The rows last four of its longest windows, so that for most of a run
windows are as full as they will ever be.
"""

import json
import os
import statistics
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from app.wiring.broker import start_broker
from operators.sealed import ALIGNED
from tests.bench import features
from tests.bench.asof import machine
from tests.bench.kafka import BLOCKS, QUICK_SCALE, RECORDS, Contest, contest_lines, offer
from tests.bench.kafka_latency import Latency, measure_outputs
from tests.broker.chaos.own_broker import NoBrokerError
from tests.broker.chaos.storm.restarts import restarts
from tests.stage.reference_graph import FEED_NAMES, reference_graph
from topics.kafka.bus import KafkaBus

ROUNDS: Final = 3
LOADS: Final = [replace(load, row_ns=features.SPAN_NS // load.quotes) for load in (RECORDS, BLOCKS)]
NODE: Final = "tick"
GRAPH: Final = {
    "name": "reference",
    NODE: {"from": ALIGNED, "features": dict(features.FORMULAS), "out": {}},
}
RATE: Final = 50_000  # rows a second, of which a fifth are joined rows
SECONDS: Final = 15.0
CONTEXT_S: Final = 302.0  # the longest window, and a little
QUICK_CONTEXT_S: Final = 10.0
GOALS: Final = {"of the join's rows/s": 0.80, "p50 added, ms": 0.5}


def run(out: Path, *, quick: bool) -> bool:
    """Measure all; write graph.json and print the lines.  False if a row was wrong or lost."""
    bootstrap = start_broker()
    folder = out / "graph"
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"machine": machine(), "quick": quick, "goals": GOALS}
    contests = [contested(bootstrap, folder, load, quick=quick) for load in LOADS]
    report["throughput"] = {one.load.name: {**one.figures, "share": share(one)} for one in contests}
    measure = partial(
        measure_outputs, bootstrap, folder, RATE, "exactly_once", seconds=3 if quick else SECONDS
    )
    join, outputs = measure()[ALIGNED], measure(graph=GRAPH, nodes=(NODE,))
    latencies = [join, *outputs.values()]
    for latency in latencies:
        print(latency.line(), flush=True)
    added_ms = {name: added(join, latency) for name, latency in outputs.items()}
    for name, told in added_ms.items():
        words = ", ".join(f"{way} {ms:+.2f} ms" for way, ms in told.items())
        print(f"p50 added by the graph, {name}: {words} ({_load()})", flush=True)
    report["latency"] = {
        "join": join.as_json(),
        "graph": {name: latency.as_json() for name, latency in outputs.items()},
        "added_ms": added_ms,
    }
    report["restarts"] = restarted(quick=quick)
    (out / "graph.json").write_text(json.dumps(report, indent=2) + "\n")
    return not any(one.wrong for one in contests) and not any(one.lost for one in latencies)


def contested(bootstrap: str, folder: Path, load: Any, *, quick: bool) -> Contest:
    """The join alone and with the graph over one load, in turns."""
    contest = offer(bootstrap, folder, load, QUICK_SCALE if quick else 1.0)
    for _ in range(1 if quick else ROUNDS):
        contest.play("bare")
        contest.play("tidemark")
        contest.play("tidemark", graph=GRAPH)
    admin = KafkaBus(bootstrap).admin()
    admin.delete([contest.settings.topic(name) for name in contest.settings.stream_names])
    for line in contest_lines(contest):
        print(line, flush=True)
    print(f"  {share(contest):.0%} of the join's rows/s with 30 features ({_load()})", flush=True)
    return contest


def share(contest: Contest) -> float:
    """Rows a second with the graph by those of the join alone."""
    rates = [contest.median(f"tidemark{name}", "rows_per_second") for name in (", with the graph", "")]
    return rates[0] / rates[1]


def added(join: Latency, latency: Latency) -> dict[str, float]:
    """Milliseconds more at the median than a joined row takes without the graph, by way.

    `seal` is between a row's evidence and its frame, `visible` until the row is in a reader's hands: exactly
    once the rows of nodes wait for the commit before their frames are made, and all rows until it is done.
    """
    return {
        "seal": latency.seal_ms["p50"] - join.seal_ms["p50"],
        "visible": latency.visible_ms["p50"] - join.visible_ms["p50"],
    }


def restarted(*, quick: bool) -> dict[str, Any]:
    """Seconds until a killed worker shows new rows, with its state and without, by how it was started."""
    context_s, times = (QUICK_CONTEXT_S, 1) if quick else (CONTEXT_S, 3)
    try:
        with TemporaryDirectory(prefix="tidemark-restarts-") as folder:
            graph = reference_graph(FEED_NAMES)
            found = restarts(Path(folder), graph=graph, context_s=context_s, times=times)
    except NoBrokerError as absent:
        print(f"restarts: no broker of their own: {absent}")
        return {"not run": str(absent)}
    for line in found.lines():
        print(f"{line} with {context_s:g} s of context ({_load()})", flush=True)
    return {f"{how}, {had}": statistics.median(took) for (how, had), took in found.took_s.items()}


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
