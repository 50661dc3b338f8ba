"""A new id is waited for; what stays unknown costs a bounded time and few questions."""

from collections.abc import Callable

import pytest

from schemas.clocks import NS_PER_MS, NS_PER_S
from tests.stage.fakes import DictRegistry, GuidDictRegistry, guid_of_text
from topics.registry import unknown
from topics.registry.unknown import AGAIN_NS, UNKNOWN_NS, WAIT_NS, UnknownIds
from topics.wire import CodecError, OtherFormatError, RegistryUnavailableError, UnknownSchemaError


class Clock:
    """A clock that goes when a test says so, or when somebody waits; then `then` is called."""

    def __init__(self, then: Callable[[int], None] = lambda _: None) -> None:
        self.now_ns = 1_000
        self.waited_ns = 0
        self.then = then

    def __call__(self) -> int:
        return self.now_ns

    def pause(self, seconds: float) -> None:
        pause_ns = round(seconds * NS_PER_S)
        self.now_ns += pause_ns
        self.waited_ns += pause_ns
        self.then(self.waited_ns)


class Scene:
    """A registry that learns its first schema once `lag_ns` were waited, and what remembers its answers."""

    def __init__(self, lag_ns: int = 10**18) -> None:
        self.registry = DictRegistry()
        self.clock = Clock(lambda waited_ns: self.learn() if waited_ns >= lag_ns else None)
        self.ids = UnknownIds(self.registry, self.clock, self.clock.pause)

    def learn(self, schema: str = "{}") -> None:
        self.registry.register("any", schema)

    def is_unknown(self, schema_id: int) -> bool:
        try:
            self.ids.schema(schema_id)
        except UnknownSchemaError:
            return True
        return False


@pytest.mark.parametrize("lag_ns", [NS_PER_MS, AGAIN_NS, 350 * NS_PER_MS, WAIT_NS])
def test_no_message_is_lost_where_the_registry_lags_by_less_than_the_wait(lag_ns: int) -> None:
    scene = Scene(lag_ns)
    assert scene.ids.schema(1) == "{}"
    assert scene.clock.waited_ns < lag_ns + WAIT_NS / 2
    assert 2 <= scene.registry.asked <= 5


def test_a_wait_that_was_of_use_does_not_keep_the_next_id_from_being_waited_for() -> None:
    scene = Scene(AGAIN_NS)
    assert scene.ids.schema(1) == "{}"
    scene.clock.then = lambda _: scene.learn('{"a": 1}')
    assert scene.ids.schema(2) == '{"a": 1}'


def test_an_id_that_stays_unknown_is_asked_for_ever_more_rarely() -> None:
    scene, questions = Scene(), []
    assert scene.is_unknown(7)
    assert scene.clock.waited_ns == WAIT_NS
    assert scene.registry.asked == 5
    began_ns = scene.clock.now_ns
    for tick in range(1_200):  # two minutes of messages
        before = scene.registry.asked
        assert scene.is_unknown(7)
        if scene.registry.asked > before:
            questions.append(tick * AGAIN_NS)
        scene.clock.now_ns += AGAIN_NS
    assert scene.clock.waited_ns == WAIT_NS
    gaps = [after - before for before, after in zip([0, *questions], questions, strict=False)]
    expected = [min(AGAIN_NS * 2**n, UNKNOWN_NS) for n in range(len(gaps))]
    assert gaps == expected
    assert len(gaps) == 11
    assert scene.clock.now_ns - began_ns == 120 * NS_PER_S


def test_the_memory_says_what_the_registry_said() -> None:
    scene = Scene()
    for _ in range(2):
        with pytest.raises(UnknownSchemaError, match="no such id"):
            scene.ids.schema(7)


def test_an_id_that_becomes_known_is_read_from_the_next_question_on() -> None:
    scene = Scene()
    assert scene.is_unknown(1)
    scene.learn()
    scene.clock.now_ns += AGAIN_NS - 1
    assert scene.is_unknown(1)
    scene.clock.now_ns += 1
    assert scene.ids.schema(1) == "{}"


def test_a_flood_of_new_ids_is_waited_for_once_in_an_interval() -> None:
    """Each is asked for once, since to guess would make dead letters of good messages."""
    scene = Scene()
    for schema_id in range(1, 1_001):
        assert scene.is_unknown(schema_id)
    assert scene.clock.waited_ns == WAIT_NS
    assert scene.registry.asked == 1_004
    scene.clock.now_ns += UNKNOWN_NS - 1
    assert scene.is_unknown(2_000)
    assert scene.clock.waited_ns == WAIT_NS
    scene.clock.now_ns += 1
    assert scene.is_unknown(3_000)
    assert scene.clock.waited_ns == 2 * WAIT_NS


