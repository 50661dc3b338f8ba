"""A capture holds what live sealed from one commit to another, and its replay gives the same bits."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.capture.folder import Captured, partition_folder, read_rows
from app.capture.play import Played, Replay, played_lines
from app.capture.take import take_capture
from app.errors import RunError, UsageError
from app.process.failpoints import COMMIT_END
from schemas.clocks import NS_PER_S
from tests.stage.graph_lives import die, live, lose_disk, rows_of, run_on
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition

pytestmark = pytest.mark.takes_s(60)

# Nodes with and without topics, which look back over time, over rows, since the beginning; bars; a join with
# a stream; and what is behind those.
GRAPH: Mapping[str, Any] = {
    "base": {"from": "aligned", "features": {"wave": "50 + abs(quote_bid - 12)"}},
    "tick": {
        "from": "base",
        "features": {
            "slow": "ewma(wave, span=3, memory='genesis')",
            "soon": "rolling_sum(wave, '7ns')",
            "last": "rolling_mean(wave, rows=4)",
        },
        "out": {},
    },
    "bars": {
        "kind": "bars",
        "from": "tick",
        "every": {"time_ns": 4},
        "price": "wave",
        "size": "quote_bid",
        "out": {},
    },
    "quotes": {"from": "quote", "features": {"flow": "rolling_sum(bid, rows=3)"}, "out": {}},
    "both": {"kind": "asof", "from": "tick", "right": ["quotes"], "columns": {"quotes": ["flow"]}, "out": {}},
    "behind": {"from": "both", "features": {"more": "quotes_flow + slow"}, "out": {}},
}


def market_of(folder: Path, **settings: Any) -> Market:
    worker = {"frame_rows_max": 7, "state_interval_ms": 1, **settings.pop("worker", {})}
    return Market(folder, graph=GRAPH, worker=worker, partitions=2, **settings)


def captured(
    market: Market, edge: str, folder: Path, meanwhile: Callable[[], None] | None = None
) -> Captured:
    """A capture during which something happens; without it all there is."""

    def stopping() -> bool:
        assert meanwhile is not None
        meanwhile()
        return True

    length_ns = None if meanwhile is None else 100 * NS_PER_S
    said: list[str] = []
    return take_capture(
        market.pipeline, edge, folder, length_ns=length_ns, stopping=stopping, say=said.append
    )


def require_equal(played: list[Played]) -> None:
    for one in played:
        assert not one.apart, one.apart
        assert one.rolls == one.live, "its parity is that of the commits"


@pytest.mark.parametrize("edge", ["aligned", "quote", "behind", "bars"])
def test_a_replay_of_what_a_worker_sealed_while_it_died_gives_the_same_bits(
    tmp_path: Path, edge: str
) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 31))

    def meanwhile() -> None:
        live(market, range(31, 41))
        doomed = market.worker()
        turn_until_quiet(doomed)
        die(market, doomed, COMMIT_END)
        lose_disk(market)
        run_on(market, range(41, 52))

    taken = captured(market, edge, tmp_path / "capture", meanwhile)
    replay = Replay(tmp_path / "capture", None)
    played = replay.play()
    require_equal(played)
    assert all(one.live or one.node == "base" for one in played)
    assert all(one.rows for one in played)
    lower, upper = (sum(getattr(span, end).parity("quotes").rows for span in taken.spans) for end in ENDS)
    if edge in ("quote", "behind"):
        quotes = next(one for one in played if one.node == "quotes")
        assert (quotes.rows, 0 < lower < upper) == (upper - lower, True)


ENDS = ("lower", "upper")


def test_rows_of_a_capture_are_those_of_the_topics_from_place_to_place(tmp_path: Path) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 21))
    before = rows_of(market)
    taken = captured(market, "aligned", tmp_path / "capture", lambda: run_on(market, range(21, 31)))
    after = rows_of(market)
    for number, span in enumerate(taken.spans):
        folder = partition_folder(tmp_path / "capture", number)
        for name in ("aligned", "tick", "bars"):
            wanted = after[name, number][len(before[name, number]) :]
            file = "aligned" if name == "aligned" else f"live-{name}"
            assert read_rows(folder / f"{file}.arrow").to_pylist() == wanted
        last = after["aligned", number][-1]
        assert span.upper.through[0] == last["event_ns"]
        assert span.upper.through[2:] == (last["left_offset"], last["left_index"])


def test_all_from_the_beginning_is_captured_without_waiting(tmp_path: Path) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 31))
    captured(market, "behind", tmp_path / "capture")
    replay = Replay(tmp_path / "capture", "behind")
    played = replay.play()
    require_equal(played)
    assert sorted(one.node for one in played) == ["base", "behind", "both", "quotes", "tick"]
    rows = {name: len(rows) for name, rows in _by_name(rows_of(market)).items()}
    assert {one.node: one.rows for one in played if one.live} == {
        name: rows[name] for name in ("tick", "quotes", "both", "behind")
    }
    lines = list(played_lines(replay, played))
    assert lines[0] == f"aligned: {rows['aligned']:,} rows, and 0 before them"
    assert next(line for line in lines if line.startswith("  base")).endswith("no topic to compare with")
    assert "equal, parity " in lines[-1]


def _by_name(rows: Mapping[tuple[str, int], list[Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for (name, _), own in rows.items():
        found[name] = found.get(name, []) + own
    return found


def test_a_value_that_live_had_otherwise_is_named_with_its_row_its_column_and_both(tmp_path: Path) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 31))
    captured(market, "tick", tmp_path / "capture")
    settings = (tmp_path / "capture/settings.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(settings.replace("rows=4", "rows=5"))
    replay = Replay(tmp_path / "capture", "tick", other)
    played = replay.play()
    tick = played[-1]
    assert tick.changed
    first = next(row for row in rows_of(market)["tick", 0] if row["last"] is not None)
    assert tick.apart.startswith(f"tick.last: first at {first['symbol']} ")
    assert tick.apart.endswith(f": {first['last']!r} and null, live and here (partition 0)")
    lines = list(played_lines(replay, played))
    assert "differs; means something else than when it was captured" in lines[2]
    assert lines[-1] == tick.apart


def test_a_changed_graph_that_needs_older_rows_than_there_are_is_refused(tmp_path: Path) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 31))
    captured(market, "tick", tmp_path / "capture", lambda: run_on(market, range(31, 41)))
    other = tmp_path / "other.toml"
    text = (tmp_path / "capture/settings.toml").read_text()
    other.write_text(text.replace("span=3", "span=4"))
    with pytest.raises(UsageError, match="nodes need older rows of aligned than were captured"):
        Replay(tmp_path / "capture", "tick", other).play()


def test_what_cannot_be_captured_or_replayed_is_said_in_one_line(tmp_path: Path) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 21))
    for edge, words in (("tik", "no edge tik; tick"), ("trade", "no node of the graph hangs on trade alone")):
        with pytest.raises(UsageError, match=words):
            captured(market, edge, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    captured(market, "aligned", tmp_path / "capture")
    with pytest.raises(UsageError, match="is there already: name another folder"):
        captured(market, "aligned", tmp_path / "capture")
    with pytest.raises(UsageError, match="the graph has no node behind; there are base, tick, bars"):
        Replay(tmp_path / "capture", "behind")
    with pytest.raises(UsageError, match="aligned is where the capture begins"):
        Replay(tmp_path / "capture", "aligned")
    with pytest.raises(UsageError, match="name a folder that graph capture made"):
        Replay(tmp_path / "nothing", None)
    (tmp_path / "capture/capture.json").write_text('{"version": 9}')
    with pytest.raises(UsageError, match="it is of version 9, and this program reads 1"):
        Replay(tmp_path / "capture", None)
    once = market_of(tmp_path / "again", worker={"guarantee": "at_least_once"})
    with pytest.raises(UsageError, match="at_least_once"):
        captured(once, "aligned", tmp_path / "once")


def test_rows_that_retention_has_removed_are_named(tmp_path: Path) -> None:
    market = market_of(tmp_path / "market")
    run_on(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    for name in ("aligned", "quote"):
        source = TopicPartition(market.settings.topic(name), 0)
        market.bus.delete_before(source, 2)
    with pytest.raises(RunError, match="retention has removed those below offset 2"):
        captured(market, "aligned", tmp_path / "joined")
    with pytest.raises(RunError, match="rows from its beginning on are needed, and retention has removed"):
        captured(market, "quote", tmp_path / "quotes")
