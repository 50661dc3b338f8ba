"""Local state is a cache: whatever is deleted, cut short or flipped in it, the rows come out the same."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from schemas.frame import decode_frame
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.memory.consumer import MemoryConsumer

Rows = list[dict[str, object]]
SYMBOLS = ("A", "BB", "CCC")
FLIPS = (0.05, 0.5, 0.999)  # where in the file, as shares of it
KINDS = (
    "CURRENT",
    "IDENTITY",
    "LOCK",
    "LOG*",
    "MANIFEST-*",
    "OPTIONS-*",
    "*.sst",
    "*.log",
    "rocksdict-config.json",
)


def deleted(file: Path) -> None:
    file.unlink()


def cut_short(share: float) -> Callable[[Path], None]:
    def cut(file: Path) -> None:
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    return cut


def flipped(share: float) -> Callable[[Path], None]:
    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        if content:
            content[int(len(content) * share)] ^= 0xFF
            file.write_bytes(content)

    return flip


DAMAGES = {
    "deleted": deleted,
    "emptied": cut_short(0.0),
    "cut in half": cut_short(0.5),
    **{f"flipped at {share}": flipped(share) for share in FLIPS},
}


def live(market: Market, lower_ns: int) -> None:
    """Publish ten nanoseconds of the market; a trade waits at their end, and some symbols say nothing."""
    for symbol in SYMBOLS:
        if (len(symbol) + lower_ns // 10) % 3:
            market.quote(lower_ns, lower_ns + 4, symbol=symbol)
        market.trade(lower_ns + 2, lower_ns + 9, symbol=symbol)
    market.progress(lower_ns + 8)


def three_lives(folder: Path, harm: Callable[[Path], None]) -> Rows:
    """The aligned rows of a worker that stops, is killed, finds its state harmed, and comes to the end.

    The state of the second life is tables of the first and a log that nobody has folded into them.
    """
    market = Market(folder, worker={"checkpoint_interval_ms": 1, "last_known_interval_ms": 1})
    for life in range(2):
        worker = market.worker()
        for step in range(3):
            live(market, (life * 3 + step) * 10)
            turn_until_quiet(worker)
            market.pass_commit_interval()
            worker.commit()
        if life == 0:
            worker.close()
    state, left = market.pipeline.state_path(0), folder / "as a kill leaves it"
    shutil.copytree(state, left)
    assert isinstance(worker.consumer, MemoryConsumer)
    market.bus.evict(worker.consumer)
    for task in worker.tasks.values():
        task.close()
    shutil.rmtree(state)
    harm(left)
    shutil.move(left, state)
    last = market.worker()
    live(market, 60)
    market.progress(100, final=True)
    turn_until_quiet(last)
    last.close()
    frames = [decode_frame(frame.value) for frame in market.messages("aligned")]
    return [row for rows in frames for row in rows.to_pylist()]


@cache
def unharmed() -> tuple[Rows, tuple[str, ...]]:
    """The rows without any harm, and the files there were."""
    files: list[str] = []
    with TemporaryDirectory() as folder:
        rows = three_lives(
            Path(folder), lambda state: files.extend(file.name for file in sorted(state.iterdir()))
        )
    return rows, tuple(files)


def test_the_state_that_is_harmed_has_every_kind_of_file() -> None:
    rows, files = unharmed()
    assert len(rows) == len({(row["event_ns"], row["symbol"]) for row in rows}) == 7 * 2 * len(SYMBOLS)
    assert all(any(Path(name).match(kind) for name in files) for kind in KINDS), files
    assert [name for name in files if not any(Path(name).match(kind) for kind in KINDS)] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_harmed_file_of_the_state_changes_no_row(tmp_path: Path, kind: str, damage: str) -> None:
    def harm(state: Path) -> None:
        for file in sorted(state.glob(kind)):
            DAMAGES[damage](file)

    assert three_lives(tmp_path, harm) == unharmed()[0]


def test_state_that_is_gone_altogether_changes_no_row(tmp_path: Path) -> None:
    def harm(state: Path) -> None:
        for file in state.iterdir():
            file.unlink()

    assert three_lives(tmp_path, harm) == unharmed()[0]
