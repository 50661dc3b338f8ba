"""How long an as-of join takes, against Polars, DuckDB, pandas and FlowState.

Interleaved rounds of a few calls in a row, medians over all calls.

Every result is compared with ours before anything is measured; those first calls are not counted.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from tests.bench.asof_engines import ENGINES
from tests.bench.asof_scenarios import SCENARIOS, Scenario, tables

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
ROUNDS_LARGE = 3  # for the joins of more than five million rows
IN_A_ROW = 3  # calls of one engine in a round: the first after another engine finds the memory it left cold
QUICK_SCALE = 0.02


def run(out: Path, *, quick: bool) -> bool:
    """Measure all scenarios; write asof.json and asof.png and print a table.  False if a result was wrong."""
    results = [measure(scenario, quick) for scenario in SCENARIOS]
    report = {"machine": machine(), "quick": quick, "scenarios": results}
    (out / "asof.json").write_text(json.dumps(report, indent=2) + "\n")
    for line in table_lines(results):
        print(line)
    draw(results, out / "asof.png")
    return not any(result["wrong"] for result in results)


def measure(scenario: Scenario, quick: bool) -> dict[str, Any]:
    """Return the median milliseconds and peak megabytes of every engine that can do the join."""
    left, rights = tables(scenario, QUICK_SCALE if quick else 1.0)
    joins: dict[str, Callable[[], Any]] = {}
    wrong = []
    expected = None
    for engine in ENGINES:
        join = engine.prepare(scenario, left, rights)
        if join is None:
            continue
        found = engine.read(join())
        expected = expected if expected is not None else found
        if not found.cast(expected.schema).equals(expected):
            wrong.append(engine.name)
        joins[engine.name] = join
    del expected
    large = left.num_rows + sum(right.num_rows for right in rights.values()) > 5_000_000
    seconds: dict[str, list[float]] = {name: [] for name in joins}
    for _ in range(3 if quick else ROUNDS_LARGE if large else ROUNDS):
        for name, join in joins.items():
            for _ in range(IN_A_ROW):
                start = time.perf_counter()
                join()
                seconds[name].append(time.perf_counter() - start)
    medians = {name: round(1e3 * statistics.median(taken), 3) for name, taken in seconds.items()}
    peaks = {} if quick else {name: peak_megabytes(scenario.name, name) for name in joins}
    return {"name": scenario.name, "ms": medians, "peak_mb": peaks, "wrong": wrong}


def peak_megabytes(scenario: str, engine: str) -> float | None:
    """Return what one join adds to the memory of a fresh process, or None where the system does not tell."""
    command = [sys.executable, "-m", "tests.bench.asof_memory", scenario, engine]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes: float | None = json.loads(finished.stdout)
    return megabytes


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    packages = ("pyarrow", "numba", "numpy", "polars", "duckdb", "pandas")
    return {
        "cpu_count": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def table_lines(results: list[dict[str, Any]]) -> list[str]:
    """Return the results as a table: milliseconds, and in brackets how many times ours."""
    names = [engine.name for engine in ENGINES if any(engine.name in result["ms"] for result in results)]
    lines = [f"{'as-of join, median ms':<26}" + "".join(f"{name:>20}" for name in names) + "   peak MB"]
    for result in results:
        ours = result["ms"]["tidemark"]
        cells = [
            f"{result['ms'][name]:9.1f} ({result['ms'][name] / ours:5.1f}x)" if name in result["ms"] else "-"
            for name in names
        ]
        peaks = ", ".join(
            f"{name} {peak:.0f}" for name, peak in result["peak_mb"].items() if peak is not None
        )
        wrong = f"   WRONG: {', '.join(result['wrong'])}" if result["wrong"] else ""
        lines.append(
            f"{result['name']:<26}" + "".join(f"{cell:>20}" for cell in cells) + f"   {peaks}{wrong}"
        )
    return lines


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw one group of bars per scenario, milliseconds on a logarithmic scale."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = [engine.name for engine in ENGINES if any(engine.name in result["ms"] for result in results)]
    figure, axes = plt.subplots(figsize=(11, 0.55 * len(results) + 1.5), layout="constrained")
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        rows = [row for row, result in enumerate(results) if name in result["ms"]]
        bars = axes.barh(
            [row + place * height for row in rows],
            [results[row]["ms"][name] for row in rows],
            height,
            label=name,
        )
        axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(results))], [r["name"] for r in results])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("median milliseconds, Arrow in and out, less is better")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
