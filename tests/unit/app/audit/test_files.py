"""The audit of Parquet and of one run against another, as a user asks for them."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.commands.audit import parse_size
from app.errors import UsageError
from operators.asof import asof_join
from tests.stage.audit_faults import PLANTED, another
from tests.stage.programs import App
from topics.partitioner import partition_of

SYMBOLS = ("A", "D", "C", "B")
ELSEWHERE = next(symbol for symbol in SYMBOLS if partition_of(symbol.encode(), 2) == 1)


def write_run(folder: Path, *, partitions: int = 2) -> pl.DataFrame:
    """Write 40 trades, 100 quotes and the aligned rows as a replay leaves them; returns the latter."""
    folder.mkdir()
    trade = pa.table(
        {
            "ts_ns": [3 * i + 10 for i in range(40)],
            "symbol": [SYMBOLS[i % 4] for i in range(40)],
            "price": [float(i) for i in range(40)],
        }
    )
    quote = pa.table(
        {
            "ts_ns": list(range(100)),
            "symbol": [SYMBOLS[i % 3] for i in range(100)],
            "bid": [None if i % 7 == 0 else i / 4 for i in range(100)],
        }
    )
    for name, rows in (("trades", trade), ("quotes", quote)):
        pq.write_table(rows, folder / f"{name}.parquet")
    clock = {"ts_ns": "event_ns"}
    joined = pl.from_arrow(asof_join(trade.rename_columns(clock), {"quote": quote.rename_columns(clock)}))
    assert isinstance(joined, pl.DataFrame)
    aligned = joined.with_columns(
        pl.int_range(40, dtype=pl.Int64).alias("left_offset"),
        pl.lit(0, pl.Int32).alias("left_index"),
        pl.Series("home", [partition_of(s.encode(), partitions) for s in joined["symbol"]]),
    )
    write_aligned(folder, aligned, partitions)
    return aligned


def write_aligned(folder: Path, aligned: pl.DataFrame, partitions: int = 2) -> None:
    (folder / "aligned").mkdir(exist_ok=True)
    for number in range(partitions):
        rows = aligned.filter(pl.col("home") == number).drop("home")
        rows.write_parquet(folder / f"aligned/partition-{number:05d}.parquet")


class Audit:
    """Runs the audit of a run's folder."""

    def __init__(self, run_app: App, folder: Path) -> None:
        self._run_app = run_app
        self.folder = folder

    def __call__(self, *more: object) -> tuple[int, str]:
        answer = self._run_app(
            "audit",
            *["--aligned", self.folder / "aligned", "--left", self.folder / "trades.parquet"],
            *["--right", f"quote={self.folder / 'quotes.parquet'}", *more],
        )
        return answer.code, answer.out + answer.err


@pytest.fixture
def audit_run(run_app: App, tmp_path: Path) -> Audit:
    return Audit(run_app, tmp_path / "run")


def test_aligned_parquet_is_audited_against_the_files_it_came_from(audit_run: Audit) -> None:
    write_run(audit_run.folder)
    code, out = audit_run()
    assert code == 0, out
    assert "quote: 100 rows in, 0 late" in out
    assert "aligned: 40 rows" in out
    assert "audit: clean" in out


MORE = {**PLANTED, "row of another partition": lambda rows: another(rows, symbol=ELSEWHERE)}


@pytest.mark.parametrize("kind", MORE)
def test_a_fault_in_aligned_parquet_is_named(kind: str, audit_run: Audit) -> None:
    aligned = write_run(audit_run.folder).filter(pl.col("quote_event_ns").is_not_null())
    parts = [aligned.filter(pl.col("home") == 0).pipe(MORE[kind]), aligned.filter(pl.col("home") == 1)]
    write_aligned(audit_run.folder, pl.concat(parts))
    code, out = audit_run("--memory-max", "16MiB")
    assert code == 1
    assert f"rows {kind}\n" in out


def test_rows_whose_time_no_worker_takes_are_left_out(audit_run: Audit) -> None:
    write_run(audit_run.folder)
    quotes = pq.read_table(audit_run.folder / "quotes.parquet")
    far = pa.table(
        {"ts_ns": [-(2**63), 2**62], "symbol": ["A", "A"], "bid": [1.0, 2.0]}, schema=quotes.schema
    )
    pq.write_table(pa.concat_tables([quotes, far]), audit_run.folder / "quotes.parquet")
    code, out = audit_run()
    assert code == 0, out
    assert "quote: 100 rows in, 0 late, 2 without key or time left out" in out


