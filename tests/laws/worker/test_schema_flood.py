"""A flood of schema ids that nobody knows stops nobody: the loop beats, and rows behind it are joined."""

import itertools
from pathlib import Path

from app.wiring.pipeline import Pipeline
from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.stage.market import Market
from tests.stage.scrapes import watched
from tests.stage.turns import turn_until_quiet
from topics.registry.folder import FileRegistry
from topics.registry.unknown import UnknownIds

IDS = 20_000  # as many as one poll brings
ANSWER_NS = 5 * NS_PER_MS


class Slow(FileRegistry):
    """A registry that takes its time for each answer, by the market's clock."""

    def __init__(self, market: Market) -> None:
        super().__init__(Path(market.settings.bus.schema_registry))
        self.asked = 0
        self._market = market

    def schema(self, schema_id: int) -> str:
        self.asked += 1
        self._market.elapsed_ns += ANSWER_NS
        return super().schema(schema_id)


def test_twenty_thousand_unknown_ids_in_one_poll_leave_no_second_without_a_beat(tmp_path: Path) -> None:
    market = Market(tmp_path)
    registry = Slow(market)

    def pause(seconds: float) -> None:
        market.elapsed_ns += int(seconds * NS_PER_S)

    ids = UnknownIds(registry, lambda: market.elapsed_ns, pause)
    market.pipeline = Pipeline(market.settings, market.bus, ids, market.pipeline.formats)
    scene = watched(market)
    beats: list[int] = []
    scene.ledger.heart.on_beat = lambda: beats.append(market.elapsed_ns)
    for number in range(IDS):
        schema_id = 2**31 - 1 - number
        market.send("trade", b"A", b"\0" + schema_id.to_bytes(4, "big") + b"row")
    market.quote(1)
    market.trade(2)
    market.progress(NS_PER_S)
    turn_until_quiet(scene.worker)
    scene.worker.commit()
    assert registry.asked >= IDS
    assert beats[-1] - beats[0] > IDS * ANSWER_NS / 2, "the questions took their time"
    gaps = [after - before for before, after in itertools.pairwise(beats)]
    assert max(gaps) < NS_PER_S
    assert len(market.messages("dead")) == IDS
    assert market.aligned() == [(2, 1)]
