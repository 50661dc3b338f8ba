"""A progress record by hand lets the last rows of a quiet market out, and goes nowhere it does not belong."""

from pathlib import Path

import pytest

from app.config import Settings
from app.errors import UsageError
from app.progress.send import doubt_words, require_near, require_writable, send_progress
from schemas.clocks import NS_PER_S
from tests.stage.foreign import JSON_TRADE
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def send(market: Market, upper_ns: int, *streams: str, final: bool = False) -> None:
    names = streams or market.settings.stream_names
    send_progress(
        market.bus, market.pipeline.registry, market.settings, names, upper_ns=upper_ns, final=final
    )


def test_rows_that_wait_at_the_end_of_every_partition_get_out(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=3)
    for symbol in ("A", "B", "C", "D"):
        market.quote(5, symbol=symbol)
        market.trade(6, symbol=symbol)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == [], "nothing says that no quote of 6 follows"
    send(market, 7)
    turn_until_quiet(worker)
    worker.commit()
    assert market.aligned() == [(6, 5)] * 4
    worker.close()


def test_one_stream_may_be_meant_and_a_final_record_ends_a_period(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(6)
    send(market, 7, "quote")
    assert [len(market.messages(name)) for name in ("trade", "quote")] == [1, 1]
    send(market, 9, final=True)
    worker = market.worker(until_final=True)
    turn_until_quiet(worker)
    worker.commit()
    assert worker.finished()
    worker.close()
    assert market.aligned() == [(6, None)]


def settings(**streams: object) -> Settings:
    return Settings.model_validate({"streams": streams, "pipeline": {"max_ahead_ns": NS_PER_S}})


def test_a_stream_without_progress_records_is_refused_with_the_way_out() -> None:
    frames = settings(quote={"format": "arrow", "key_from": "columns"})
    with pytest.raises(UsageError, match=r"stream quote is frames.*set streams.quote.idle_after_ms"):
        require_writable(frames, ["trade", "quote"], named=True)
    foreign = settings(trade=JSON_TRADE)
    with pytest.raises(
        UsageError, match=r"stream trade \(json\) has no .*streams.trade.idle_after_ms.*--stream"
    ):
        require_writable(foreign, ["trade", "quote"], named=False)
    require_writable(foreign, ["trade"], named=True)
    idle = Settings.model_validate({"streams": {"trade": JSON_TRADE}, "pipeline": {"idle_after_ms": 5}})
    with pytest.raises(
        UsageError, match=r"its silent .*, since idle_after_ms is set; to let the last"
    ) as told:
        require_writable(idle, ["trade", "quote"], named=False)
    assert str(told.value).endswith("name the streams: --stream trade --stream quote")
    require_writable(settings(), ["trade", "quote"], named=False)


def test_a_time_that_workers_would_take_for_a_wrong_clock_is_refused() -> None:
    require_near(settings(), 11 * NS_PER_S, 10 * NS_PER_S, ahead=True)
    with pytest.raises(UsageError, match=r"lies 1.5 s ahead .* pipeline.max_ahead_ns is 1 s:"):
        require_near(settings(), 11_500_000_000, 10 * NS_PER_S, ahead=True)


def test_a_time_ahead_of_the_clock_makes_all_rows_late_and_has_to_be_meant() -> None:
    require_near(Settings(), 10 * NS_PER_S, 10 * NS_PER_S, ahead=False)
    with pytest.raises(UsageError, match=r"lies 1.5 s ahead .*every row until then would be late.*--ahead"):
        require_near(Settings(), 11_500_000_000, 10 * NS_PER_S, ahead=False)
    require_near(Settings(), 11_500_000_000, 10 * NS_PER_S, ahead=True)


def test_where_the_inputs_say_what_is_too_far_ahead_the_record_is_not_said_to_count(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"max_ahead_ns": 5, "max_ahead_of": "inputs"})
    market.trade(6)
    send(market, 100)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    assert market.aligned() == []
    assert "more than 5 ns (pipeline.max_ahead_ns) beyond the newest row" in str(doubt_words(market.settings))
    assert doubt_words(settings()) is None
