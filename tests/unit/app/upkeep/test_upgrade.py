"""What an upgrade check finds of a group, and that each problem says what to do."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from app.process.version import program_version
from app.task.metadata import VERSION, from_position
from app.upkeep.upgrade import broker_findings, upgrade_findings
from app.watch.finding import Finding
from app.wiring.resolved import keep_settings
from schemas import frame
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.bus import Position
from topics.kafka.bundled import bundled_openssl
from topics.memory.admin import MemoryAdmin

NOON_NS = 1_705_320_000_000_000_000


def market_at_work(folder: Path) -> Market:
    market = Market(folder, partitions=2)
    market.quote(NOON_NS)
    market.trade(NOON_NS + 5, NOON_NS + 7)
    market.progress(NOON_NS + 10)
    keep_settings(market.settings)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    return market


def found(market: Market) -> list[Finding]:
    findings = list(upgrade_findings(market.settings, market.bus))
    assert all(one.found for one in findings)
    assert all(bool(one.advice) == (one.level == "problem") for one in findings)
    return findings


def of(findings: Iterable[Finding], what: str) -> list[str]:
    return [f"{one.level}: {one.found}" for one in findings if one.what == what]


def problems(findings: Iterable[Finding]) -> list[str]:
    return [one.what for one in findings if one.level == "problem"]


def test_a_group_of_this_version_has_no_problem(tmp_path: Path) -> None:
    findings = found(market_at_work(tmp_path))
    assert problems(findings) == []
    assert of(findings, "commits") == ["ok: group tidemark has offsets of 4 partitions, of these logs"]
    assert of(findings, "workers") == [f"ok: commits of version {program_version()} by tidemark-0"]
    assert of(findings, "frames") == ["ok: the last of 1 partitions can be read"]
    assert of(findings, "settings")[0].startswith("ok: as the last worker ran with")


def test_commits_of_another_version_are_a_problem_and_both_are_named(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    admin = market.bus.admin()
    changed = {
        source: Position(one.offset, one.metadata.replace(f'"v":{VERSION}', f'"v":{VERSION + 1}'))
        for source, one in admin.group("tidemark").committed.items()
    }
    admin.commit_group("tidemark", changed)
    findings = found(market)
    assert problems(findings) == ["commits"]
    assert f"committed by version {VERSION + 1}, this one reads {VERSION}" in of(findings, "commits")[0]


def test_workers_of_two_versions_are_told_with_their_slots(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    admin = market.bus.admin()
    source, one = next(iter(sorted(admin.group("tidemark").committed.items())))
    assert from_position(one, "").program == program_version()
    older = Position(
        one.offset, one.metadata.replace(f'"program":"{program_version()}"', '"program":"0.0.9"')
    )
    admin.commit_group("tidemark", {source: older})
    told = of(found(market), "workers")
    assert told == [
        f"note: commits of version 0.0.9 by tidemark-0; of version {program_version()} by tidemark-0"
    ]


def test_frames_of_another_version_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = market_at_work(tmp_path)
    monkeypatch.setattr(frame, "FRAME_VERSION", frame.FRAME_VERSION + 1)
    findings = found(market)
    assert problems(findings) == ["frames"]
    assert "tidemark.aligned[0]: a frame of version b'1'" in of(findings, "frames")[0]


def test_settings_since_the_last_worker_are_told_by_reach(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    pipeline = market.settings.pipeline.model_copy(update={"grace_ns": 7, "tolerance_ns": 9})
    market.settings = market.settings.model_copy(update={"pipeline": pipeline})
    assert of(found(market), "settings") == [
        "note: since the last worker, period: pipeline.tolerance_ns: none -> 9",
        "note: since the last worker, live: pipeline.grace_ns: 0 -> 7",
    ]
    pipeline = pipeline.model_copy(update={"clock": "known"})
    market.settings = market.settings.model_copy(update={"pipeline": pipeline})
    told = of(found(market), "settings")
    assert told[0] == "problem: since the last worker, generation: pipeline.clock: event -> known"


def test_a_setting_that_this_version_does_not_know_is_a_problem(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    (kept,) = (market.settings.worker.state / "tidemark").glob("settings-*.toml")
    kept.write_text(kept.read_text().replace("[worker]", '[worker]\nold_name = "x"'))
    findings = found(market)
    assert problems(findings) == ["settings"]
    assert "old_name" in of(findings, "settings")[0]


class Limited(MemoryAdmin):
    """An admin of brokers that limit what a test says."""

    def __init__(self, market: Market, limits: dict[str, int]) -> None:
        self.__dict__.update(market.bus.admin().__dict__)
        self._limits = limits

    def broker_limits(self, names: Sequence[str]) -> dict[str, int]:
        return {name: self._limits[name] for name in names if name in self._limits}


@pytest.mark.parametrize(
    ("limits", "levels"),
    [
        ({}, []),
        ({"offsets.retention.minutes": 10_080, "transaction.max.timeout.ms": 900_000}, ["ok", "ok"]),
        ({"offsets.retention.minutes": 10_079}, ["problem"]),
        ({"transaction.max.timeout.ms": 9_999}, ["problem"]),
        ({"message.max.bytes": 1_048_588}, ["ok"]),
    ],
)
def test_what_brokers_allow_is_held_against_what_workers_need(
    tmp_path: Path, limits: dict[str, int], levels: list[str]
) -> None:
    findings = list(broker_findings(Limited(Market(tmp_path), limits)))
    assert [one.level for one in findings] == levels
    assert all(bool(one.advice) == (one.level == "problem") for one in findings)
    assert all(f"{next(iter(limits.values())):,}" in findings[0].found for _ in findings)


def test_the_openssl_of_the_client_is_read_from_its_wheel() -> None:
    version, *date = bundled_openssl().split()
    assert version.startswith("3.")
    assert len(date) == 3


def test_nothing_is_said_of_a_folder_that_no_worker_used(tmp_path: Path) -> None:
    market = market_at_work(tmp_path)
    worker = market.settings.worker.model_copy(update={"state": tmp_path / "elsewhere"})
    market.settings = market.settings.model_copy(update={"worker": worker})
    assert of(found(market), "settings")[0].startswith("note:")
