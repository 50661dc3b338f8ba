"""A hundred million rows through one worker: its memory is flat, and it ends as fast as it began.

All of them lie on the topics when the worker starts, so that its own speed is what is measured.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import matplotlib as mpl

from app.wiring.broker import start_broker
from tests.bench.asof import machine
from tests.bench.kafka_load import Load, bench_settings, make_topics, publish
from topics.kafka.bus import KafkaBus

LOAD: Final = Load(name="blocks of about 100", quotes=80_000_000, shape="block")
QUICK_SCALE: Final = 0.02
SHARE: Final = 5  # the first and the last fifth are compared


def run(out: Path, *, quick: bool) -> bool:
    """Measure; write endurance.json and endurance.png and print two lines.  False if rows were lost."""
    bootstrap = start_broker()
    folder = out / "endurance"
    folder.mkdir(parents=True, exist_ok=True)
    load = Load(name=LOAD.name, quotes=int(LOAD.quotes * (QUICK_SCALE if quick else 1)), shape=LOAD.shape)
    run_name = f"bench-{uuid4().hex[:8]}"
    settings = bench_settings(bootstrap, folder, load, prefix=run_name, inputs=run_name)
    make_topics(settings)
    publish(settings, load)
    file = folder / "worker.json"
    file.write_text(json.dumps({"settings": settings.model_dump(mode="json", by_alias=True)}))
    with (folder / "worker.log").open("w") as log:
        finished = subprocess.run(
            [sys.executable, "-m", "tests.bench.kafka_contender", "tidemark", str(file)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=True,
        )
    told = json.loads(finished.stdout.splitlines()[-1])
    KafkaBus(bootstrap).admin().delete(
        [f"{run_name}.{kind}" for kind in ("trade", "quote", "aligned", "late", "dead", "last-known")]
    )
    shutil.rmtree(folder / "state", ignore_errors=True)
    figures = summary(told)
    report = {"machine": machine(), "quick": quick, **figures, "samples": told["samples"]}
    (out / "endurance.json").write_text(json.dumps(report, indent=2) + "\n")
    rate, first, last = (figures[name] / 1e6 for name in ("rows_per_second", "first_rate", "last_rate"))
    print(
        f"{told['rows']:,} rows: {rate:.2f} M rows/s, {first:.2f} in the first fifth, {last:.2f} in the last"
    )
    settled, end, most = (figures[name] for name in ("settled_mb", "last_mb", "most_mb"))
    print(f"resident {settled:.0f} MB after the first fifth, {end:.0f} MB at the end, {most:.0f} MB at most")
    draw(told["samples"], out / "endurance.png")
    return bool(told["rows"] == load.rows)


def summary(told: dict[str, Any]) -> dict[str, float]:
    """Speed and memory of the first and the last fifth of the rows."""
    samples = told["samples"]
    seconds = (told["ended_ns"] - told["begun_ns"]) / 1e9
    first = next(sample for sample in samples if sample[1] >= told["rows"] / SHARE)
    last = next(sample for sample in samples if sample[1] >= told["rows"] * (SHARE - 1) / SHARE)
    settled = [mb for second, _, mb in samples if second >= first[0]]
    return {
        "seconds": seconds,
        "rows_per_second": told["rows"] / seconds,
        "first_rate": first[1] / first[0],
        "last_rate": (told["rows"] - last[1]) / (seconds - last[0]),
        "settled_mb": settled[0],
        "last_mb": settled[-1],
        "most_mb": max(settled),
    }


def draw(samples: list[tuple[float, int, float]], path: Path) -> None:
    """Draw resident memory and rows over time."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    seconds, rows, resident_mb = zip(*samples, strict=True)
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    axes.plot(seconds, resident_mb, color="tab:blue")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("resident MB", color="tab:blue")
    other = axes.twinx()
    other.plot(seconds, [count / 1e6 for count in rows], color="tab:orange")
    other.set_ylabel("million rows", color="tab:orange")
    figure.savefig(path, dpi=120)
    plt.close(figure)
