"""Laws of a run straight from files: it gives what the same run through topics gives, to the last column."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from app.day.request import ReplayRequest
from app.day.run import replay_day
from app.errors import RunError, UsageError
from app.reading.row_files import as_in_files
from replay.market.generate import generate_day
from replay.publish.publication import STEP_ROWS_MAX
from replay.store.days import HistoryStore
from schemas.clocks import Clock
from tests.stage.both_ways import GRAPH, both_ways
from tests.stage.day_runs import DATE, small_days
from tests.stage.market_data import market_data
from tests.stage.planted_joins import LosesARow, NextRow, OneRowLate, in_place_of

pytestmark = pytest.mark.takes_s(150)


def several_steps(store: Path) -> None:
    """A generated day, out of order on the exchange's clock, that takes more than one transaction."""
    days = generate_day(HistoryStore(store), DATE, symbols=40, trades=12_000, quotes=60_000)
    assert sum(day.rows for day in days) > 2 * STEP_ROWS_MAX
    assert all(day.disorder_ns("event") > 0 for day in days)


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("graph", [True, False], ids=["graph", "no-graph"])
def test_a_direct_run_gives_every_file_of_one_through_the_wire(
    tmp_path: Path, partitions: int, graph: bool
) -> None:
    several_steps(tmp_path / "store")
    config = tmp_path / "graph.toml"
    config.write_text(GRAPH)
    request = ReplayRequest(
        date=DATE,
        store=tmp_path / "store",
        out=tmp_path,
        partitions=partitions,
        config=config if graph else None,
    )
    direct, _ = both_ways(request, tmp_path)
    assert direct.bus == "direct"
    assert direct.audit_violations == 0, direct.audit_findings
    assert direct.rows_out == ({"tick": 12_000, "later": 12_000} if graph else {})


@pytest.mark.parametrize(
    "settings",
    [
        'clock = "known"\ntolerance_ns = 100000000',
        'carry = "column"\nallow_exact = false',
        'direction = "nearest"\ntolerance_ns = 1000000000',
        "grace_ns = 10000000",
        "max_ahead_ns = 86400000000000",
        'clock = "event"\n[streams.trade]\ncolumns = ["price"]\n[streams.quote]\ncolumns = ["bid_price"]',
    ],
)
def test_so_does_one_by_another_rule_grace_or_choice_of_columns(tmp_path: Path, settings: str) -> None:
    several_steps(tmp_path / "store")
    config = tmp_path / "rule.toml"
    config.write_text(f"[pipeline]\n{settings}\n")
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, partitions=3, config=config)
    direct, _ = both_ways(request, tmp_path)
    assert direct.audit_violations == 0, direct.audit_findings


def with_rules(store: Path, folder: Path, policy: str) -> ReplayRequest:
    """A day of which some trades break a rule: two in one block for one reason are one letter."""
    days = small_days(store)
    (day,) = (day for day in days if day.stream.name == "trade")
    rows = pa.Table.from_batches(day.batches())
    size = rows.column("size").to_numpy().copy()
    size[[5, 6, 7, 100, 1_000]] = -1.0
    at = rows.schema.get_field_index("size")
    rows = rows.set_column(at, rows.schema.field("size"), pa.array(size))
    HistoryStore(store).write(
        day.stream, DATE, rows.to_batches(), order=day.summary.order, made={"by": "a test"}
    )
    config = folder / "rules.toml"
    config.write_text(f'[streams.trade.rules]\npositive = {{ columns = ["size"], policy = "{policy}" }}\n')
    return ReplayRequest(date=DATE, store=store, out=folder, partitions=2, config=config)


@pytest.mark.parametrize("policy", ["dead", "drop"])
def test_rows_that_break_a_rule_are_left_out_and_counted_as_their_letters_would_be(
    tmp_path: Path, policy: str
) -> None:
    direct, _ = both_ways(with_rules(tmp_path / "store", tmp_path, policy), tmp_path)
    assert direct.rows_in["trade"] == direct.rows_aligned == 2_995
    assert (direct.rows_dead > 0) == (policy == "dead")
    assert direct.audit_findings == ["trade: the history has 3,000 rows, of which 2,995 came in"]


