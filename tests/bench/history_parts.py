"""What parts and the log of a history cost: bytes, compaction, many files, earlier versions."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from replay.imports.folder import import_folder
from replay.store.compact import compact, plan_compaction
from replay.store.content_hash import combined, content_hash
from replay.store.day import Day
from replay.store.days import HistoryStore
from replay.store.part import ClockSpan, Part, PartFooter, among
from replay.store.prune import Wanted, prune
from replay.store.scan import stored_rows
from replay.store.table import Change, HistoryTable, create_table
from replay.store.upgrade import upgrade
from schemas.clocks import NS_PER_S
from schemas.stream import Stream
from tests.bench.history_rows import DAY_NS, cpu_s, draw_rows, make_table, once_s, rules_of
from tests.stage.market_data import MARKET_DATA

ROWS: Final = 2_000_000
REAL: Final = {"LEAN quotes": "lean_us_equity_ticks", "Binance quotes": "binance_20240808"}
COMPACTED: Final = 8  # parts of each bucket that become one
FILES_OF_COMMIT: Final = 64
COMMITS: Final = 500
VERSIONS: Final = 400


def bytes_of_rows(folder: Path, scale: float) -> dict[str, Any]:
    """Bytes a row in parts, places of rows included, against a day's folder and pyarrow's defaults."""
    figures: dict[str, float | str] = {}
    right = True
    for name, data in REAL.items():
        if scale < 1 or not (MARKET_DATA / data).is_dir():
            figures[f"{name}"] = "not measured: " + ("a quick run" if scale < 1 else "no data here")
            continue
        store = HistoryStore(folder / data)
        import_folder(store, MARKET_DATA / data)
        day = max((day for day in store.folder_days() if day.summary.stream == "quote"), key=_rows)
        right &= _sized(folder / data, name, day, figures)
    store = HistoryStore(folder / "drawn")
    stream = Stream(name="quote", schema=draw_rows(1).schema, sequence="sequence")
    rows = draw_rows(int(ROWS * scale))
    day = store.write(stream, "2025-11-28", [rows], order="known", made={"timezone": "UTC"})
    return {"right": right & _sized(folder / "drawn", "synthetic", day, figures), "figures": figures}


def compaction(folder: Path, scale: float) -> dict[str, Any]:
    """Rows a second of small parts that become one, against delta-rs' own, with one content hash after."""
    rows = draw_rows(int(ROWS * scale), columns=9)
    size = rows.num_rows // COMPACTED
    table = make_table(folder, rules_of(16), [rows.slice(n * size, size) for n in range(COMPACTED)])
    assert isinstance(table.root, Path)
    twin = folder / "twin"
    shutil.copytree(table.root, twin)
    before = _hash_of(table)
    groups = plan_compaction(table.snapshot())
    _, ours_s = once_s(lambda: [compact(table, group, by="a bench") for group in groups])
    theirs = DeltaTable(str(twin))
    _, theirs_s = once_s(lambda: theirs.optimize.compact(max_concurrent_tasks=1))
    counted = theirs.to_pyarrow_dataset().count_rows()
    figures = {"tidemark, rows/s": size * COMPACTED / ours_s, "delta-rs, rows/s": size * COMPACTED / theirs_s}
    figures["parts before"] = float(sum(len(group.parts) for group in groups))
    figures["parts after"] = float(len(table.snapshot().parts))
    return {"right": _hash_of(table) == before and counted == size * COMPACTED, "figures": figures}


