"""What functions give comes out of workers as of one life, whatever dies, and whatever is lost with it."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.audit.topics import audit
from app.config import Settings
from app.process import failpoints
from app.reading.dead import read_letters
from schemas.letters import DEAD_FAILED_TILE
from tests.stage.graph_lives import (
    LOSSES,
    die,
    each_death,
    live,
    lose_disk,
    require_death_changes_nothing,
    require_lost_nodes_are_made_anew,
    require_moved_tasks_go_on,
    require_state_behind_is_brought_up,
    rows_of,
    run_on,
    uninterrupted,
)
from tests.stage.market import Market
from tests.stage.turns import turn_and_commit, turn_until_quiet

SOURCE = '''\
import numpy as np
import pyarrow as pa


def smooth(rows: pa.Table) -> pa.Table:
    """The mean bid of the last rows of each symbol, as many as the context has and one."""
    held = {}
    values = []
    for symbol, bid in zip(rows["symbol"].to_pylist(), rows["quote_bid"].to_pylist()):
        held[symbol] = [*held.get(symbol, []), bid or 0][-4:]
        values.append(sum(held[symbol]) / 4 if len(held[symbol]) == 4 else None)
    return pa.table({"mean": pa.array(values, pa.float64())})


def latest(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The largest bid of the symbol in the last 6 ns and the tile so far."""
    best = {}
    out = []
    for symbol, bid in zip(rows["symbol"], rows["bid"]):
        best[symbol] = max(best.get(symbol, 0), bid)
        out.append(float(best[symbol]))
    return {"top": np.array(out)}


def picky(rows: pa.Table) -> pa.Table:
    """Raises on some tiles."""
    if max(rows["event_ns"].to_pylist()) in (9, 17, 18, 19, 20, 21, 22, 23):
        raise ArithmeticError("no such bid")
    return pa.table({"one": pa.array([1] * len(rows), pa.int64())})


def greedy(rows: pa.Table) -> pa.Table:
    """Runs out of memory."""
    if max(rows["event_ns"].to_pylist()) > 11:
        raise MemoryError("of 8 TiB")
    return pa.table({"one": pa.array([1] * len(rows), pa.int64())})
