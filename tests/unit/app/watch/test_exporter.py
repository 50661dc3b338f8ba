"""What a group looks like from outside, as samples: times as they are, nothing where nothing is known."""

from dataclasses import replace
from pathlib import Path

from app.metrics.catalogue import METRICS
from app.process.clock import now_ns
from app.watch.exporter import STALE_NS, GroupCollector
from app.watch.watermarks import Watch, look
from schemas.clocks import NS_PER_S
from tests.stage.market import Market
from tests.stage.scrapes import by_name
from tests.stage.turns import turn_until_quiet

MARKET_NS = 1_705_305_600 * NS_PER_S  # 2024-01-15T08:00
HOURS = {"session": "08:00-09:00", "timezone": "UTC"}


def collector_of(market: Market) -> GroupCollector:
    collector = GroupCollector(market.settings)
    collector.now_ns = now_ns()
    collector.picture = look(market.bus.admin(), market.settings, collector.now_ns, Watch())
    return collector


def sample(collector: GroupCollector, name: str, **labels: str) -> float | None:
    return by_name(collector.collect()).get(name, {}).get(tuple(sorted(labels.items())))


def at_work(market: Market) -> None:
    """A worker has read a trade and a quote, and sealed neither: 2 trades wait."""
    market.wall_ns = now_ns()
    worker = market.worker()
    market.quote(MARKET_NS)
    market.trade(MARKET_NS + NS_PER_S, MARKET_NS + 2 * NS_PER_S)
    turn_until_quiet(worker)
    worker.commit()


def test_each_figure_of_an_input_is_there_with_its_stream_and_partition(tmp_path: Path) -> None:
    market = Market(tmp_path)
    at_work(market)
    market.quote(MARKET_NS)
    collector = collector_of(market)
    quote = {"stream": "quote", "partition": "0"}
    trade = {"stream": "trade", "partition": "0"}
    market_s = MARKET_NS / NS_PER_S
    assert sample(collector, "tidemark_frontier_timestamp_seconds", partition="0") == market_s
    assert sample(collector, "tidemark_watermark_timestamp_seconds", **quote) == market_s
    assert sample(collector, "tidemark_watermark_timestamp_seconds", **trade) == market_s + 2
    assert sample(collector, "tidemark_newest_timestamp_seconds", **trade) == market_s + 2
    assert sample(collector, "tidemark_input_read_timestamp_seconds", **quote) == market.wall_ns / NS_PER_S
    assert (
        sample(collector, "tidemark_frontier_moved_timestamp_seconds", partition="0")
        == market.wall_ns / NS_PER_S
    )
    assert sample(collector, "tidemark_waiting_rows", **trade) == 2
    assert (sample(collector, "tidemark_waiting_bytes", **trade) or 0) > 0
    assert sample(collector, "tidemark_input_idle", **trade) == 0
    assert sample(collector, "tidemark_input_paused", **trade) == 0
    assert sample(collector, "tidemark_lag_messages", **quote) == 1
    assert sample(collector, "tidemark_lag_messages", **trade) == 0
    assert sample(collector, "tidemark_uncommitted_messages", **quote) == 0
    assert sample(collector, "tidemark_group_tasks_unowned") == 0


def test_what_nobody_knows_yet_has_no_sample(tmp_path: Path) -> None:
    collector = collector_of(Market(tmp_path, partitions=2))
    names = by_name(collector.collect())
    assert "tidemark_frontier_timestamp_seconds" not in names
    assert "tidemark_waiting_rows" not in names
    assert sample(collector, "tidemark_group_tasks_unowned") == 2
    assert "tidemark_session_open" not in names, "there is no calendar"


def test_a_session_is_open_or_not_by_the_anchor_of_the_graph(tmp_path: Path) -> None:
    market = Market(tmp_path, graph={"anchor": HOURS})
    collector = collector_of(market)
    assert collector.picture is not None
    for hour, is_open in ((8, 1), (9, 0)):
        at_ns = (MARKET_NS // NS_PER_S // 86_400 * 86_400 + hour * 3_600) * NS_PER_S
        collector.picture = replace(collector.picture, now_ns=at_ns)
        collector.now_ns = at_ns
        assert sample(collector, "tidemark_session_open") == is_open


def test_figures_that_are_old_are_left_out(tmp_path: Path) -> None:
    collector = collector_of(Market(tmp_path))
    assert list(collector.collect())
    collector.now_ns += STALE_NS + NS_PER_S
    assert list(collector.collect()) == []


def test_a_look_has_every_name_of_the_exporter_and_no_other(tmp_path: Path) -> None:
    market = Market(tmp_path, graph={"anchor": HOURS})
    at_work(market)
    names = {family.name: family for family in collector_of(market).collect()}
    wanted = {metric.name: metric for metric in METRICS if metric.by == "exporter"}
    assert names.keys() == wanted.keys()
    for name, metric in wanted.items():
        assert names[name].type == metric.kind
        assert all(sample.labels.keys() == set(metric.labels) for sample in names[name].samples)
