"""A reset deletes what a pipeline made and nothing that it read, and the inputs give the same rows again."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.audit.topics import audit
from app.commands import reset
from app.config import Settings
from app.errors import UsageError
from app.reset.carry_out import await_members, carry_out
from app.reset.plan import ResetPlan, plan_reset
from app.task.metadata import Committed, to_position
from app.wiring.pipeline import topic_specs
from operators.inputs.progress import InputProgress
from schemas.frame import FrameHeaders
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition
from topics.bus import Admin, Position, TopicSpec
from topics.catalogue import apply, plan


def market_with_a_day(folder: Path) -> Market:
    """Trades and quotes of three keys, a late quote, and what is unreadable, over two partitions."""
    market = Market(folder, partitions=2)
    for symbol in ("A", "B", "C"):
        market.quote(*range(1, 40, 2), symbol=symbol)
        market.trade(*range(5, 40, 5), symbol=symbol)
    market.progress(50)
    market.quote(7)
    market.send("quote", b"A", b"garbage")
    market.trade(60)
    market.progress(100, final=True)
    return market


def join(market: Market) -> None:
    worker = market.worker(until_final=True)
    turn_until_quiet(worker)
    worker.close()


def outcome(market: Market) -> tuple[list[tuple[int, int | None]], str]:
    """The aligned rows, and the parity of the last frame."""
    frames = [FrameHeaders.from_kafka(message.headers) for message in market.messages("aligned")]
    return market.aligned(), frames[-1].parity


def planned(market: Market, *, inputs: bool = False) -> ResetPlan:
    return plan_reset(market.bus.admin(), market.settings, inputs=inputs)


def make_topics(market: Market) -> None:
    admin = market.bus.admin()
    apply(admin, plan(admin, topic_specs(market.settings)))


def exists(market: Market, name: str) -> bool:
    topic = market.settings.topic(name)
    return market.bus.admin().describe([topic])[topic] is not None


def test_a_day_is_joined_again_with_the_same_rows_and_parity(tmp_path: Path) -> None:
    market = market_with_a_day(tmp_path)
    join(market)
    before = outcome(market)
    assert len(before[0]) == 22
    found = planned(market)
    assert [load.name for load in found.outputs] == [
        f"tidemark.{n}" for n in ("aligned", "late", "dead", "last-known")
    ]
    assert [(group.name, group.offsets) for group in found.groups] == [("tidemark", 4)]
    assert [folder.name for folder in found.folders] == ["00000", "00001"]
    done: list[str] = []
    carry_out(market.bus.admin(), found, on_done=done.append)
    assert len(done) == 4 + 1 + 2
    assert planned(market).empty
    assert not any(exists(market, name) for name in market.settings.output_names)
    make_topics(market)
    join(market)
    assert outcome(market) == before
    assert audit(market.pipeline).violations == []


def test_inputs_and_what_publishers_committed_stay_unless_they_are_named(tmp_path: Path) -> None:
    market = market_with_a_day(tmp_path)
    place = TopicPartition(market.settings.topic("trade"), 0)
    reader = market.bus.consumer(group="tidemark-publisher")
    producer = market.bus.producer(transactional_id="tidemark-publisher")
    producer.begin()
    producer.send_offsets({place: Position(7, "published")}, reader)
    producer.commit()
    admin = market.bus.admin()
    rows = market.messages("trade")
    carry_out(admin, planned(market), on_done=lambda _: None)
    assert market.messages("trade") == rows
    assert admin.group("tidemark-publisher").committed == {place: Position(7, "published")}
    found = planned(market, inputs=True)
    assert [load.name for load in found.inputs] == ["tidemark.trade", "tidemark.quote"]
    carry_out(admin, found, on_done=lambda _: None)
    assert not exists(market, "trade")
    assert not exists(market, "quote")
    assert admin.group("tidemark-publisher").committed == {}
    assert planned(market, inputs=True).empty


def test_what_earlier_settings_kept_for_a_restart_goes_too_and_an_input_of_that_name_stays(
    tmp_path: Path,
) -> None:
    market = market_with_a_day(tmp_path)
    join(market)
    settings = market.settings.model_dump(exclude={"outputs", "graph"})
    bounded = Settings.model_validate({**settings, "pipeline": {**settings["pipeline"], "tolerance_ns": 5}})
    assert "last-known" not in bounded.output_names
    outputs = plan_reset(market.bus.admin(), bounded, inputs=False).outputs
    assert "tidemark.last-known" in [load.name for load in outputs]
    streams = {**settings["streams"], "quote": {"topic": "tidemark.last-known"}}
    shared = bounded.model_validate({**bounded.model_dump(exclude={"outputs", "graph"}), "streams": streams})
    found = plan_reset(market.bus.admin(), shared, inputs=False)
    assert "tidemark.last-known" in [load.name for load in found.kept]
    assert "tidemark.last-known" not in [load.name for load in found.outputs]


def test_the_group_of_another_pipeline_stays_whatever_that_is_named(tmp_path: Path) -> None:
    market = market_with_a_day(tmp_path)
    place = TopicPartition(market.settings.topic("trade"), 0)
    other = to_position(Committed(InputProgress(7, 7, 0), 0))
    market.bus.consumer(group="tidemark-publisher").commit({place: other})
    market.bus.consumer(group="tidemark").commit({place: Position(7, "")})
    found = planned(market, inputs=True)
    assert [group.name for group in found.groups] == ["tidemark"]
    assert found.notes == (
        "group tidemark-publisher is that of a pipeline of this prefix: it is left alone",
        "group tidemark has offsets that another program committed: they go with it",
    )


def test_an_input_that_others_named_is_told_as_what_they_would_lose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    market = market_with_a_day(tmp_path)
    theirs = {"streams": {"trade": {"topic": "md.trades"}}, "bus": {"partitions": 2}}
    settings = Settings.model_validate(theirs)
    market.bus.admin().create([TopicSpec(name="md.trades", partitions=2, configs={})])
    monkeypatch.setattr(reset, "load_settings", lambda *_: settings)
    monkeypatch.setattr(reset, "open_bus", lambda _: market.bus)
    reset.reset(inputs=True)
    lines = capsys.readouterr().out.splitlines()
    note = (
        "note    md.trades has its name from streams.trade.topic: if others write or read it, "
        "they lose it too"
    )
    assert lines[lines.index("delete  md.trades: 2 partitions, up to 0 messages, an input") + 1] == note
    assert [line for line in lines if "has its name from" in line] == [note]


class Dying:
    """An admin client whose process dies at its `calls`-th deletion, before that one is done."""

    def __init__(self, admin: Admin, calls: int) -> None:
        self._admin = admin
        self._left = calls

    def __getattr__(self, name: str) -> object:
        return getattr(self._admin, name)

    def delete(self, names: Sequence[str]) -> None:
        self._admin.delete(names[: len(names) // 2])
        self._count()
        self._admin.delete(names)

    def delete_group(self, name: str) -> None:
        self._count()
        self._admin.delete_group(name)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_reset_that_dies_half_way_is_finished_by_the_next_and_joins_nothing_twice(
    tmp_path: Path, calls: int
) -> None:
    market = market_with_a_day(tmp_path)
    join(market)
    before = outcome(market)
    dying: Admin = Dying(market.bus.admin(), calls)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        carry_out(dying, planned(market, inputs=calls == 3), on_done=lambda _: None)
    assert not exists(market, "aligned"), "workers do not start"
    carry_out(market.bus.admin(), planned(market), on_done=lambda _: None)
    assert planned(market).empty
    if calls < 3:
        make_topics(market)
        join(market)
        assert outcome(market) == before


def test_a_group_with_members_is_left_alone_and_they_are_named(tmp_path: Path) -> None:
    market = market_with_a_day(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    waited: list[str] = []
    with pytest.raises(UsageError, match="nothing was deleted: the group still has tidemark-0 on embedded"):
        await_members(lambda: planned(market), wait_s=0.6, on_wait=waited.append)
    assert waited == ["waiting up to 1 s for the group to count out tidemark-0 on embedded"]
    assert exists(market, "aligned")

    def look() -> ResetPlan:
        found = planned(market)
        worker.close()
        return found

    assert await_members(look, wait_s=5, on_wait=waited.append).members == ()


def test_only_folders_of_tasks_are_deleted(tmp_path: Path) -> None:
    market = market_with_a_day(tmp_path)
    join(market)
    own = market.settings.worker.state / "tidemark"
    (own / "00001-other-2").mkdir()
    (own / "notes").mkdir()
    carry_out(market.bus.admin(), planned(market), on_done=lambda _: None)
    assert [folder.name for folder in own.iterdir()] == ["notes"]
