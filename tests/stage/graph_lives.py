"""Lives of workers with a graph: what they are given, how they die, what they lose and what they leave."""

import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from app.process import failpoints
from app.reading.aligned import read_output
from app.worker.worker import Worker
from tests.stage.deaths import Death, buried, die_at
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition

SYMBOLS: Final = "ABCDEF"


def live(market: Market, times_ns: range) -> None:
    """Trades and quotes of all symbols, and signals where they are read; each is silent now and then."""
    signals = "signal" in market.settings.stream_names
    for time_ns in times_ns:
        for number, symbol in enumerate(SYMBOLS):
            if time_ns % (number + 2):
                market.quote(time_ns, symbol=symbol)
                market.trade(time_ns, symbol=symbol)
            if signals and time_ns % (number + 3) == 0:
                market.signal(time_ns, symbol=symbol)
    market.progress(times_ns.stop)


def rows_of(market: Market) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The rows of each output and partition, without duplicates, in order."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for name in market.pipeline.sinks(0):
        for partition in range(market.settings.bus.partitions):
            batches = read_output(market.pipeline, name, partition, wait=False)
            rows = [row for batch in batches for row in batch.to_pylist()]
            found[name, partition] = list({(r["left_offset"], r["left_index"]): r for r in rows}.values())
    return found


def uninterrupted(folder: Path, *, stop: int, **settings: Any) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """What one worker makes of the same rows that never dies."""
    market = Market(folder, **settings)
    for lower in range(1, stop, 10):
        live(market, range(lower, lower + 10))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    return rows_of(market)


def lose_disk(market: Market) -> None:
    """Local state is gone."""
    shutil.rmtree(market.settings.worker.state, ignore_errors=True)


def lose_all(market: Market) -> None:
    """The disk, and what is kept of nodes in their topic as well: only the aligned rows are left."""
    lose_disk(market)
    for partition in range(market.settings.bus.partitions):
        source = TopicPartition(market.settings.topic("state"), partition)
        market.bus.delete_before(source, market.bus.admin().ranges([source])[source].high)


def run_on(market: Market, times_ns: range, slot: str = "0") -> None:
    """A life: rows come, and a worker takes them until nothing is left to do."""
    live(market, times_ns)
    with closing(market.worker(slot)) as worker:
        turn_until_quiet(worker)


def die(market: Market, worker: Worker, point: str) -> None:
    """Let the worker die at this point of its next commit."""
    failpoints.arm(partial(die_at, point))
    try:
        with pytest.raises(Death):
            worker.commit()
    finally:
        failpoints.arm(None)
    buried(market, worker)


def each_death(losses: dict[str, Callable[[Market], None]]) -> Callable[[Any], Any]:
    """Mark a test to be run for every point to die at, either guarantee, and each of these losses."""
    points = [failpoints.COMMIT_BEGIN, failpoints.COMMIT_END, failpoints.COMMIT_STATE]

    def marked(test: Any) -> Any:
        for mark in (
            pytest.mark.parametrize("lose", list(losses.values()), ids=list(losses)),
            pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"]),
            pytest.mark.parametrize("point", points),
        ):
            test = mark(test)
        return test

    return marked


def lose_nothing(_: Market) -> None:
    """All is still there."""


LOSSES: Final = {"all": lose_all, "disk": lose_disk, "nothing": lose_nothing}
OF_THE_DISK: Final = {"disk": lose_disk, "nothing": lose_nothing}  # nodes on streams need their topic


def require_death_changes_nothing(
    folder: Path, graph: Any, point: str, guarantee: str, lose: Callable[[Market], None], **more: Any
) -> Market:
    """A worker that dies at this point gives the rows of one life; returns the market it worked in.

    `more` are settings of the market.
    """
    worker = {"guarantee": guarantee, "frame_rows_max": 7}
    settings: dict[str, Any] = {"graph": graph, "worker": worker, **more}
    market = Market(folder / "mortal", **settings)
    run_on(market, range(1, 11))
    live(market, range(11, 21))
    doomed = market.worker()
    turn_until_quiet(doomed)
    die(market, doomed, point)
    lose(market)
    run_on(market, range(21, 31))
    assert rows_of(market) == uninterrupted(folder / "one", stop=31, **settings)
    return market


def require_state_behind_is_brought_up(folder: Path, graph: Any) -> None:
    """Local state that is older than the commit gives the rows of one life."""
    settings = {"graph": graph, "worker": {"checkpoint_interval_ms": 1}}
    market = Market(folder / "behind", **settings)
    run_on(market, range(1, 11))
    older = folder / "older"
    shutil.copytree(market.settings.worker.state, older)
    run_on(market, range(11, 21))
    lose_disk(market)
    shutil.copytree(older, market.settings.worker.state)
    run_on(market, range(21, 31))
    assert rows_of(market) == uninterrupted(folder / "one", stop=31, **settings)


def require_moved_tasks_go_on(folder: Path, graph: Any) -> None:
    """Tasks that move between workers without a disk give the rows of one life."""
    settings = {"graph": graph, "partitions": 3}
    market = Market(folder / "moving", **settings)
    live(market, range(1, 11))
    first = market.worker("0")
    turn_until_quiet(first)
    second = market.worker("1")
    turn_until_quiet(first, second)
    live(market, range(11, 21))
    turn_until_quiet(first, second)
    lose_disk(market)
    first.close()
    lose_disk(market)
    live(market, range(21, 31))
    turn_until_quiet(second)
    second.close()
    assert rows_of(market) == uninterrupted(folder / "one", stop=31, **settings)


def require_lost_nodes_are_made_anew(folder: Path, graph: Any) -> None:
    """Nodes that lost all they remember give the rows of one life."""
    market = Market(folder / "lost", graph=graph)
    for lower in range(1, 51, 10):
        run_on(market, range(lower, lower + 10))
    lose_all(market)
    run_on(market, range(51, 61))
    assert rows_of(market) == uninterrupted(folder / "one", stop=61, graph=graph)
