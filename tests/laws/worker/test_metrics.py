"""Each figure of a worker over the embedded bus: it says what was done, once, and as it is now."""

from pathlib import Path

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics.catalogue import METRICS
from app.metrics.collector import WorkerCollector, registry_of
from app.worker.turn_watch import STANDBY_NS
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.stage.market import Market
from tests.stage.scrapes import LABELS, Watched, watched
from tests.stage.turns import turn_until_quiet
from topics.memory.store import CommitFault

BEGAN_NS = 1_700_000_000 * NS_PER_S


def market_of(folder: Path, **worker: object) -> Market:
    market = Market(folder, worker=worker)
    market.wall_ns = BEGAN_NS
    return market


def run(market: Market, one: Watched) -> None:
    """Turn until nothing is left to do, with all of it committed."""
    turn_until_quiet(one.worker)
    market.pass_commit_interval()
    turn_until_quiet(one.worker)


def market_of_rows(folder: Path, **worker: object) -> Market:
    """Trades of 1 to 9, of which those before 4 have no quote, one of 20 that waits, and garbage."""
    market = market_of(folder, **worker)
    market.quote(4, 10)
    market.trade(*range(1, 10), 20)
    market.send("quote", b"A", b"garbage")
    return market


def test_rows_are_counted_by_stream_and_by_what_became_of_them(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    run(market, one)
    market.trade(3)
    run(market, one)
    assert one.sample("tidemark_rows_read_total", stream="trade") == 11
    assert one.sample("tidemark_rows_read_total", stream="quote") == 2
    assert one.sample("tidemark_rows_sealed_total") == 9
    assert one.sample("tidemark_rows_unmatched_total", stream="quote") == 3
    assert one.sample("tidemark_rows_late_total", stream="trade") == 1
    assert one.sample("tidemark_rows_late_total", stream="quote") == 0
    assert one.sample("tidemark_dead_letters_total", stream="quote", reason="unreadable") == 1
    assert one.sample("tidemark_dead_letters_total", stream="trade", reason="rule") == 0


def test_messages_and_their_bytes_are_counted_as_they_are_read(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    value = market.block("trade", [1, 2, 3])
    market.keyed("trade", "A", value)
    one = watched(market)
    run(market, one)
    assert one.sample("tidemark_messages_read_total", stream="trade") == 1
    assert one.sample("tidemark_read_bytes_total", stream="trade") == len(value)


def test_rows_of_transactions_that_come_to_nothing_are_counted_once(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    market.bus.fail_commits([CommitFault.REFUSED, CommitFault.LOST])
    one = watched(market)
    for _ in range(4):
        run(market, one)
    assert one.sample("tidemark_rows_sealed_total") == 9
    assert one.sample("tidemark_rows_read_total", stream="trade") == 10
    assert one.sample("tidemark_commits_total", outcome="aborted") == 1
    assert one.sample("tidemark_commits_total", outcome="unknown") == 1
    assert one.sample("tidemark_clients_replaced_total", client="producer", reason="doubt") == 1
    assert one.sample("tidemark_commits_total", outcome="done") >= 1


def test_rows_that_a_start_reads_again_are_not_counted_again(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path, checkpoint_interval_ms=1)
    first = watched(market)
    run(market, first)
    first.worker.close()
    second = watched(market)
    run(market, second)
    assert second.sample("tidemark_rows_read_total", stream="trade") == 0
    assert second.sample("tidemark_rows_sealed_total") == 0


def test_a_row_sealed_on_silence_is_counted_as_assumed(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"idle_after_ms": 1_000})
    one = watched(market)
    market.trade(1, 2)
    run(market, one)
    market.elapsed_ns += 2_000 * NS_PER_MS
    market.trade(3)
    run(market, one)
    assert one.sample("tidemark_rows_assumed_total") == one.sample("tidemark_rows_sealed_total") > 0


def test_seal_latency_is_from_the_last_message_read_to_its_rows_sealed(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    run(market, one)
    assert one.sample("tidemark_seal_delay_seconds_count") == 9
    assert one.sample("tidemark_seal_delay_seconds_sum") == 0
    assert one.sample("tidemark_seal_delay_seconds_bucket", le="0.001") == 9


def test_the_last_commit_and_the_last_turn_are_dated_by_the_wall_clock(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    run(market, one)
    assert one.sample("tidemark_last_commit_timestamp_seconds") == BEGAN_NS / NS_PER_S
    market.wall_ns += 5 * NS_PER_S
    one.worker.turn()
    assert one.sample("tidemark_turn_timestamp_seconds") == BEGAN_NS / NS_PER_S + 5
    assert one.sample("tidemark_last_commit_timestamp_seconds") == BEGAN_NS / NS_PER_S
    count = one.sample("tidemark_commits_total", outcome="done")
    assert one.sample("tidemark_commit_duration_seconds_count") == count


def test_all_time_of_the_loop_is_in_some_phase(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    run(market, one)
    spent = {phase: one.sample("tidemark_phase_seconds_total", phase=phase) for phase in ("decode", "push")}
    assert all(seconds > 0 for seconds in spent.values())
    assert one.sample("tidemark_phase_seconds_total", phase="commit") > 0
    assert one.sample("tidemark_phase_seconds_total", phase="state") > 0


def test_tasks_and_what_the_group_does_with_them_are_counted(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    first, second = watched(market), watched(market, "1")
    turn_until_quiet(first.worker, second.worker)
    assert first.sample("tidemark_tasks", state="owned") == 1
    assert first.sample("tidemark_tasks", state="rereading") == 0
    second.worker.close()
    turn_until_quiet(first.worker)
    assert first.sample("tidemark_tasks", state="owned") == 2
    assert second.sample("tidemark_tasks", state="owned") == 0
    assert second.sample("tidemark_rebalances_total", event="revoked") == 1
    opened = first.sample("tidemark_rebalances_total", event="assigned")
    assert opened - first.sample("tidemark_rebalances_total", event="revoked") == 2


def test_tasks_that_are_lost_are_counted(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    turn_until_quiet(one.worker)
    one.worker.consumer.evict()  # type: ignore[attr-defined]
    run(market, one)
    assert one.sample("tidemark_rebalances_total", event="lost") == 1


def test_state_has_a_size_and_rebuilding_it_a_reason(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path, checkpoint_interval_ms=1)
    first = watched(market)
    run(market, first)
    assert first.sample("tidemark_state_bytes") > 0
    assert first.sample("tidemark_state_rebuilds_total", reason="none") == 0, "nothing was there to rebuild"
    first.worker.close()
    for file in (tmp_path / "state").rglob("*.sst"):
        file.unlink()
    for file in (tmp_path / "state").rglob("CURRENT"):
        file.write_bytes(b"damaged")
    second = watched(market)
    run(market, second)
    assert second.sample("tidemark_state_rebuilds_total", reason="wiped") == 1
    assert second.sample("tidemark_recovery_seconds_count") == 1


def test_a_scrape_is_what_the_library_reads_and_has_every_name_of_a_worker(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    run(market, one)
    registry = registry_of(WorkerCollector(one.ledger, LABELS, one.worker.standing))
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        if family.name.startswith("tidemark_")
    }
    wanted = {metric.name.removesuffix("_total"): metric for metric in METRICS if metric.by == "worker"}
    assert families.keys() == wanted.keys()
    for name, metric in wanted.items():
        assert families[name].type == metric.kind
        for sample in families[name].samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)


def test_a_worker_is_ready_once_it_has_committed_what_it_read(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    one.worker.turn()
    assert one.health.awaits
    one.worker.turn()
    assert one.health.awaits == "a commit"
    market.pass_commit_interval()
    one.worker.turn()
    assert one.health.is_ready


def test_a_worker_with_nothing_to_read_is_ready_all_the_same(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    one = watched(market)
    run(market, one)
    assert one.health.is_ready
    assert one.sample("tidemark_commits_total", outcome="done") == 1


def test_a_worker_without_tasks_is_ready_after_a_while(tmp_path: Path) -> None:
    market = market_of(tmp_path)
    first, second = watched(market), watched(market, "1")
    turn_until_quiet(first.worker, second.worker)
    standby = second if first.worker.tasks else first
    assert not standby.health.is_ready
    market.elapsed_ns += STANDBY_NS
    standby.worker.turn()
    assert standby.health.is_ready


def test_readiness_stays_over_a_commit_that_comes_to_nothing_and_ends_with_the_worker(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    run(market, one)
    assert one.health.is_ready
    market.bus.fail_commits([CommitFault.LOST])
    market.trade(30)
    market.pass_commit_interval()
    one.worker.turn()
    assert one.health.is_ready
    one.worker.close()
    assert not one.health.is_ready


def test_a_loop_that_does_not_turn_is_not_live(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    one = watched(market)
    one.worker.turn()
    assert one.is_live_after(60 * NS_PER_S, market)
    assert not one.is_live_after(1, market)
    one.worker.turn()
    assert one.is_live_after(0, market)