def test_unknown_ids_that_come_again_are_asked_for_ten_times_a_second_in_all() -> None:
    scene = Scene()
    for schema_id in range(1, 1_001):
        assert scene.is_unknown(schema_id)
    asked = scene.registry.asked
    for _ in range(100):  # 10 ms apart
        scene.clock.now_ns += NS_PER_S // 100
        for schema_id in range(1, 1_001):
            assert scene.is_unknown(schema_id)
    assert scene.registry.asked - asked <= 10


def test_an_id_that_is_registered_here_is_known_at_once() -> None:
    scene = Scene()
    assert scene.is_unknown(1)
    assert scene.ids.schema(scene.ids.register("any", "{}")) == "{}"
    assert scene.ids.latest("any") == (1, "{}")
    assert scene.ids.ids("any") == {1}


def test_a_registry_that_is_away_is_asked_each_time() -> None:
    scene = Scene()
    scene.registry.away = True
    for _ in range(2):
        with pytest.raises(RegistryUnavailableError):
            scene.ids.schema(1)
    scene.registry.away = False
    assert scene.is_unknown(1)


def test_no_more_ids_are_remembered_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "IDS_MAX", 3)
    scene = Scene()
    assert scene.is_unknown(9)
    asked = scene.registry.asked
    for schema_id in (1, 2, 3, 3, 2, 1):
        assert scene.is_unknown(schema_id)
    assert scene.registry.asked == asked + 3
    assert scene.is_unknown(9)
    assert scene.registry.asked == asked + 4


class Protobuf(DictRegistry):
    """The same registry for Protobuf, whose files are the bytes of the schema."""

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        return [self.schema(schema_id).encode()]

    def latest_protobuf(self, subject: str) -> int | None:
        latest = self.latest(subject)
        return None if latest is None else latest[0]


def test_ids_of_protobuf_schemas_are_waited_for_and_remembered_alike() -> None:
    registry = Protobuf()

    def learn() -> None:
        registry.register("any", "{}")

    clock = Clock(lambda waited_ns: learn() if waited_ns >= AGAIN_NS else None)
    ids = UnknownIds(registry, clock, clock.pause)
    assert ids.protobuf_files(1) == [b"{}"]
    assert ids.latest_protobuf("any") == 1
    assert AGAIN_NS <= clock.waited_ns < WAIT_NS
    for ask in (ids.protobuf_files, ids.schema, ids.protobuf_files):
        with pytest.raises(UnknownSchemaError):
            ask(7)
    assert registry.asked == 7  # what one format was told counts for the other


def test_a_registry_without_protobuf_says_so() -> None:
    scene = Scene()
    for ask in (lambda: scene.ids.protobuf_files(1), lambda: scene.ids.latest_protobuf("any")):
        with pytest.raises(OtherFormatError, match="Avro schemas only"):
            ask()


def test_guids_are_waited_for_and_remembered_as_ids_are() -> None:
    registry = GuidDictRegistry()

    def learn() -> None:
        registry.register("any", "{}")

    clock = Clock(lambda waited_ns: learn() if waited_ns >= AGAIN_NS else None)
    ids = UnknownIds(registry, clock, clock.pause)
    guid, unknown_guid = guid_of_text("{}"), guid_of_text("nobody's")
    assert ids.schema_of_guid(guid) == "{}"
    assert ids.guids("any") == {guid}
    assert AGAIN_NS <= clock.waited_ns < WAIT_NS
    asked = registry.asked
    for _ in range(3):
        with pytest.raises(UnknownSchemaError, match="no such GUID"):
            ids.schema_of_guid(unknown_guid)
    assert registry.asked == asked + 5
    with pytest.raises(OtherFormatError):
        ids.protobuf_files_of_guid(guid)


def test_a_registry_without_guids_says_so() -> None:
    scene = Scene()
    asks = (
        lambda: scene.ids.schema_of_guid("any"),
        lambda: scene.ids.protobuf_files_of_guid("any"),
        lambda: scene.ids.guids("any"),
    )
    for ask in asks:
        with pytest.raises(CodecError, match="has no GUIDs"):
            ask()
