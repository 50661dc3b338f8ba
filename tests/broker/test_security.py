"""Laws of a broker that asks who you are: each role needs its listed rights and no more, a refusal is one
line that names what is missing, and no secret is ever printed, logged or written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import tomli_w
from confluent_kafka.admin import AclBinding, ResourceType
from structlog.testing import capture_logs

from app.audit.topics import audit
from app.commit.producers import Producers
from gpu_sink.__main__ import main as gpu_sink
from tests.broker.secure_broker import SecureBroker, certified, start_secure_broker
from tests.stage.day_runs import DATE, TRADES, DayRun, small_days
from tests.stage.kafka_process import kafka_script
from tests.stage.programs import App, started
from topics.block import TopicPartition
from topics.bus import ExpiredError
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(70)]

ROLES = ("publisher", "worker", "model", "operator")
LACKING = {
    "input topic": (ResourceType.TOPIC, ".quote", "{p}.quote"),
    "output topic": (ResourceType.TOPIC, ".aligned", "{p}.aligned"),
    "group": (ResourceType.GROUP, "", "group {p}"),
    "transactional id": (ResourceType.TRANSACTIONAL_ID, "-", "transactional id {p}-0"),
}


@pytest.fixture(scope="module")
def broker(folder: Path) -> SecureBroker:
    """The broker, with a user for each role and one for each right that a worker may lack."""
    broker = start_secure_broker(folder.parent / "secure")
    broker.add_users(["admin", *ROLES, *(name.replace(" ", "-") for name in LACKING)])
    return broker


@pytest.fixture(scope="module", autouse=True)
def _stopped(folder: Path) -> Iterator[None]:
    yield
    kafka_script("stop", KAFKA_DIR=str(folder.parent / "secure/kafka"))


class Scene:
    """A day with topics of its own, and what each user is told and has said."""

    def __init__(self, broker: SecureBroker, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.broker = broker
        self.folder = folder
        self.prefix = f"test-{uuid4().hex[:12]}"
        self.store = folder / "history"
        self.run = DayRun.on(
            KafkaBus(broker.open_bootstrap), small_days(self.store), folder / "run", self.prefix, partitions=2
        )
        self._patch = patch

    def config(self, user: str, **bus: object) -> Path:
        """The configuration of a user, whose password is in the environment from now on."""
        told: dict[str, Any] = self.run.pipeline.settings.model_dump(mode="json", exclude_none=True)
        told["bus"] |= {
            "bootstrap": self.broker.bootstrap,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": user,
            "ssl_ca": str(self.broker.ca),
        } | bus
        self._patch.setenv("TIDEMARK_BUS__SASL_PASSWORD", self.broker.passwords[user])
        file = self.folder / f"{user}.toml"
        file.write_text(tomli_w.dumps(told))
        return file

    def client_config(self, user: str) -> Path:
        """What programs without a configuration take instead."""
        file = self.folder / f"{user}.properties"
        file.write_text(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
            f"sasl.username={user}\nsasl.password={self.broker.passwords[user]}\n"
            f"ssl.ca.location={self.broker.ca}\n"
        )
        return file


@pytest.fixture
def scene(broker: SecureBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(broker, tmp_path, monkeypatch)


def publish(scene: Scene, user: str) -> str:
    """Publish the day as a user and return all that the publisher said."""
    settings = scene.run.pipeline.settings
    asked = ["replay", "publish", "--date", scene.run.days[0].date, "--store", scene.store]
    asked += ["--prefix", scene.prefix, "--registry", settings.bus.schema_registry]
    asked += ["--grace-ns", settings.pipeline.grace_ns, "--bootstrap", scene.broker.bootstrap]
    with started(*asked, "--client-config", scene.client_config(user)) as publisher:
        out, err = publisher.communicate(timeout=30)
    assert publisher.returncode == 0, err
    return out + err


def test_a_worker_may_ask_whether_its_slot_is_its_own(scene: Scene) -> None:
    scene.broker.grant("worker", "worker", scene.prefix)
    lines = scene.client_config("worker").read_text().splitlines()
    bus = KafkaBus(scene.broker.bootstrap, dict(line.split("=", 1) for line in lines))
    consumer = bus.consumer(group=scene.prefix)
    source = TopicPartition(f"{scene.prefix}.quote", 0)
    producers = Producers(bus, f"{scene.prefix}-0", lambda: False, exactly_once=True)
    with capture_logs() as logs:
        producers.require_slot(consumer, source)
        producers.undo(ExpiredError("too old"))
        producers.require_slot(consumer, source)
    assert logs == []
    producers.close()
    consumer.close()


def test_each_role_does_its_work_with_its_listed_rights_and_tells_no_secret(
    scene: Scene, run_app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in ROLES:
        scene.broker.grant(role, role, scene.prefix)
    told = [publish(scene, "publisher")]
    with started("app", "align", "--config", scene.config("worker"), "--until-final") as worker:
        out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err
    told += [out, err]
    config = scene.config("operator")
    for command in (
        ["audit"],
        ["topics", "plan"],
        ["dead", "list"],
        ["dead", "replay"],
        ["doctor", "--json"],
    ):
        answer = run_app(*command, "--config", config)
        assert answer.code == 0, (command, answer.err, answer.out)
        told += [answer.out, answer.err]
    told += [run_app("watermarks", "--config", config).err]  # nothing is amiss, nobody is refused
    assert told[-1] == ""
    report = audit(scene.run.pipeline)
    assert (report.violations, report.rows_aligned) == ([], TRADES)
    scene.run.aligned()
    asked = ["--bootstrap", scene.broker.bootstrap, "--topic", scene.run.topic("aligned")]
    asked += ["--folder", str(scene.run.folder / "aligned")]
    assert gpu_sink([*asked, "--client-config", str(scene.client_config("model"))]) == 0
    told += list(capsys.readouterr())
    written = [file.read_text() for file in scene.folder.glob("**/*.toml")]
    for password in scene.broker.passwords.values():
        assert not [text for text in [*told, *written] if password in text]


def test_a_replay_hands_its_children_the_secrets_and_leaves_none_behind(
    broker: SecureBroker, tmp_path: Path, run_app: App
) -> None:
    """One secret stands in the file itself, where it may be; what the run writes has none."""
    config, out = tmp_path / "mine.toml", tmp_path / "out"
    bus = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "admin",
        "ssl_ca": str(broker.ca),
        "kafka": {"sasl.password": broker.passwords["admin"]},
    }
    config.write_text(tomli_w.dumps({"pipeline": {"grace_ns": 60 * 10**9}, "bus": bus}))
    small_days(tmp_path / "history")
    asked = ["replay", "--date", DATE, "--store", tmp_path / "history", "--out", out, "--config", config]
    answer = run_app(*asked, "--bus", "kafka", "--bootstrap", broker.bootstrap)
    assert answer.code == 0, answer.err
    files = [file.read_bytes() for file in out.glob("**/*") if file.is_file()]
    assert broker.passwords["admin"] not in answer.out + answer.err
    assert not [content for content in files if broker.passwords["admin"].encode() in content]


@pytest.mark.parametrize("right", LACKING)
def test_a_right_that_is_missing_ends_the_worker_in_one_line_that_names_it(
    scene: Scene, run_app: App, right: str
) -> None:
    kind, suffix, named = LACKING[right]
    user = right.replace(" ", "-")

    def lacks(binding: AclBinding) -> bool:
        return bool(binding.restype == kind and binding.name == scene.prefix + suffix)

    scene.broker.grant("worker", user, scene.prefix, but=lacks)
    scene.run.publish()
    answer = run_app("align", "--config", scene.config(user), "--until-final")
    last = answer.err.strip().splitlines()[-1]
    assert (answer.code, last[:8]) == (1, "stopped:"), answer.err
    assert named.format(p=scene.prefix) in last
    assert "docker/kafka/acls.sh" in last
    assert scene.broker.passwords[user] not in answer.err + answer.out


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [("password", "password"), ("user", "password"), ("authority", "ssl_ca"), ("nothing", "")],
)
def test_a_client_that_the_broker_cannot_trust_or_that_trusts_another_ends_in_one_line_at_once(
    scene: Scene, run_app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str, advice: str
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(certified("Somebody else")[1])
    changed: dict[str, dict[str, object]] = {
        "user": {"sasl_username": "nobody"},
        "authority": {"ssl_ca": str(other)},
    }
    config = scene.config("worker", **changed.get(wrong, {}))
    if wrong == "password":
        monkeypatch.setenv("TIDEMARK_BUS__SASL_PASSWORD", "a wrong one")
    if wrong == "nothing":
        monkeypatch.delenv("TIDEMARK_BUS__SASL_PASSWORD")
    answer = run_app("align", "--config", config)
    assert answer.code == 2
    assert advice in answer.error
    assert "a wrong one" not in answer.err
