"""What every schema registry promises, whether a folder or a server keeps the schemas."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.registry.http_registry import http_registry
from tests.contract.registry.schemas import QUOTE, TRADE
from topics.registry.open import open_registry
from topics.wire import CodecError, SchemaRegistry, UnknownSchemaError


@pytest.fixture(params=["folder", "http", "mock"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "http":
        with http_registry() as server:
            yield server.url
    elif request.param == "mock":
        yield f"mock://{tmp_path.name}"
    else:
        yield str(tmp_path / "schemas")


@pytest.fixture
def registry(where: str) -> SchemaRegistry:
    return open_registry(where)


def same(left: str, right: str) -> bool:
    return bool(json.loads(left) == json.loads(right))


def test_a_registered_schema_is_found_under_its_id(registry: SchemaRegistry) -> None:
    assert same(registry.schema(registry.register("trades-value", TRADE)), TRADE)


def test_the_same_schema_keeps_its_id(registry: SchemaRegistry) -> None:
    assert registry.register("trades-value", TRADE) == registry.register("trades-value", TRADE)


def test_different_schemas_have_different_ids(registry: SchemaRegistry) -> None:
    assert registry.register("trades-value", TRADE) != registry.register("quotes-value", QUOTE)


def test_the_latest_of_a_subject_is_the_one_registered_last(registry: SchemaRegistry) -> None:
    registry.register("any", TRADE)
    second = registry.register("any", QUOTE)
    latest = registry.latest("any")
    assert latest is not None
    assert latest[0] == second
    assert same(latest[1], QUOTE)


def test_a_subject_without_schemas_has_no_latest(registry: SchemaRegistry) -> None:
    registry.register("trades-value", TRADE)
    assert registry.latest("quotes-value") is None


def test_an_id_that_nobody_registered_is_unknown(registry: SchemaRegistry) -> None:
    registry.register("trades-value", TRADE)
    with pytest.raises(UnknownSchemaError):
        registry.schema(999_999)


def test_a_subject_may_hold_any_character(registry: SchemaRegistry) -> None:
    schema_id = registry.register("trades.v1 ü-value", TRADE)
    latest = registry.latest("trades.v1 ü-value")
    assert latest is not None
    assert latest[0] == schema_id


@pytest.mark.parametrize("where", ["folder", "http"], indirect=True)
def test_a_schema_outlives_the_client_that_registered_it(where: str) -> None:
    schema_id = open_registry(where).register("trades-value", TRADE)
    assert same(open_registry(where).schema(schema_id), TRADE)


@pytest.mark.parametrize("where", ["folder", "http"], indirect=True)
def test_text_that_is_no_schema_is_refused(where: str) -> None:
    with pytest.raises(CodecError):
        open_registry(where).register("trades-value", "{")


def test_a_subject_has_the_ids_of_all_its_versions(registry: SchemaRegistry) -> None:
    ids = {registry.register("any", TRADE), registry.register("any", QUOTE)}
    registry.register("other", QUOTE)
    assert registry.ids("any") == ids
    assert registry.ids("nobody's") == frozenset()
