"""Reading from a history: whole days merged, one symbol's hour, and the same from an object store."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from replay import history
from replay.store.cache import CacheSettings, use_cache
from replay.store.footers import read_footer
from replay.store.objects import parse_store
from replay.store.prune import Wanted
from replay.store.scan import Scan
from schemas.clocks import NS_PER_S
from tests.bench.history_rows import (
    BUSIEST,
    DAY_NS,
    cpu_s,
    draw_rows,
    files_of,
    make_table,
    rules_of,
)
from tests.stage.object_server import ObjectServer

ROWS: Final = 2_000_000
ORDER: Final = ("known_ns", "sequence", "_partition", "_offset", "_index")
THREE: Final = ["known_ns", "bid_price", "ask_price"]
HOUR_NS: Final = 3_600 * NS_PER_S
FROM_NS: Final = DAY_NS + 14 * HOUR_NS
MEMORY_DAYS: Final = (1, 10)
ANSWER_S: Final = 0.03  # that the object store takes for each request
# A process that merges some days and says how much memory it had at most, in kB, and how many rows.
MEMORY_WORK: Final = """
import resource, sys
from pathlib import Path
from replay import history
from replay.store.table import HistoryTable
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(batch.num_rows for batch in history.batches("quote", store=Path(sys.argv[1])))
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, rows)
"""


def merging(folder: Path, scale: float) -> dict[str, Any]:
    """A day in sixteen parts as one ordered stream, against DuckDB's ORDER BY and Polars' sort."""
    rows = draw_rows(int(ROWS * scale))
    table = make_table(folder, rules_of(16), [rows])
    files, snapshot = files_of(table), table.snapshot()

    def ours(columns: Sequence[str]) -> list[pa.RecordBatch]:
        return list(Scan(snapshot, Wanted(), columns).batches())

    def duck(columns: Sequence[str]) -> pa.Table:
        with duckdb.connect(":memory:", config={"threads": 1}) as engine:
            names, order = ", ".join(columns), ", ".join(ORDER)
            query = f"select {names} from read_parquet($files) order by {order}"  # noqa: S608 -- our own
            return engine.sql(query, params={"files": files}).to_arrow_table()

    def polars(columns: Sequence[str]) -> pl.DataFrame:
        return pl.scan_parquet(files).sort(ORDER).select(columns).collect(engine="streaming")

    engines: dict[str, Callable[[Sequence[str]], Any]] = {"tidemark": ours, "duckdb": duck, "polars": polars}
    names = rows.schema.names
    mine = pa.Table.from_batches(ours(names))
    theirs = [duck(names), polars(names).to_arrow()]
    right = mine.num_rows == rows.num_rows and all(_equal(mine, other) for other in theirs)
    figures: dict[str, float] = {}
    for what, columns in (("20 columns", names), ("3 columns", THREE)):
        rates = {name: rows.num_rows / cpu_s(partial(read, columns)) for name, read in engines.items()}
        figures |= {f"{what}, {name}, rows/s": rate for name, rate in rates.items()}
        best = max(rate for name, rate in rates.items() if name != "tidemark")
        figures[f"{what}, of the best rival"] = rates["tidemark"] / best
        if what == "20 columns":
            figures["20 columns, bytes of Arrow a second"] = mine.nbytes * rates["tidemark"] / rows.num_rows
    return {"right": right, "figures": figures, "rows": rows.num_rows}


def replay_memory(folder: Path, scale: float) -> dict[str, Any]:
    """What a process has at most that merges one day, and many; each day is as large as the other."""
    of_day = int(ROWS / 4 * scale)
    figures: dict[str, float] = {}
    right = True
    for days in MEMORY_DAYS:
        store = folder / str(days)
        make_table(store, rules_of(16), [draw_rows(of_day * days, days=days)])
        command = [sys.executable, "-c", MEMORY_WORK, str(store)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        imports_kb, peak_kb, rows = map(int, said.split())
        right &= rows == of_day * days
        figures[f"{days} days, MiB"] = peak_kb / 1_024
        figures[f"{days} days, MiB beyond imports"] = (peak_kb - imports_kb) / 1_024
    return {"right": right, "figures": figures, "rows_of_a_day": of_day}


def narrow_query(folder: Path, scale: float) -> dict[str, Any]:
    """One symbol, one hour, 3 of 20 columns out of 256 buckets and two days, against globs."""
    table = make_table(folder, rules_of(256), [draw_rows(int(2 * ROWS * scale), days=2)])
    assert isinstance(table.root, Path)
    glob = f"{table.root}/date=*/bucket=*/*.parquet"
    bounds: dict[str, Any] = {"symbols": [BUSIEST], "from_ns": FROM_NS, "to_ns": FROM_NS + HOUR_NS}
    bounds["store"] = folder
    at = table.snapshot()
    query = f"select {', '.join(THREE)} from quote"  # noqa: S608 -- our own columns
    where = f"symbol = '{BUSIEST}' and known_ns >= {FROM_NS} and known_ns < {FROM_NS + HOUR_NS}"

    def duck() -> pa.Table:
        with duckdb.connect(":memory:", config={"threads": 1}) as engine:
            asked = f"select {', '.join(THREE)} from read_parquet($glob) where {where}"  # noqa: S608
            return engine.sql(asked, params={"glob": glob}).to_arrow_table()

    def polars() -> pl.DataFrame:
        wanted = pl.col("known_ns").is_between(FROM_NS, FROM_NS + HOUR_NS, closed="left")
        frame = pl.scan_parquet(glob, hive_partitioning=False)
        return frame.filter(wanted & (pl.col("symbol") == BUSIEST)).select(THREE).collect()

    asked: dict[str, Callable[[], Any]] = {
        "scan": lambda: history.scan("quote", THREE, at=at, **bounds).collect(),
        "scan, table opened": lambda: history.scan("quote", THREE, **bounds).collect(),
        "sql": lambda: history.sql(query, at={"quote": at}, **bounds),
        "duckdb, glob": duck,
        "polars, glob": polars,
    }
    answers = [_sorted(work()) for work in asked.values()]
    right = answers[0].num_rows > 0 and all(answers[0].equals(other) for other in answers[1:])
    figures = {f"{name}, ms of CPU": 1e3 * cpu_s(work) for name, work in asked.items()}
    return {"right": right, "figures": figures, "rows": answers[0].num_rows}


def cold_query(folder: Path, scale: float) -> dict[str, Any]:
    """The same from an S3 server that takes 30 ms for each request: round trips for parts, and seconds."""
    server, patch = ObjectServer(), pytest.MonkeyPatch()
    figures: dict[str, float] = {}
    try:
        server.environment(patch)
        store = parse_store(f"{server.bucket('bench')}/history")
        table = make_table(store, rules_of(16), [draw_rows(int(ROWS * scale))])
        files = [str(table.root / part.path) for part in table.snapshot().parts]
        use_cache(CacheSettings(folder=folder / "cache"))
        read_footer.cache_clear()
        bounds: dict[str, Any] = {"symbols": [BUSIEST], "from_ns": FROM_NS, "to_ns": FROM_NS + HOUR_NS}

        def ours() -> pl.DataFrame:
            return history.scan("quote", THREE, store=store, **bounds).collect()

        def polars() -> pl.DataFrame:
            wanted = pl.col("known_ns").is_between(FROM_NS, FROM_NS + HOUR_NS, closed="left")
            options = {"aws_endpoint_url": server.url, "aws_region": "us-east-1", "aws_allow_http": "true"}
            frame = pl.scan_parquet(files, storage_options=options)
            return frame.filter(wanted & (pl.col("symbol") == BUSIEST)).select(THREE).collect()

        answers = []
        for name, work in (("ours, cold", ours), ("ours, again", ours), ("polars, all parts", polars)):
            server.order(answer_s=ANSWER_S)
            began_s = time.perf_counter()
            answers.append(_sorted(work()))
            figures[f"{name}, s"] = time.perf_counter() - began_s
            figures[f"{name}, requests for parts"] = len(server.parts_read())
            figures[f"{name}, requests in all"] = len(server.requests())
        right = answers[0].num_rows > 0 and all(answers[0].equals(other) for other in answers[1:])
        right &= figures["ours, again, requests for parts"] == 0
    finally:
        use_cache(CacheSettings())
        patch.undo()
        server.close()
    return {"right": right, "figures": figures}


def _sorted(rows: pa.Table | pl.DataFrame) -> pa.Table:
    table = rows.to_arrow() if isinstance(rows, pl.DataFrame) else rows
    return table.sort_by([(name, "ascending") for name in table.column_names]).combine_chunks()


def _equal(mine: pa.Table, other: pa.Table) -> bool:
    return bool(mine.combine_chunks().equals(other.cast(mine.schema).combine_chunks()))
