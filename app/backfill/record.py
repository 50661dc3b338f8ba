"""The record of a backfill: its commit in words."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from app.backfill.plan import Plan
from app.backfill.shard import SHARDS, Manifest
from app.backfill.tables import part_of, tables_of
from app.wiring.pipeline import Pipeline
from app.wiring.resolved import settings_id
from app.words import table_lines
from replay.store.part import Part

PARITY_LENGTH: Final = 8  # hex digits that are shown


def record_of(plan: Plan, pipeline: Pipeline, done: Mapping[str, Manifest]) -> dict[str, Any]:
    """The commit in words, equal however the plan was cut into shards and whoever ran them."""
    files: dict[str, tuple[int, str]] = {}
    parities: dict[str, dict[str, dict[str, str]]] = {}
    rows_in: Counter[str] = Counter()
    rows_late: Counter[str] = Counter()
    for manifest in done.values():
        files |= {path: of for path, of in manifest.files.items() if not path.startswith(SHARDS)}
        rows_in.update(manifest.rows_in)
        rows_late.update(manifest.rows_late)
        for date, of_outputs in manifest.parities.items():
            for name, of in of_outputs.items():
                parities.setdefault(name, {}).setdefault(date, {}).update(of)
    outputs: dict[str, dict[str, Any]] = {}
    for name in pipeline.sinks(0):
        of_days: list[dict[str, Any]] = []
        for date in plan.dates:
            folder = f"{name}/day={date}/"
            rows = sum(count for path, (count, _) in files.items() if path.startswith(folder))
            parity = dict(sorted(parities[name][date].items(), key=lambda one: int(one[0])))
            of_days.append({"date": date, "rows": rows, "parity": parity})
        outputs[name] = {"rows": sum(day["rows"] for day in of_days), "days": of_days}
    return {
        "plan": plan.id,
        "settings": settings_id(pipeline.settings),
        "graph": "" if pipeline.graph is None else pipeline.graph.meaning,
        "overnight": plan.overnight,
        "inputs": {date: {name: one.digest for name, one in of.items()} for date, of in plan.days.items()},
        "rows_in": {name: rows_in[name] for name in pipeline.settings.stream_names},
        "rows_late": {name: rows_late[name] for name in pipeline.settings.stream_names},
        "rows_dead": sum(manifest.rows_dead for manifest in done.values()),
        "outputs": outputs,
        **(
            {"into": plan.into, "tables": tables_of(parts_of(done, outputs)), "files": {}}
            if plan.into
            else {"files": {path: {"rows": rows, "sha256": of} for path, (rows, of) in sorted(files.items())}}
        ),
    }


def parts_of(done: Mapping[str, Manifest], outputs: Iterable[str]) -> dict[str, list[Part]]:
    """By output the parts that shards have written, in one order whoever wrote them."""
    return {
        name: sorted(
            (part_of(one) for manifest in done.values() for one in manifest.parts.get(name, ())),
            key=lambda part: part.path,
        )
        for name in outputs
    }


def record_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """What to print of a record: a line for each output, and what went in."""
    rows = []
    for name, output in record["outputs"].items():
        parities = [one for day in output["days"] for one in day["parity"].values()]
        short = hashlib.sha256(" ".join(parities).encode()).hexdigest()[:PARITY_LENGTH]
        rows.append((name, f"{output['rows']:,}", str(len(output["days"])), short))
    yield from table_lines(("output", "rows", "days", "parity"), rows, right=("rows", "days"))
    late = sum(record["rows_late"].values())
    yield (
        f"plan {record['plan']}: {sum(record['rows_in'].values()):,} rows in, {late:,} late, "
        f"{record['rows_dead']:,} dead"
    )
