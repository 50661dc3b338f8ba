"""Who may take a slot: nobody while a worker is in it, and at once the heir of one that has ended."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from app.errors import UsageError
from app.process.clock import now_ns
from app.task.metadata import Committed, to_position
from app.wiring import slot
from app.wiring.slot import (
    Occupant,
    claim_slot,
    member_id,
    occupant_of,
    process_ticks,
    require_free_slot,
    slot_of,
    taken_words,
)
from operators.inputs.progress import InputProgress
from schemas.clocks import NS_PER_S
from tests.stage.market import Market
from topics.block import TopicPartition


class Nobody:
    """What hears of partitions, and does nothing."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        return

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        return

    def rejoining(self) -> None:
        return

    def replaced(self, reason: str) -> None:
        return


def joined(market: Market, client_id: str) -> None:
    """A member of the group under this client id."""

    market.bus.consumer(group="tidemark", client_id=client_id).subscribe(["tidemark.trade"], Nobody())


def of_process(market: Market, pid: int, *, ticks: int | None = None, started_ns: int | None = None) -> str:
    own = member_id(market.settings)
    name, _, place = own.rpartition("@")
    at_ms = (now_ns() if started_ns is None else started_ns) // 1_000_000
    return f"{name}@{place.split(':')[0]}:{pid}:{at_ms}:{process_ticks(pid) if ticks is None else ticks}"


def refusal(market: Market, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[str], float]:
    """What a newcomer is told, what it says meanwhile, and how long it waits."""
    lines: list[str] = []
    pauses: list[float] = []
    monkeypatch.setattr(slot, "pause", pauses.append)
    with pytest.raises(UsageError) as refused:
        require_free_slot(market.bus.admin(), market.settings, say=lines.append)
    return str(refused.value), lines, sum(pauses)


def test_a_client_id_names_slot_and_process(tmp_path: Path) -> None:
    own = member_id(Market(tmp_path).settings)
    assert slot_of(own) == "tidemark-0"
    assert f":{os.getpid()}:" in own
    assert slot_of("tidemark-0") == "tidemark-0"


def test_a_free_slot_is_free_and_so_is_that_of_this_very_process(tmp_path: Path) -> None:
    market = Market(tmp_path)
    joined(market, "tidemark-1@elsewhere:1:1:5")  # another slot
    joined(market, of_process(market, os.getpid()))
    require_free_slot(market.bus.admin(), market.settings, say=pytest.fail)


def test_a_slot_in_which_a_process_runs_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        joined(market, of_process(market, other.pid))
        words, lines, waited_s = refusal(market, monkeypatch)
        other.communicate(b"\n")
    assert words.startswith(f"slot 0 is in use by {socket.gethostname()} (pid {other.pid}) since 20")
    assert words.endswith("Z; take another --slot, or --take-over")
    assert (lines, waited_s) == ([], 0)


def test_the_slot_of_a_process_that_has_ended_is_free_at_once(tmp_path: Path) -> None:
    market = Market(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # a zombie: its parent has not looked yet
    joined(market, of_process(market, other.pid))
    require_free_slot(market.bus.admin(), market.settings, say=pytest.fail)
    other.wait()
    require_free_slot(market.bus.admin(), market.settings, say=pytest.fail)


def test_a_number_that_another_process_has_by_now_says_nothing(tmp_path: Path) -> None:
    market = Market(tmp_path)
    joined(market, of_process(market, os.getppid(), ticks=process_ticks(os.getppid()) - 1))
    require_free_slot(market.bus.admin(), market.settings, say=pytest.fail)


@pytest.mark.parametrize("client_id", ["tidemark-0", "tidemark-0@elsewhere:1:1700000000000:5"])
def test_a_process_that_cannot_be_looked_at_is_waited_for_as_long_as_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_id: str
) -> None:
    market = Market(tmp_path)
    joined(market, client_id)
    words, (line,), waited_s = refusal(market, monkeypatch)
    assert "waiting up to 10 s" in line
    assert 10 < waited_s < 15
    if client_id != "tidemark-0":
        assert "in use by elsewhere (pid 1) since 2023-11-14T22:13:20Z" in words


def test_the_process_that_a_commit_names_is_newer_than_the_one_a_static_member_began_as(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path)
    joined(market, "tidemark-0@elsewhere:7:1600000000000:5")
    commit = Committed(InputProgress(0, 0, 0), 0, member="tidemark-0@elsewhere:4711:1700000000000:5")
    other = Committed(InputProgress(0, 0, 0), 0, member="tidemark-1@elsewhere:4712:1800000000000:5")
    consumer = market.bus.consumer(group="tidemark")
    consumer.commit({TopicPartition("tidemark.trade", 0): to_position(commit)})
    consumer.commit({TopicPartition("tidemark.quote", 0): to_position(other)})
    occupant = occupant_of(market.bus.admin(), market.settings)
    assert occupant == Occupant("elsewhere", 4711, 1_700_000_000 * NS_PER_S, 5)


def test_a_worker_without_tasks_is_known_by_what_it_noted_beside_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(tmp_path)
    joined(
        market, of_process(market, os.getppid(), ticks=1, started_ns=10**18)
    )  # the first in the slot, long gone
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        own = of_process(market, other.pid)
        monkeypatch.setattr(slot, "member_id", lambda _: own)
        claim_slot(market.settings)
        words, _, waited_s = refusal(market, monkeypatch)
        other.communicate(b"\n")
    assert f"in use by {socket.gethostname()} (pid {other.pid})" in words
    assert waited_s == 0
    require_free_slot(market.bus.admin(), market.settings, say=pytest.fail)


def test_who_took_the_slot_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market(tmp_path)
    monkeypatch.setattr(slot, "pause", lambda _: None)
    assert taken_words(market.bus.admin(), market.settings) == "slot 0 was started again elsewhere"
    joined(market, "tidemark-0@elsewhere:7:1700000000000:5")  # before this process
    assert taken_words(market.bus.admin(), market.settings) == "slot 0 was started again elsewhere"
    joined(market, "tidemark-0@elsewhere:4711:4000000000000:5")
    words = taken_words(market.bus.admin(), market.settings)
    assert words == "slot 0 was started again at 2096-10-02T07:06:40Z on elsewhere (pid 4711)"
    assert occupant_of(market.bus.admin(), market.settings) == Occupant(
        "elsewhere", 4711, 4_000_000_000 * NS_PER_S, 5
    )
