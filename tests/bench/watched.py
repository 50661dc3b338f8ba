"""What it costs a worker to be watched: a scrape of its figures each second, and the page with ten readers.

A worker has 50,000 rows/s, alone, scraped, and with `app serve` beside it whose feed ten clients read, in
turns on one machine.  What is compared is the worker's own: seal latency and CPU.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

import tomli_w

from app.config import Settings
from app.wiring.broker import start_broker
from app.wiring.resolved import resolved_tables
from app.worker.endpoint import discovery_file
from operators.sealed import ALIGNED
from tests.bench.asof import machine
from tests.bench.kafka_latency import Latency, measure_outputs
from tests.bench.kafka_processes import Process, end, start

ROUNDS: Final = 5
RATE: Final = 50_000  # rows a second
SECONDS: Final = 12.0
CLIENTS: Final = 10
GOALS: Final = {"scrape, ms": 5.0, "seal p99 moved by": 0.05}
READERS: Final = "tests.bench.watched_readers"
ALONE: Final = "alone"
SCRAPED: Final = "scraped each second"
PAGE: Final = f"page, {CLIENTS} readers"


class Watched:
    """What those who watch have told, over the rounds: milliseconds of each scrape, looks that came."""

    def __init__(self) -> None:
        self.scrapes_ms: list[float] = []
        self.looks: list[int] = []

    @contextmanager
    def scraped(self, folder: Path, settings: Settings) -> Iterator[None]:
        """Scrape the worker each second."""
        (found,) = json.loads(discovery_file(settings).read_text())
        with told_by(folder, "scrape", {"address": found["targets"][0]}) as told:
            yield
        self.scrapes_ms += told["ms"]

    @contextmanager
    def on_the_page(self, folder: Path, settings: Settings) -> Iterator[None]:
        """Show the group on the page, whose feed clients read."""
        with (
            served(folder, settings) as address,
            told_by(folder, "follow", {"address": address, "clients": CLIENTS}) as told,
        ):
            yield
        self.looks += told["looks"]


def run(out: Path, *, quick: bool) -> bool:
    """Measure all three ways in turns; write watched.json and print a table.  False if a row was lost."""
    bootstrap = start_broker()
    folder = out / "watched"
    folder.mkdir(parents=True, exist_ok=True)
    watched = Watched()
    ways: dict[str, Callable[[Settings], AbstractContextManager[None]]] = {
        ALONE: lambda _: nullcontext(),
        SCRAPED: partial(watched.scraped, folder),
        PAGE: partial(watched.on_the_page, folder),
    }
    latencies: dict[str, list[Latency]] = {name: [] for name in ways}
    rate, seconds = (2_000, 3.0) if quick else (RATE, SECONDS)
    for _ in range(1 if quick else ROUNDS):
        for name, way in ways.items():
            (latency,) = measure_outputs(
                bootstrap, folder, rate, "exactly_once", seconds=seconds, beside=way
            ).values()
            assert latency.output == ALIGNED
            latencies[name].append(latency)
    report = told_of(latencies, watched)
    print_table(report, rate)
    (out / "watched.json").write_text(json.dumps(report | {"machine": machine(), "quick": quick}) + "\n")
    return not any(one.lost for each in latencies.values() for one in each)


def told_of(latencies: dict[str, list[Latency]], watched: Watched) -> dict[str, Any]:
    """The medians over the rounds."""

    def median(name: str, figure: Callable[[Latency], float]) -> float:
        return statistics.median(map(figure, latencies[name]))

    return {
        "goals": GOALS,
        "load": os.getloadavg()[0],
        "ways": {
            name: {
                "seal p50, ms": median(name, lambda one: one.seal_ms["p50"]),
                "seal p99, ms": median(name, lambda one: one.seal_ms["p99"]),
                "worker, CPU s a second": median(name, lambda one: one.cpu["worker"]),
            }
            for name in latencies
        },
        "scrape, ms": {
            "median": statistics.median(watched.scrapes_ms),
            "max": max(watched.scrapes_ms),
            "scrapes": len(watched.scrapes_ms),
        },
        "looks a client": [min(watched.looks), max(watched.looks)],
    }


def print_table(report: dict[str, Any], rate: int) -> None:
    """A line for each way, and one of the scrapes."""
    print(f"a worker at {rate:,} rows/s, medians of the rounds, load {report['load']:.1f}")
    for name, figures in report["ways"].items():
        print(f"  {name:<20}" + "   ".join(f"{what} {value:.3f}" for what, value in figures.items()))
    scrape, goal = report["scrape, ms"], GOALS["scrape, ms"]
    print(
        f"  {scrape['scrapes']} scrapes: median {scrape['median']:.2f} ms, most {scrape['max']:.2f} ms "
        f"(goal {goal:g} ms)"
    )
    fewest, most = report["looks a client"]
    print(f"  looks that each reader of the page's feed had: {fewest} to {most}")


@contextmanager
def told_by(folder: Path, name: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run a process of `watched_readers` meanwhile; what it says at its end is in the table."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(asked))
    (process,) = start(file, folder, {name: READERS}).values()
    told: dict[str, Any] = {}
    try:
        yield told
        output, _ = process.communicate("go on\n", timeout=30)
        assert process.returncode == 0, f"{name} failed: see {folder}"
        told |= json.loads(output)
    finally:
        end([process])


@contextmanager
def served(folder: Path, settings: Settings) -> Iterator[str]:
    """`app serve` over the group, at an address that is given."""
    config = folder / "served.toml"
    config.write_text(tomli_w.dumps(resolved_tables(settings)))
    command = [sys.executable, "-m", "app", "serve", "--config", str(config), "--listen", "127.0.0.1:0"]
    with (folder / "served.log").open("w") as log:
        process: Process = subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next((line for line in process.stderr if " at http://" in line), "")
        assert line, f"the page did not start: {config}"
        yield line.rpartition("http://")[2].strip().rstrip("/")
    finally:
        process.terminate()
        process.wait(30)
