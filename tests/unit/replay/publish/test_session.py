"""What a command that publishes says before, and after; and what another registry needs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.commands import publish as command
from replay.errors import PublishError
from replay.publish.session import Target, publish
from replay.store.days import HistoryStore
from schemas.clocks import NS_PER_MS
from tests.stage.days import DATE, NOON_NS, keep_day
from tests.stage.programs import App
from tests.stage.topic_reader import read_topic, rows_in
from topics.avro.progress import PROGRESS_SUBJECT
from topics.bus import BusError, TopicSpec
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry

PARTITIONS = 2
ROWS = 20


class Scene:
    """A day of trades and quotes, an embedded bus with their topics, and a command that publishes."""

    def __init__(self, tmp_path: Path, streams: Mapping[str, str]) -> None:
        self.folder, self.topics, self.bus = tmp_path, streams, MemoryBus()
        specs = [TopicSpec(name=name, partitions=PARTITIONS, configs={}) for name in streams.values()]
        self.bus.admin().create(specs)
        self.store = tmp_path / "history"
        self.days = [self._day(stream) for stream in streams]

    def _day(self, stream: str) -> Any:
        columns: dict[str, Any] = {
            "event_ns": [NOON_NS + row * NS_PER_MS for row in range(ROWS)],
            "symbol": ["AB"[row % 2] for row in range(ROWS)],
            "venue": ["X" if row else None for row in range(ROWS)],
        }
        return keep_day(HistoryStore(self.store), stream, columns)

    def publish(self, registry: str = "schemas", **changes: Any) -> int:
        given: dict[str, Any] = {
            "bus": self.bus,
            "registry": str(self.folder / registry),
            "registry_settings": {},
            "topics": self.topics,
            "keys": {},
            "grace_ns": 0,
            "clock": "event",
            "run": "first",
        }
        return publish(self.days, Target(**{**given, **changes}), shape="block", speed=None)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, {"trade": "t.trade", "quote": "t.quote"})


def test_it_says_where_rows_and_schemas_go(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene.publish() == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"embedded: t.trade, t.quote; schemas in folder {scene.folder / 'schemas'}"
    assert err == ""


def test_schemas_are_registered_where_nothing_is_left_to_publish(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.publish("first")
    scene.publish("second")
    first, second = FileRegistry(scene.folder / "first"), FileRegistry(scene.folder / "second")
    for subject in ("t.trade-value-block", "t.quote-value-block", PROGRESS_SUBJECT):
        assert second.latest(subject) == first.latest(subject) is not None
    said = capsys.readouterr().out
    assert f"trade: 0 rows published, {ROWS} before" in said
    assert "run first has published 2024-01-15; its schemas are registered." in said
    assert "Workers join it once more after `python -m app reset`; under another --run" in said


def test_a_day_that_will_be_late_is_told_before_it_is_published(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.publish()
    scene.publish(run="again")
    err = capsys.readouterr().err
    assert err.startswith(f"warning: {2 * ROWS} of {2 * ROWS} rows will be late: progress records")
    assert "nothing below 2024-01-16T05:00:00.000000000Z follows" in err
    assert (
        "joined once more after `python -m app reset`; an earlier day needs topics of another prefix" in err
    )


def test_one_topic_that_is_not_complete_makes_nothing_late(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.publish(topics={"trade": "t.trade"})
    scene.publish(run="again")
    assert capsys.readouterr().err == ""


def test_rows_have_the_key_that_the_settings_name_and_none_without_one(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.publish(keys={"trade": ("venue", "symbol")}, topics={"trade": "t.trade"})
    messages = read_topic(scene.bus, FileRegistry(scene.folder / "schemas"), "t.trade", PARTITIONS)
    assert {message.key for message in messages if not message.progress} == {b"X:A", b"X:B"}
    assert len(rows_in(messages)) == ROWS - 1
    assert "trade: 1 rows refused: no venue, which is in the key" in capsys.readouterr().out


def test_a_key_that_the_history_lacks_is_refused_with_its_columns(scene: Scene) -> None:
    with pytest.raises(PublishError, match=r"streams.trade.key names market, .* event_ns, symbol, venue"):
        scene.publish(keys={"trade": ("market",)})


def test_a_count_that_the_settings_do_not_have_is_refused(scene: Scene) -> None:
    with pytest.raises(BusError, match=r"have 2 partitions, and bus.partitions = 3"):
        scene.publish(partitions=3)


@pytest.fixture
def by_settings(
    tmp_path: Path, run_app: App, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Any, Scene]]:
    """Publishes with a settings file, over an embedded bus that stands for the broker."""

    def run(*flags: object) -> tuple[Any, Scene]:
        scene = Scene(tmp_path, {"trade": "md.trades", "quote": "deskA.quote"})
        monkeypatch.setattr(command, "open_kafka", lambda bootstrap, config: opened(scene, bootstrap))
        (tmp_path / "my.toml").write_text(
            f'[pipeline]\nprefix = "deskA"\n[bus]\nbootstrap = "its:1"\npartitions = {PARTITIONS}\n'
            f'schema_registry = "{tmp_path}/its"\n[streams.trade]\ntopic = "md.trades"\n'
            'key = ["venue"]\ngrace_ns = 5\n'
        )
        asked = ("publish", "--date", DATE, "--store", scene.store, "--config", tmp_path / "my.toml")
        return run_app(*asked, *flags), scene

    def opened(scene: Scene, bootstrap: str) -> MemoryBus:
        assert bootstrap == "its:1"
        return scene.bus

    return run


def test_a_settings_file_says_all_that_its_pipeline_needs(
    by_settings: Callable[..., tuple[Any, Scene]],
) -> None:
    answer, scene = by_settings()
    assert answer.code == 0, answer.err
    assert f"embedded: deskA.quote, md.trades; schemas in folder {scene.folder / 'its'}" in answer.out
    registry = FileRegistry(scene.folder / "its")
    keys = {name: keys_in(scene, registry, topic) for name, topic in scene.topics.items()}
    assert keys == {"trade": {b"X"}, "quote": {b"A", b"B"}}
    assert list(scene.bus.admin().group("deskA-publisher").committed)


def test_flags_win_over_the_settings(by_settings: Callable[..., tuple[Any, Scene]], tmp_path: Path) -> None:
    answer, scene = by_settings("--registry", tmp_path / "elsewhere", "--run", "other")
    assert answer.code == 0, answer.err
    assert f"schemas in folder {tmp_path / 'elsewhere'}" in answer.out
    assert list(scene.bus.admin().group("other-publisher").committed)


def keys_in(scene: Scene, registry: FileRegistry, topic: str) -> set[bytes | None]:
    messages = read_topic(scene.bus, registry, topic, PARTITIONS)
    assert all("run" in json.dumps(message.rows) for message in messages if message.progress)
    return {message.key for message in messages if not message.progress}
