"""A registry that is away is waited for: its absence never looks like an unknown schema."""

import multiprocessing
import socket
from pathlib import Path

import pytest

from tests.contract.registry.http_registry import http_registry
from tests.contract.registry.schemas import QUOTE, TRADE
from topics.registry.open import open_registry
from topics.wire import RegistryRefusedError, RegistryUnavailableError, UnknownSchemaError


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_server_that_fails_is_away_and_answers_when_it_is_back(status: int) -> None:
    with http_registry() as server:
        registry = open_registry(server.url)
        schema_id = registry.register("trades-value", TRADE)
        server.failing = status
        with pytest.raises(RegistryUnavailableError):
            open_registry(server.url).schema(schema_id)
        server.failing = None
        assert open_registry(server.url).schema(schema_id) == TRADE


def test_a_registry_that_asks_for_a_password_refuses_another_by_name_and_shows_neither() -> None:
    with http_registry() as server:
        server.wants = "me:right"
        known = open_registry(server.url, {"basic.auth.user.info": "me:right"})
        assert known.schema(known.register("trades-value", TRADE)) == TRADE
        with pytest.raises(RegistryRefusedError, match="correct the user name and the password") as told:
            open_registry(server.url, {"basic.auth.user.info": "me:wrong-one"}).latest("trades-value")
        assert "wrong-one" not in str(told.value)


def test_a_port_where_nobody_listens_is_a_registry_that_is_away() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        registry = open_registry(f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(RegistryUnavailableError):
            registry.schema(1)


def test_a_folder_that_is_not_there_is_a_registry_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailableError):
        open_registry(str(tmp_path / "unmounted")).schema(1)


def test_a_folder_without_the_schema_knows_that_it_has_none(tmp_path: Path) -> None:
    with pytest.raises(UnknownSchemaError):
        open_registry(str(tmp_path)).schema(1)


def test_two_folders_give_a_schema_the_same_id(tmp_path: Path) -> None:
    here, there = open_registry(str(tmp_path / "here")), open_registry(str(tmp_path / "there"))
    there.register("quotes-value", QUOTE)
    assert here.register("trades-value", TRADE) == there.register("trades-value", TRADE)


def register_both(folder: str) -> tuple[int, int]:
    registry = open_registry(folder)
    return registry.register("any", TRADE), registry.register("any", QUOTE)


def test_processes_that_register_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        ids = pool.map(register_both, [str(tmp_path)] * 6, chunksize=1)
    assert len(set(ids)) == 1
    versions = sorted(path.name for path in (tmp_path / "subjects" / "any").iterdir())
    assert versions == ["1", "2"]