'''


def graph(folder: Path, **more: Any) -> dict[str, Any]:
    """Functions over the join and over a stream, and what looks back at them."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "my_nodes.py"
    file.write_text(SOURCE)
    return {
        "smooth": {
            "from": "aligned",
            "function": f"{file}:smooth",
            "context": {"rows": 3},
            "tile_ns": 5,
            "returns": {"mean": "float64"},
            "reads": ["quote_bid"],
            "out": {"status": "column"},
        },
        "tops": {
            "from": "quote",
            "function": f"{file}:latest",
            "context": {"time_ns": 6},
            "tile_ns": 4,
            "returns": {"top": "float64"},
            "out": {},
        },
        "behind": {
            "from": "smooth",
            "features": {"slow": "rolling_mean(mean, rows=3)", "bid": "lag(quote_bid, rows=1)"},
            "out": {},
        },
        "seen": {
            "kind": "asof",
            "from": "behind",
            "right": ["tops"],
            "columns": {"tops": ["top"]},
            "out": {},
        },
        **more,
    }


def broken(folder: Path, name: str = "picky", **more: Any) -> dict[str, Any]:
    """A node whose function fails."""
    return {
        name: {
            "from": "aligned",
            "function": f"{folder / 'my_nodes.py'}:{name}",
            "tile_ns": 2,
            "returns": {"one": "int64"},
            "failures_max": 3,
            "out": {"status": "column"},
            **more,
        }
    }


def letters_of(market: Market) -> list[str]:
    letters = [
        stored
        for partition in range(market.settings.bus.partitions)
        for stored in read_letters(market.bus, market.settings, partition)
    ]
    assert all(stored.letter.error == DEAD_FAILED_TILE for stored in letters)
    return [stored.letter.reason for stored in letters]


def test_rows_of_a_tile_have_what_the_function_gives_for_it_and_its_context(tmp_path: Path) -> None:
    market = Market(tmp_path / "m", graph=graph(tmp_path))
    live(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    joined, smooth = rows["aligned", 0], rows["smooth", 0]
    # The last rows wait for the end of their tile.
    assert [row["event_ns"] for row in smooth] == [row["event_ns"] for row in joined if row["event_ns"] < 20]
    for symbol in "ABCDEF":
        bids = [row["quote_bid"] for row in joined if row["symbol"] == symbol]
        own = [row for row in smooth if row["symbol"] == symbol]
        for place, row in enumerate(own):
            wanted = sum(bids[place - 3 : place + 1]) / 4 if place >= 3 else None
            assert (row["mean"], row["mean_status"]) == (wanted, 2 if wanted is None else 0)


@each_death(LOSSES)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    market = require_death_changes_nothing(tmp_path, graph(tmp_path), point, guarantee, lose)
    assert audit(market.pipeline).violations == []


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, graph(tmp_path))


def test_functions_that_lost_all_are_made_anew_from_aligned_rows_and_streams(tmp_path: Path) -> None:
    require_lost_nodes_are_made_anew(tmp_path, graph(tmp_path))


def test_functions_give_the_same_over_partitions_that_move(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, graph(tmp_path))


@pytest.mark.parametrize("lose", [lose_disk, lambda _: None], ids=["disk", "nothing"])
def test_a_function_that_raises_nulls_its_tile_leaves_a_letter_and_goes_off(
    tmp_path: Path, lose: Callable[[Market], None]
) -> None:
    whole = graph(tmp_path)
    market = Market(tmp_path / "broken", graph={**whole, **broken(tmp_path)})
    for lower in range(1, 31, 10):
        run_on(market, range(lower, lower + 10))
        lose(market)
    rows = rows_of(market)
    by_status = {row["event_ns"]: row["one_status"] for row in rows["picky", 0]}
    assert by_status == {
        time_ns: 4 if time_ns in (8, 9, 16, 17, 18, 19, 20, 21) else 5 if time_ns > 21 else 0
        for time_ns in range(1, 30)
    }
    letters = letters_of(market)
    tiles = [letter.partition(", tile ")[2].partition(" with")[0] for letter in letters]
    assert tiles == ["8 to 10", "16 to 18", "18 to 20", "20 to 22"]
    assert all("ArithmeticError: no such bid" in letter for letter in letters)
    assert ["off from here on" in letter for letter in letters] == [False, False, False, True]
    assert audit(market.pipeline).violations == []
    alone = Market(tmp_path / "alone", graph=whole)
    for lower in range(1, 31, 10):
        run_on(alone, range(lower, lower + 10))
    assert {key: of for key, of in rows.items() if key[0] != "picky"} == rows_of(alone)
    replayed = uninterrupted(tmp_path / "again", stop=31, graph={**whole, **broken(tmp_path)})
    assert rows == replayed


def test_a_letter_has_the_traceback_and_is_written_once(tmp_path: Path) -> None:
    market = Market(tmp_path / "broken", graph={**graph(tmp_path), **broken(tmp_path)})
    run_on(market, range(1, 11))
    doomed = market.worker()
    live(market, range(11, 31))
    turn_until_quiet(doomed)
    die(market, doomed, failpoints.COMMIT_END)
    run_on(market, range(31, 41))
    stored = list(read_letters(market.bus, market.settings, 0))
    assert len({one.letter.offset for one in stored}) == len(stored) == 4
    assert stored[0].letter.topic == market.settings.topic("picky")
    text = (stored[0].original.value or b"").decode()
    assert text.splitlines()[0].startswith("  my_nodes.py:")
    assert text.endswith("ArithmeticError: no such bid")
    assert str(tmp_path) not in text


def test_a_function_out_of_memory_stops_the_worker_with_a_line(tmp_path: Path) -> None:
    graph(tmp_path)
    market = Market(tmp_path / "greedy", graph=broken(tmp_path, "greedy"))
    live(market, range(1, 21))
    worker = market.worker()
    with pytest.raises(Exception, match=r"node greedy, tile 12 to 14: MemoryError: of 8 TiB") as stopped:
        turn_and_commit(worker)
    assert type(stopped.value).__name__ == "TileError"
    assert letters_of(market) == []


def test_on_error_stop_stops_the_worker_with_a_line(tmp_path: Path) -> None:
    graph(tmp_path)
    market = Market(tmp_path / "picky", graph=broken(tmp_path, on_error="stop"))
    live(market, range(1, 21))
    worker = market.worker()
    with pytest.raises(Exception, match="tile 8 to 10: ArithmeticError: no such bid"):
        turn_and_commit(worker)


NODE = {"from": "aligned", "function": "my_nodes.py:f", "tile_ns": 5, "returns": {"y": "float64"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function": None, "kind": "function"}, "needs function"),
        ({"function": "my_nodes:f"}, "expected a file and a name"),
        ({"tile_ns": None}, "needs tile"),
        ({"tile_ns": 7_000_000_000}, "whole part of 15 minutes"),
        ({"returns": {}}, "needs returns"),
        ({"features": {"x": "1"}}, "has no features"),
        ({"context": {"rows": 65_537}}, "less than or equal to 65536"),
        ({"every": {"trades": 2}}, "is a key of bars"),
        ({"right": ["quote"]}, "is a key of a join"),
        ({"kind": "bars", "every": {"trades": 2}}, "is a key of a function"),
        ({"on_error": "null it"}, "'null' or 'stop'"),
    ],
)
def test_settings_of_functions_that_cannot_be_are_refused_with_their_key(
    change: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"graph": {"f": {**NODE, **change}}})
