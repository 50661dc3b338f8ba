"""How fast frames become batches of tensors, against the loaders one writes first; on a card, the copies too.

Interleaved rounds, medians of the processor time that this process took: the machine may be shared.  Every
loader's rows are compared with ours before anything is measured.
"""

import json
import statistics
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import torch

from gpu_sink.contract import FRONTIER, LAYOUT, NEWEST, RELEASED, ROWS, SEALED, layout_fingerprint
from tests.bench.asof import machine
from tests.bench.sink_card import measure_card
from tests.bench.sink_loaders import BATCH_ROWS, LOADERS, Columns, Message

FRAME_ROWS = (256, 2_048, 16_384)
COLUMN_COUNTS = (8, 16)
ROUNDS, ROUNDS_QUICK = 7, 2
ROWS_EACH, ROWS_QUICK = 1_048_576, 32_768
ROWS_BY_ROW = 16_384  # the row-wise loader takes some microseconds a value; its rate does not depend on more
TARGET = 3.0  # what the issue asks of the host path: as many times the naive loader


def run(out: Path, *, quick: bool) -> bool:
    """Measure all; write sink.json and sink.png and print a table.  False if a result was wrong."""
    results = [measure(frame_rows, columns, quick) for columns in COLUMN_COUNTS for frame_rows in FRAME_ROWS]
    card = measure_card(quick=quick)
    packages = {**machine(), "torch": version("torch")}
    report = {"machine": packages, "quick": quick, "batch_rows": BATCH_ROWS, "host": results, "card": card}
    (out / "sink.json").write_text(json.dumps(report, indent=2) + "\n")
    for line in table_lines(results):
        print(line)
    print(f"card: {card.get('skipped') or json.dumps(card)}")
    draw(results, out / "sink.png")
    return not any(result["wrong"] for result in results)


def measure(frame_rows: int, columns: int, quick: bool) -> dict[str, Any]:
    """Return per loader the rows and bytes of batches per second of processor time."""
    rows = ROWS_QUICK if quick else ROWS_EACH
    messages = messages_of(rows, frame_rows, columns)
    few = messages[: max(1, ROWS_BY_ROW // frame_rows)]
    expected = gathered(LOADERS["gpu_sink"](messages))
    wrong = [
        name
        for name, loader in LOADERS.items()
        if name != "row-wise" and not alike(expected, gathered(loader(messages)))
    ]
    if not alike(gathered(LOADERS["gpu_sink"](few)), gathered(LOADERS["row-wise"](few))):
        wrong.append("row-wise")
    size = sum(column.nbytes for batch in LOADERS["gpu_sink"](messages) for column in batch.values())
    rates: dict[str, list[float]] = {name: [] for name in LOADERS}
    for _ in range(ROUNDS_QUICK if quick else ROUNDS):
        for name, loader in LOADERS.items():
            given = few if name == "row-wise" else messages
            start = time.process_time()
            read = sum(len(next(iter(batch.values()))) for batch in loader(given))
            rates[name].append(read / (time.process_time() - start))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "frame_rows": frame_rows,
        "columns": columns,
        "rows": rows,
        "rows_per_s": {name: round(rate) for name, rate in medians.items()},
        "gb_per_s": {name: round(rate * size / rows / 1e9, 4) for name, rate in medians.items()},
        "times_naive": {n: round(medians["gpu_sink"] / r, 2) for n, r in medians.items() if n != "gpu_sink"},
        "wrong": wrong,
    }


def messages_of(rows: int, frame_rows: int, columns: int) -> list[Message]:
    """Frames as they lie in a topic: a symbol, times, prices and sizes, half of the columns with nulls."""
    rng = np.random.default_rng(1)
    words = np.array([f"SYM{number:03}" for number in range(200)])
    messages = []
    for lower in range(0, rows, frame_rows):
        arrays = {
            "symbol": pa.array(words[rng.integers(0, 200, frame_rows)]),
            "event_ns": pa.array(np.arange(lower, lower + frame_rows)),
        }
        for number in range(columns - 2):
            missing = rng.random(frame_rows) < 0.1 if number % 2 else None
            made = rng.random(frame_rows) if number % 3 else rng.integers(0, 1_000, frame_rows)
            arrays[f"value_{number}"] = pa.array(made, mask=missing)
        fields = [
            pa.field(name, array.type, name.startswith("value") and int(name[6:]) % 2 == 1)
            for name, array in arrays.items()
        ]
        messages.append(
            message_of(pa.RecordBatch.from_arrays(list(arrays.values()), schema=pa.schema(fields)))
        )
    return messages


def message_of(batch: pa.RecordBatch) -> Message:
    """A frame as the worker produces it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    said = {LAYOUT: layout_fingerprint(batch.schema), ROWS: str(batch.num_rows)}
    said |= dict.fromkeys((FRONTIER, RELEASED, SEALED, NEWEST), "0")
    return sink.getvalue().to_pybytes(), [(name, text.encode()) for name, text in said.items()]


def gathered(batches: Iterator[Columns]) -> dict[str, torch.Tensor]:
    """All rows of a loader, copied out of its batches."""
    found: dict[str, list[torch.Tensor]] = {}
    for batch in batches:
        for name, column in batch.items():
            found.setdefault(name, []).append(column.clone())
    return {name: torch.cat(columns) for name, columns in found.items()}


def alike(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    """Whether two loaders gave the same rows in the same order, NaN being NaN."""
    return ours.keys() == theirs.keys() and all(
        torch.allclose(ours[name].double(), theirs[name].double(), rtol=0, atol=0, equal_nan=True)
        for name in ours
    )


def table_lines(results: list[dict[str, Any]]) -> list[str]:
    """Return the results as a table: million rows per second, and in brackets how many times it ours is."""
    lines = [
        f"{'frames to batches, M rows/s':<30}" + "".join(f"{name:>22}" for name in LOADERS) + "    GB/s ours"
    ]
    for result in results:
        cells = [f"{result['rows_per_s']['gpu_sink'] / 1e6:.2f}"]
        cells += [
            f"{result['rows_per_s'][name] / 1e6:9.3f} ({times:6.1f}x{'' if times >= TARGET else ' <'})"
            for name, times in result["times_naive"].items()
        ]
        wrong = f"   WRONG: {', '.join(result['wrong'])}" if result["wrong"] else ""
        label = f"{result['frame_rows']:,} rows x {result['columns']} columns"
        lines.append(
            f"{label:<30}"
            + "".join(f"{cell:>22}" for cell in cells)
            + f"{result['gb_per_s']['gpu_sink']:13.2f}{wrong}"
        )
    return lines


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw one group of bars per kind of frames, rows per second on a logarithmic scale."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 0.7 * len(results) + 1.5), layout="constrained")
    height = 0.8 / len(LOADERS)
    for place, name in enumerate(LOADERS):
        rows = [number + place * height for number in range(len(results))]
        bars = axes.barh(rows, [result["rows_per_s"][name] / 1e6 for result in results], height, label=name)
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
    labels = [f"{result['frame_rows']:,} rows x {result['columns']}" for result in results]
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(results))], labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("million rows per second of processor time, more is better")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
