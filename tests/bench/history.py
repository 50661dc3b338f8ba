"""What the history costs, goal by goal, each beside its rivals in one run and with the same rows.

Rates and times are by the CPU time of this process, of all its threads: they are those of one core, whatever
else the machine does.  What waits for an object store is by the clock on the wall, with its requests counted.
POLARS_MAX_THREADS=1 keeps Polars to the one thread that ours has; DuckDB is told so here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from tests.bench.asof import machine
from tests.bench.history_parts import bytes_of_rows, catalogue, compaction, travel
from tests.bench.history_reads import cold_query, merging, narrow_query, replay_memory
from tests.bench.history_runs import cache_under_load, capturing, publishing

QUICK_SCALE: Final = 0.01
Section: TypeAlias = Callable[[Path, float], dict[str, Any]]
# Each section with its goal; a section says its figures, and whether all rows were right.
SECTIONS: Final[dict[str, tuple[Section, str]]] = {
    "bytes a row": (bytes_of_rows, "LEAN quotes 2.3, Binance quotes 16.5, synthetic 33.5 or less"),
    "merge": (merging, "3.5 M rows/s of 20 columns, 8 M of 3; 1.4 times DuckDB and Polars"),
    "memory": (replay_memory, "less than 1 GiB, and as much for many days as for one"),
    "narrow query": (narrow_query, "3 ms by scan, 6 ms by SQL"),
    "cold query": (cold_query, "3 round trips for parts, the second time none"),
    "publish": (publishing, "no slower from a table than from a day's folder"),
    "capture": (capturing, "0.8 M rows/s of 9 columns, less than 600 MiB"),
    "compaction": (compaction, "1.5 M rows/s of 9 columns"),
    "catalogue": (catalogue, "32,000 files: opened in 150 ms, pruned in 5 ms"),
    "time travel": (travel, "an earlier version opens in twice the time of the newest at most"),
    "cache": (cache_under_load, "never above its bound"),
}


def run(out: Path, *, quick: bool) -> bool:
    """Measure every section; write history.json and print a line for each figure.  False if rows differed."""
    report: dict[str, Any] = {"machine": machine(), "quick": quick}
    right = True
    for name, (section, goal) in SECTIONS.items():
        with TemporaryDirectory(prefix="tidemark-history-") as folder:
            found = section(Path(folder), QUICK_SCALE if quick else 1.0)
        print(f"{name} (goal: {goal})", flush=True)
        for what, figure in found["figures"].items():
            print(f"  {what:<60} {told(figure)}", flush=True)
        if not found["right"]:
            print(f"WRONG: {name}: the rows of ours and of its rivals differ", flush=True)
        report[name] = {"goal": goal, **found}
        right &= bool(found["right"])
    (out / "history.json").write_text(json.dumps(report, indent=2) + "\n")
    return right


def told(figure: float | str) -> str:
    """A figure with as many digits as it deserves."""
    if isinstance(figure, str):
        return figure
    return f"{figure:,.0f}" if abs(figure) >= 1_000 or figure == int(figure) else f"{figure:.3g}"
