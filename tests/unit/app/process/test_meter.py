"""A long reading is told in a few lines where nobody watches, and drawn where somebody does."""

import io
import shutil
from pathlib import Path

import structlog
from rich.console import Console

from app.process.meter import SHORT, Meter
from app.worker.rereading import Rereading
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan
from schemas.clocks import BEGINNING_NS
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def test_a_long_reading_is_four_lines_however_many_steps_it_takes() -> None:
    meter = Meter(Console(file=io.StringIO()))
    with structlog.testing.capture_logs() as lines, meter.reading("rows", 0, SHORT) as seen:
        for reached in range(0, SHORT + 1, 100):
            seen(reached)
    assert [line["offset"] for line in lines] == [SHORT * quarter // 4 for quarter in (1, 2, 3, 4)]


def test_a_short_reading_says_nothing() -> None:
    meter = Meter(Console(file=io.StringIO()))
    with structlog.testing.capture_logs() as lines, meter.reading("rows", 7, SHORT) as seen:
        seen(SHORT)
    assert lines == []


def test_on_a_terminal_it_is_a_bar() -> None:
    drawn = io.StringIO()
    with Meter(Console(file=drawn, force_terminal=True)).reading("last rows", 0, SHORT) as seen:
        seen(SHORT)
    assert "last rows" in drawn.getvalue()


def test_inputs_are_read_again_from_the_restart_offset_to_where_they_had_been_read(tmp_path: Path) -> None:
    market = Market(tmp_path)
    for time_ns in (5, 6, 7):
        market.trade(time_ns)
    first = market.worker()
    turn_until_quiet(first)
    first.close()
    shutil.rmtree(market.settings.worker.state)
    second = market.worker()
    second.turn()
    (task,) = second.tasks.values()
    reading = task.readings["tidemark.trade"]
    assert (reading.start, reading.reread(), reading.to_reread()) == (0, 3, 3)
    second.close()


def test_what_is_read_again_is_told_over_all_inputs(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    (task,) = worker.tasks.values()
    ahead = InputProgress(0, SHORT, BEGINNING_NS)
    for reading in task.readings.values():
        reading.opened = ahead
    task.operator = market.pipeline.operator()
    committed = TaskProgress(inputs={"trade": ahead, "quote": ahead})
    task.operator.resume(ResumePlan(committed, {"trade": 0, "quote": 0}))
    shown = Rereading(Meter(Console(file=io.StringIO())))
    with structlog.testing.capture_logs() as lines:
        for now in (0, SHORT // 2, SHORT):
            task.readings["tidemark.trade"].next_offset = now
            shown.show([task])
        shown.close()
    assert [(line["offset"], line["of"]) for line in lines] == [(SHORT // 2, 2 * SHORT), (SHORT, 2 * SHORT)]
    worker.close(failed=True)