def catalogue(folder: Path, scale: float) -> dict[str, Any]:
    """Opening a table of very many files that nobody reads, and leaving all but an hour of them out."""
    commits = max(int(COMMITS * scale), 2)
    table = create_table(folder, rules_of(FILES_OF_COMMIT), draw_rows(1).schema)
    for number in range(commits):
        table.commit(Change(adds=_named(number), transactions={}, expected={}))
    hour_ns = 3_600 * NS_PER_S
    wanted = Wanted(from_ns=DAY_NS + hour_ns, to_ns=DAY_NS + 2 * hour_ns)
    snapshot = HistoryTable(folder, "quote").snapshot()
    left = prune(snapshot, wanted).parts
    slowly = [
        number
        for number in range(commits)
        for _ in range(FILES_OF_COMMIT)
        if _span_ns(number)[1] >= DAY_NS + hour_ns and _span_ns(number)[0] < DAY_NS + 2 * hour_ns
    ]
    return {
        "right": len(left) == len(slowly) and len(snapshot.parts) == commits * FILES_OF_COMMIT,
        "figures": {
            "files": float(len(snapshot.parts)),
            "open, ms": 1e3 * cpu_s(lambda: HistoryTable(folder, "quote").snapshot()),
            "prune, ms": 1e3 * cpu_s(lambda: prune(snapshot, wanted)),
            "delta-rs, open and list, ms": 1e3 * cpu_s(lambda: DeltaTable(str(table.root)).file_uris()),
        },
    }


def travel(folder: Path, scale: float) -> dict[str, Any]:
    """How long an earlier version takes to open, and whether it has the rows that it had."""
    versions = max(int(VERSIONS * scale), 4)
    rows = draw_rows(versions * 50, columns=9)
    table = make_table(folder, rules_of(1), [rows.slice(n * 50, 50) for n in range(versions)])
    newest_s = cpu_s(lambda: HistoryTable(folder, "quote"))
    figures = {"newest, ms": 1e3 * newest_s}
    right = True
    for version in (versions // 80 + 1, versions // 2, versions - 1):
        taken_s = cpu_s(partial(HistoryTable, folder, "quote", version))
        figures[f"version {version} of {versions}, of the newest's time"] = taken_s / newest_s
        right &= HistoryTable(folder, "quote", version).snapshot().rows == version * 50
    return {"right": right and table.version == versions, "figures": figures}


def _sized(store: Path, name: str, day: Day, figures: dict[str, float | str]) -> bool:
    """Add the bytes a row of a day as it is, by pyarrow's defaults, and in parts; whether no row was lost."""
    rows, own = day.rows, store / f"{name}.parquet"
    figures[f"{name}, day's folder"] = sum(path.stat().st_size for path in day.files) / rows
    pq.write_table(pa.Table.from_batches(day.batches()), own)
    figures[f"{name}, pyarrow's defaults"] = own.stat().st_size / rows
    problems = [each.problem for each in upgrade(HistoryStore(store)) if each.problem]
    snapshot = HistoryTable(store, "quote").snapshot()
    parts = [part for part in snapshot.parts if part.date == day.date]
    figures[f"{name}, parts"] = sum(part.size for part in parts) / rows
    return not problems and sum(part.rows for part in parts) == rows


def _rows(day: Day) -> int:
    return day.rows


def _hash_of(table: HistoryTable) -> int:
    snapshot = table.snapshot()
    return combined(*(content_hash(rows) for rows in stored_rows(snapshot, snapshot.parts)))


def _span_ns(number: int) -> tuple[int, int]:
    """The times of the parts of a commit: a minute each."""
    first_ns = DAY_NS + number * 60 * NS_PER_S
    return first_ns, first_ns + 60 * NS_PER_S - 1


def _named(number: int) -> list[Part]:
    """Parts that a commit names, with no file behind them."""
    span = ClockSpan(*_span_ns(number), nulls=0, disorder_ns=0)
    footer = PartFooter(
        rows=1_000,
        keys={},
        clocks={"event_ns": span, "known_ns": replace(span, nulls=0)},
        order="known",
        content_hash=0,
        covered=(),
        fingerprint="",
        source="a bench",
    )
    end = among(FILES_OF_COMMIT)
    return [
        Part(
            path=f"date=2025-11-28/bucket={bucket:03d}/quote-i-{number:04d}{end}-{bucket:08x}.parquet",
            date="2025-11-28",
            bucket=bucket,
            size=1_000,
            footer=footer,
        )
        for bucket in range(FILES_OF_COMMIT)
    ]