def test_a_rule_that_is_to_stop_stops_a_direct_run(tmp_path: Path) -> None:
    request = with_rules(tmp_path / "store", tmp_path, "fail")
    with pytest.raises(RunError, match=r'a row of stream trade is dead: size is not positive; .* = "fail"'):
        replay_day(direct(request, tmp_path / "out"), lambda line: None)
    assert not (tmp_path / "out" / "aligned").exists()


def direct(request: ReplayRequest, out: Path) -> ReplayRequest:
    """The same request straight from files."""
    return replace(request, wire=False, bus="embedded", out=out)


def test_a_run_that_fails_leaves_the_rows_of_the_one_before(tmp_path: Path) -> None:
    small_days(tmp_path / "store")
    out = tmp_path / "out"
    good = ReplayRequest(date=DATE, store=tmp_path / "store", out=out, partitions=1)
    replay_day(direct(good, out), lambda line: None)
    before = (out / "aligned" / "partition-00000.parquet").read_bytes()
    with pytest.raises(RunError):
        replay_day(direct(with_rules(tmp_path / "store", tmp_path, "fail"), out), lambda line: None)
    assert (out / "aligned" / "partition-00000.parquet").read_bytes() == before


def test_workers_share_topics_and_a_direct_run_has_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"WORKERS=2 .* say --through-wire"):
        ReplayRequest(date=DATE, out=tmp_path / "out", wire=False, workers=2)


def test_more_files_than_a_process_may_open_are_refused(tmp_path: Path) -> None:
    small_days(tmp_path / "store")
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, partitions=900)
    with pytest.raises(UsageError, match=r"900 files, more than 800 at once: .*--through-wire"):
        replay_day(direct(request, tmp_path / "out"), lambda line: None)


def test_a_clock_that_only_a_message_has_is_refused(tmp_path: Path) -> None:
    small_days(tmp_path / "store")
    config = tmp_path / "clock.toml"
    config.write_text('[streams.trade]\nevent_time = { field = "known_ns", form = "ns" }\n')
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, config=config)
    with pytest.raises(UsageError, match=r"streams.trade takes event_ns from a message's own form"):
        replay_day(direct(request, tmp_path / "out"), lambda line: None)


def test_the_audit_of_a_direct_run_finds_a_value_that_was_changed_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_days(tmp_path / "store")
    config = tmp_path / "graph.toml"
    config.write_text(GRAPH)
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, partitions=1, config=config)

    def changed(rows: pa.Table, schema: pa.Schema) -> pa.Table:
        at = rows.schema.get_field_index("price")
        if at >= 0:
            column = pc.add(rows.column("price"), 1.0)
            rows = rows.set_column(at, rows.schema.field("price"), column)
        return as_in_files(rows, schema)

    monkeypatch.setattr("app.batch.outputs.as_in_files", changed)
    summary = replay_day(direct(request, tmp_path / "out"), lambda line: None)
    kinds = " ".join(summary.audit_findings)
    assert summary.audit_violations >= 3_000
    assert "changed left row" in kinds
    assert "wrong feature" in kinds


STREAMS = """
[graph]
name = "streams"
[graph.flow]
from = "quote"
[graph.flow.features]
moved = "bid_price - lag(bid_price, rows=1)"
[graph.flow.out]
[graph.joined]
kind = "asof"
from = "aligned"
right = ["flow"]
tolerance = "1m"
[graph.joined.out]
[graph.then]
from = "joined"
features = { five = "rolling_mean(flow_moved, '5m')" }
out = { columns = ["flow_moved", "five"] }
[graph.back]
kind = "asof"
from = "flow"
right = ["then"]
carry = "column"
[graph.back.out]
"""


