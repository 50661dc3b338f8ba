"""Why nothing comes out: each thing that can hold a task is told apart, from outside, in one sentence."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from app.errors import RunError
from app.process.clock import now_ns
from app.watch.rules import RuleReport, rule_report
from app.watch.tails import with_tails
from app.watch.view import as_json, screen
from app.watch.watermarks import Picture, Watch, look
from app.watch.words import Answer, age_words, answer, clock_words, size_words
from app.worker.worker import Worker
from schemas.clocks import BEGINNING_NS, NS_PER_DAY, NS_PER_S
from schemas.rule import parse_rule
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.bus import Position

LATER_NS = 60 * NS_PER_S  # long after the last commit: what still moves then is stuck


def picture_of(market: Market, later_ns: int = LATER_NS, watch: Watch | None = None) -> Picture:
    return look(market.bus.admin(), market.settings, now_ns() + later_ns, watch)


def answer_of(market: Market, later_ns: int = LATER_NS) -> Answer:
    picture = picture_of(market, later_ns)
    return answer(picture.tasks[0], picture)


def at_work(market: Market) -> Worker:
    market.wall_ns = now_ns()
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    return worker


def test_a_task_without_data_says_so(tmp_path: Path) -> None:
    said = answer_of(Market(tmp_path))
    assert said == Answer("empty", "task 0 has no data at all: trade[0] and quote[0] are empty")


def test_a_task_that_no_worker_owns_says_what_lies_unread(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.quote(1)
    market.quote(2)
    said = answer_of(market)
    assert said.verdict == "unowned"
    assert "owned by no worker: messages unread: 2 on quote[0]; start one" in said.sentence


def test_a_quiet_input_is_named_with_its_newest_row_its_watermark_and_what_waits(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"grace_ns": 5 * NS_PER_S})
    market.quote(90 * NS_PER_S)
    market.trade(*range(100 * NS_PER_S, 200 * NS_PER_S, NS_PER_S))
    market.progress(300 * NS_PER_S, "trade")
    at_work(market)
    said = answer_of(market)
    assert said.verdict == "quiet"
    assert said.sentence.startswith(
        "task 0 waits for quote[0]: newest row 1970-01-01 00:01:30.000000000, "
        "watermark 1970-01-01 00:01:25.000000000 (grace 5 s); nothing has arrived for 60"
    )
    assert said.sentence.endswith("; 100 trade rows wait")


def test_an_input_that_never_spoke_is_told_from_one_that_is_quiet(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    at_work(market)
    assert answer_of(market) == Answer(
        "silent",
        "task 0 waits for quote[0]: it has brought neither a row nor a progress record yet; "
        "1 trade row waits",
    )


def test_a_worker_that_does_not_come_on_is_behind(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    market.quote(1)
    at_work(market)
    for time_ns in range(2, 9):
        market.quote(time_ns)
    picture = with_tails(picture_of(market), market.pipeline)
    said = answer(picture.tasks[0], picture)
    assert said.verdict == "lag"
    assert "tidemark-0 is behind on quote[0]: 7 messages unread up to 1970-01-01 00:00:00.000000008" in (
        said.sentence
    )


def test_an_open_transaction_is_told_with_what_it_hides(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    market.quote(1)
    at_work(market)
    producer = market.bus.producer(transactional_id="upstream")
    producer.begin()
    value = market.block("quote", [5])
    producer.produce(market.settings.topic("quote"), partition=0, key=b"A", value=value)
    said = answer_of(market)
    assert said.verdict == "transaction"
    assert "an open transaction on quote[0]: it hides 1 offset from 1 on" in said.sentence
    producer.commit()
    assert answer_of(market).verdict == "lag"


def test_a_paused_input_is_told_with_what_it_holds_and_for_whom(tmp_path: Path) -> None:
    market = Market(tmp_path, worker={"buffer_size_max": 1, "poll_messages_max": 2})
    market.progress(1, "trade")
    for time_ns in range(2, 20):
        market.quote(time_ns)
    worker = at_work(market)
    assert worker.tasks[0].paused
    said = answer_of(market)
    assert said.verdict == "paused"
    assert said.sentence.startswith("task 0: quote[0] is paused at its limit of memory (")
    assert " until trade[0] goes on: watermark 1970-01-01 00:00:00.000000001 (grace 0 ns)" in said.sentence


def test_a_period_that_has_ended_is_done_and_only_while_nothing_follows(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    market.progress(5, final=True)
    worker = at_work(market)
    worker.close()
    assert answer_of(market).verdict == "final", "a group that is gone is done too"
    market.trade(6)
    assert answer_of(market).verdict == "unowned"


def test_a_frontier_that_rose_just_now_runs(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1, 4)
    market.quote(3)
    market.progress(3, "trade")
    at_work(market)
    assert answer_of(market, later_ns=0).verdict == "running"
    assert answer_of(market).verdict == "quiet"


def test_a_task_that_emitted_all_there_is_waits_for_nothing(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    market.progress(3)
    at_work(market)
    assert answer_of(market).verdict == "clear"


def test_a_task_whose_inputs_are_all_idle_says_that_its_frontier_stands_still(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"idle_after_ms": 1})
    market.trade(1, 5)
    market.quote(3)
    worker = at_work(market)
    market.elapsed_ns += NS_PER_S
    turn_until_quiet(worker)
    worker.commit()
    picture = picture_of(market)
    said = answer(picture.tasks[0], picture)
    assert said.verdict == "idle"
    assert said.sentence == (
        "task 0: all its inputs are idle (trade[0] and quote[0]), so its frontier stands still at 1970-01-01 "
        "00:00:00.000000003; 1 trade row waits; a row or a progress record (`python -m app progress`) "
        "moves it"
    )
    shown = io.StringIO()
    Console(file=shown, width=200).print(screen(picture))
    assert " · all inputs idle · " in shown.getvalue()


def test_a_worker_whose_clock_is_ahead_of_ours_was_seen_a_moment_ago(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    market.quote(1)
    at_work(market)
    market.quote(2)
    sentence = answer_of(market, later_ns=-LATER_NS).sentence
    assert "last seen to read 0 ns ago" in sentence


def test_a_rebalance_under_way_is_waited_for(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(1)
    at_work(market)
    market.worker("1")
    assert answer_of(market) == Answer(
        "rebalancing", "task 0 waits for a rebalance of the group's 2 members to end"
    )


def test_one_task_that_is_held_does_not_hide_that_another_runs(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    for symbol in ("A", "D"):  # one in each partition
        market.trade(1, 2, symbol=symbol)
    market.quote(9, symbol="A")
    market.progress(9, "trade")
    at_work(market)
    picture = picture_of(market)
    assert [answer(task, picture).verdict for task in picture.tasks] == ["clear", "silent"]
    assert [task.holder.name for task in picture.tasks] == ["trade[0]", "quote[1]"]
    assert [task.owners for task in picture.tasks] == [("tidemark-0",)] * 2


def test_a_second_look_knows_since_when_a_log_has_not_grown() -> None:
    watch, source = Watch(), TopicPartition("quote", 0)
    assert [
        watch.log_unchanged_ns(source, high, now) for high, now in ((5, 10), (5, 20), (6, 30), (6, 40))
    ] == [
        0,
        10,
        30,
        30,
    ]


def test_a_second_look_knows_when_a_frontier_rose() -> None:
    watch = Watch()
    assert [watch.frontier_moved_ns(0, at, now) for at, now in ((5, 10), (5, 20), (6, 30), (6, 40))] == [
        0,
        0,
        30,
        30,
    ]


def test_late_and_dead_rows_and_sizes_are_shown_to_people_and_programs_alike(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    market.quote(5)
    market.trade(1, 9)
    market.progress(7, "trade")
    turn_until_quiet(worker)
    market.trade(2)
    market.send("quote", b"A", b"garbage")
    turn_until_quiet(worker)
    worker.commit()
    told = as_json(picture_of(market))
    (task,) = told["tasks"]
    trade, quote = task["inputs"]
    assert json.loads(json.dumps(told)) == told
    assert (task["dead_rows"], trade["late_rows"], trade["rows_waiting"]) == (1, 1, 1)
    assert (task["frontier_ns"], task["held_by"]["stream"], quote["newest_ns"]) == (5, "quote", 5)
    assert trade["bytes_waiting"] > 0
    shown = io.StringIO()
    picture = picture_of(market)
    Console(file=shown, width=200).print(screen(picture))
    lines = shown.getvalue().splitlines()
    assert lines[0].startswith("group tidemark: stable, 1 worker, at 20")
    assert lines[-1] == answer(picture.tasks[0], picture).sentence
    shown = io.StringIO()
    Console(file=shown, width=200).print(screen(picture, answers_first=True))
    assert shown.getvalue().splitlines()[1] == lines[-1]


def test_a_foreign_commit_is_refused_by_name(tmp_path: Path) -> None:
    market = Market(tmp_path)
    topic = market.settings.topic("quote")
    reader = market.bus.consumer(group="tidemark")
    reader.assign({TopicPartition(topic, 0): 0})
    producer = market.bus.producer(transactional_id="foreign")
    producer.begin()
    producer.send_offsets({TopicPartition(topic, 0): Position(0, "mine")}, reader)
    producer.commit()
    with pytest.raises(RunError, match=r"tidemark.quote\[0\]: .* not written by this program"):
        picture_of(market)


def test_times_are_in_utc_to_the_nanosecond_with_the_date_only_of_another_day() -> None:
    noon_ns = 20_000 * NS_PER_DAY + NS_PER_DAY // 2
    assert clock_words(noon_ns + 1, noon_ns) == "12:00:00.000000001"
    assert clock_words(noon_ns - NS_PER_DAY, noon_ns) == "2024-10-03 12:00:00.000000000"
    assert clock_words(BEGINNING_NS, noon_ns) == "none yet"
    assert age_words(noon_ns - 3 * NS_PER_S, noon_ns) == "3 s"
    assert age_words(noon_ns - 2 * NS_PER_DAY, noon_ns) == ""
    assert [size_words(size) for size in (0, 1_023, 1_024, 1 << 30)] == [
        "0 bytes",
        "1,023 bytes",
        "1 KiB",
        "1 GiB",
    ]


def changed_for(market: Market, tolerance_ns: int) -> None:
    """Another tolerance, for workers made from now on."""
    pipeline = market.settings.pipeline.model_copy(update={"tolerance_ns": tolerance_ns})
    market.settings = market.settings.model_copy(update={"pipeline": pipeline})
    market.pipeline = market.plan(market.settings)


def test_tasks_that_seal_by_several_rules_are_named_with_each_and_that_of_the_settings(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path, partitions=4, pipeline={"tolerance_ns": 5 * NS_PER_S})
    market.progress(10)
    worker = market.worker("0")
    turn_until_quiet(worker)
    assert replace(picture_of(market), rule=market.pipeline.rule).rules is None
    changed_for(market, NS_PER_S // 2)
    other = market.worker("1")
    turn_until_quiet(worker, other)
    market.pass_commit_interval()
    turn_until_quiet(worker, other)
    picture = replace(picture_of(market), rule=market.pipeline.rule)
    rules = {task.number: parse_rule(task.rule).tolerance_ns for task in picture.tasks}
    slow = [number for number in range(4) if rules[number] == 5 * NS_PER_S]
    fast = [number for number in range(4) if rules[number] == NS_PER_S // 2]
    assert (len(slow), len(fast)) == (2, 2)
    words = (
        f"tasks {slow[0]}, {slow[1]} seal by tolerance 5 s, tasks {fast[0]}, {fast[1]} by tolerance 500 ms "
        "(these settings say tolerance 500 ms)"
    )
    ordered = slow[0] == 0
    if not ordered:
        words = (
            f"tasks {fast[0]}, {fast[1]} seal by tolerance 500 ms, tasks {slow[0]}, {slow[1]} by tolerance "
            "5 s (these settings say tolerance 500 ms)"
        )
    assert picture.rules == RuleReport(words, mixed=True)
    shown = io.StringIO()
    Console(file=shown, width=300).print(screen(picture))
    assert words in shown.getvalue()
    assert as_json(picture)["rules"] == {"words": words, "mixed": True}
    worker.close()
    other.close()


def test_rules_that_read_alike_are_told_apart_and_one_that_is_unknown_is_shown() -> None:
    rule = parse_rule("event backward exact row tolerance=none columns=00000000 keys=00000000")
    wider = replace(rule, columns="11111111")
    report = rule_report({0: str(rule), 1: "", 2: str(rule)}, wider)
    assert report == RuleReport(
        "tasks 0, 2 seal by tolerance none and columns 00000000 (these settings say tolerance none and "
        "columns 11111111); the columns differ, since a schema or the settings have others by now: a worker "
        "takes them up as it starts",
        mixed=False,
    )
    later = rule_report({0: "sideways"}, None)
    assert later is None
    later = rule_report({0: "sideways"}, rule)
    assert later is not None
    assert later.words.startswith("task 0 seals by a rule of a later version (sideways) (these settings say")