def test_other_settings_make_other_matches(audit_run: Audit) -> None:
    write_run(audit_run.folder)
    (audit_run.folder / "tidemark.toml").write_text("[pipeline]\nallow_exact = false\n")
    code, out = audit_run()
    assert code == 1
    assert "rows look-ahead" in out


def test_a_run_is_like_itself_whatever_its_partitions(run_app: App, tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for folder, partitions in ((one, 2), (same, 2), (other, 3)):
        write_run(folder, partitions=partitions)
    for run in (same, other, same / "aligned"):
        answer = run_app("audit", "--aligned", one / "aligned", "--against", run)
        assert answer.code == 0, answer.out
        assert answer.out.strip().endswith(": alike")


@pytest.mark.parametrize("partitions", [2, 3])
def test_the_first_row_that_differs_is_shown_with_both_sides(
    run_app: App, tmp_path: Path, partitions: int
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_run(one)
    rows = write_run(other, partitions=partitions)
    changed = pl.when(pl.col("price") == 17.0).then(170.5).otherwise(pl.col("price")).alias("price")
    write_aligned(other, rows.with_columns(changed), partitions)
    answer = run_app("audit", "--aligned", one / "aligned", "--against", other)
    assert answer.code == 1
    assert "price is 17.0 and 170.5" in answer.out
    assert ("parity" in answer.out) == (partitions == 2)
    assert ("rows were compared by time and key" in answer.out) == (partitions == 3)


def test_a_run_of_several_days_is_compared_by_the_keys_of_its_own_settings(
    run_app: App, tmp_path: Path
) -> None:
    out, whole = tmp_path / "out", tmp_path / "rows.parquet"
    rows = pa.table({"event_ns": [3, 1, 2], "sym": ["B", "A", "A"], "price": [1.0, 2.0, 3.0]})
    for name in ("day=2024-03-04", "_day=2024-03-04.unfinished"):
        (out / "aligned" / name).mkdir(parents=True)
        for number, part in enumerate((rows.slice(0, 1), rows.slice(1))):
            pq.write_table(part, out / "aligned" / name / f"partition-{number:05d}.parquet")
    pq.write_table(rows.sort_by("event_ns"), whole)
    typed = ("audit", "--aligned", out / "aligned", "--against", whole)
    answer = run_app(*typed)
    assert (answer.code, "no column symbol" in answer.error, "--config" in answer.error) == (2, True, True)
    (out / "2024-03-04").mkdir()
    (out / "2024-03-04/tidemark.toml").write_text('[streams.trade]\nkey = ["sym"]\n')
    for folder in (out / "aligned", out / "aligned/day=2024-03-04"):
        answer = run_app("audit", "--aligned", folder, "--against", whole)
        assert (answer.code, answer.out.strip()) == (0, f"against {whole}: alike")


def test_a_run_that_ends_earlier_differs_from_there_on(run_app: App, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write_run(one, partitions=1)
    rows = write_run(other, partitions=1)
    write_aligned(other, rows.head(39), 1)
    answer = run_app("audit", "--aligned", one / "aligned", "--against", other)
    assert answer.code == 1
    assert f"row 39: {other / 'aligned'} ends, {one / 'aligned'} goes on with" in answer.out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--left", "x.parquet"], "say --aligned too"),
        (["--aligned", "nowhere"], "nowhere: no such Parquet file"),
        (["--aligned", "{run}", "--left", "{run}"], "say --right quote=PATH"),
        (["--aligned", "{run}", "--right", "quote"], "expected NAME=PATH with NAME one of quote"),
        (["--aligned", "{run}", "--against", "nowhere"], "nowhere: no such Parquet file"),
        (["--memory-max", "lots"], "expected a size of at least 16MiB"),
        (["--aligned", "{run}/trades.parquet", "--left", "{run}", "--right", "quote={run}"], "has no "),
    ],
)
def test_what_cannot_be_audited_is_said_in_one_line(
    run_app: App, tmp_path: Path, flags: list[str], told: str
) -> None:
    write_run(tmp_path / "run")
    answer = run_app("audit", *[flag.format(run=tmp_path / "run") for flag in flags])
    assert answer.code == 2
    assert told in answer.error


def test_sizes_are_in_powers_of_1024() -> None:
    assert parse_size("16MiB") == parse_size("16m") == parse_size(str(16 << 20)) == 16 << 20
    assert parse_size("2 GB") == 2 << 30
    with pytest.raises(UsageError):
        parse_size("15MiB")