def test_the_audit_of_a_direct_run_judges_streams_and_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_days(tmp_path / "store")
    config = tmp_path / "streams.toml"
    config.write_text(STREAMS)
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, partitions=3, config=config)
    honest, _ = both_ways(request, tmp_path)
    assert honest.audit_violations == 0, honest.audit_findings
    assert honest.nodes_unjudged == []
    assert honest.rows_out["back"] == honest.rows_out["flow"] == honest.rows_in["quote"]
    for at, node, kind in (
        ("joined", OneRowLate, "wrong match"),
        ("joined", NextRow, "look-ahead"),
        ("flow", LosesARow, "missing node row"),
    ):
        monkeypatch.setattr("operators.graph.graph.make_node", in_place_of(at, node))
        summary = replay_day(direct(request, tmp_path / f"{node.__name__}"), lambda line: None)
        assert kind in " ".join(summary.audit_findings)


MADE = """\
[streams.trade.scales]
price = 10_000
[graph.tick]
from = "aligned"
features = { width = "0.0 * price + 0.001", mid = "(quote_bid_price + quote_ask_price) / 2" }
[graph.minutes]
kind = "bars"
from = "trade"
every = { time = "1m" }
features = { paid = "sum(price * size)" }
[graph.minutes.out]
[graph.lots]
kind = "bars"
from = "aligned"
every = { volume = 2000 }
[graph.lots.out]
[graph.bricks]
kind = "bars"
from = "trade"
every = { renko = 50 }
[graph.bricks.out]
[graph.outcome]
kind = "label"
from = "tick"
triple_barrier = { sigma = "width", up = 1, down = 1, horizon = "1m" }
[graph.outcome.out]
[graph.after]
kind = "label"
from = "minutes"
sign = { horizon_rows = 3, max = "1h" }
[graph.after.out]
"""


@pytest.mark.slow
def test_the_audit_of_a_direct_run_judges_bars_and_labels(tmp_path: Path) -> None:
    small_days(tmp_path / "store")
    config = tmp_path / "made.toml"
    config.write_text(MADE)
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, partitions=3, config=config)
    summary = replay_day(direct(request, tmp_path / "direct"), lambda line: None)
    assert summary.audit_violations == 0, summary.audit_findings
    assert summary.nodes_unjudged == []
    assert all(summary.rows_out[name] for name in ("minutes", "lots", "bricks", "outcome", "after"))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("data", "date", "clock", "partitions"),
    [
        ("lean_us_equity_ticks", "2013-10-07", "event", 3),
        ("taq_highfrequency", "2018-01-02", "event", 1),
        ("taq_highfrequency", "2018-01-03", "event", 3),
        ("binance_20240808", "2024-08-08", "known", 3),
        ("binance_20240808", "2024-08-08", "event", 1),
    ],
)
def test_real_days_are_the_same_both_ways(
    tmp_path: Path, data: str, date: str, clock: Clock, partitions: int
) -> None:
    request = ReplayRequest(
        date=date,
        data=market_data(data),
        store=tmp_path / "history",
        out=tmp_path,
        clock=clock,
        partitions=partitions,
    )
    direct, _ = both_ways(request, tmp_path)
    assert direct.audit_violations == 0, direct.audit_findings


BESIDE = """
[streams.book]
scales = { bid_price = 10_000 }
[graph]
name = "beside"
[graph.flow]
from = "book"
features = { moved = "diff(bid_price)", mean = "rolling_mean(ask_price, '5s')" }
[graph.joined]
kind = "asof"
from = "aligned"
right = ["flow"]
columns = { flow = ["moved", "mean"] }
lag = "250ms"
out = { status = "column", available = true }
"""


def test_a_stream_beside_the_join_is_the_same_straight_from_files_and_through_the_wire(
    tmp_path: Path,
) -> None:
    small_days(tmp_path / "store")
    book = tmp_path / "store" / "stream=book"
    shutil.copytree(tmp_path / "store" / "stream=quote", book)
    described = book / f"date={DATE}" / "_day.json"
    described.write_text(described.read_text().replace('"stream": "quote"', '"stream": "book"'))
    config = tmp_path / "beside.toml"
    config.write_text(BESIDE)
    request = ReplayRequest(date=DATE, store=tmp_path / "store", out=tmp_path, partitions=2, config=config)
    direct, wired = both_ways(request, tmp_path)
    for summary in (direct, wired):
        assert summary.audit_violations == 0, summary.audit_findings
    assert direct.rows_in["book"] == direct.rows_in["quote"]
    assert direct.rows_out == {"joined": direct.rows_aligned}
