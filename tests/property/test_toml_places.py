"""Where keys and values stand in a TOML text: all keys that tomllib reads, each with the value it has."""

import tomllib
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from operators.graph.toml_places import elements, entries, string_offsets

KEYS = st.one_of(
    st.sampled_from(["graph", "tick", "features", "from", "a.b", "", "#", '"', "ä=1"]), st.text(max_size=4)
)
TEXTS = st.one_of(
    st.text(max_size=8), st.sampled_from(['"""', "'''", "# no comment", "]", "}", "a\nb\\", "\\\\"])
)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-99, 99), st.floats(allow_nan=False), TEXTS, st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def flat(path: tuple[str, ...], value: object) -> dict[tuple[str, ...], object]:
    """Every value that is no table, by its path; arrays whole: what is in them has no path of its own."""
    if not isinstance(value, dict):
        return {path: value}
    return {name: leaf for key, inner in value.items() for name, leaf in flat((*path, key), inner).items()}


@given(DOCUMENTS, st.booleans())
def test_each_value_is_where_it_says(document: dict[str, Any], multiline: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=multiline)
    read: dict[tuple[str, ...], str] = {}
    for entry in entries(text):
        start, end = entry.value
        if end > start:
            read.setdefault(entry.path, text[start:end])
    for path, value in flat((), tomllib.loads(text)).items():
        if not (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
            assert tomllib.loads(f"x = {read[path]}")["x"] == value


@given(st.lists(VALUES, max_size=4), st.booleans())
def test_each_element_of_an_array_is_where_it_says(values: list[Any], multiline: bool) -> None:
    text = tomli_w.dumps({"x": values}, multiline_strings=multiline)
    if "[[x]]" in text:  # an array of tables is no value
        return
    raw = text.removeprefix("x = ").rstrip("\n")
    parts = elements(raw)
    assert parts is not None
    assert [tomllib.loads(f"x = {raw[start:end]}")["x"] for start, end in parts] == values


def test_what_is_no_array_has_no_elements() -> None:
    assert elements("12") is None
    assert elements('"[1]"') is None
    assert elements("[]") == []


@given(TEXTS, st.sampled_from(['"', '"""', '"""\n']))
def test_each_character_of_a_string_is_where_it_says(value: str, quote: str) -> None:
    written = [character if character.isalnum() else f"\\U{ord(character):08x}" for character in value]
    raw = quote + "".join(written) + quote.strip()
    offsets = string_offsets(raw)
    assert offsets is not None
    assert len(offsets) == len(value) + 1
    for number, character in enumerate(value):
        assert tomllib.loads(f'x = "{raw[offsets[number] : offsets[number + 1]]}"')["x"] == character


def test_what_is_no_string_has_no_characters() -> None:
    assert string_offsets("[1]") is None
    assert string_offsets("12") is None


def test_an_escaped_line_end_is_no_character() -> None:
    raw = '"""\na\\  \n\n   b"""'
    assert tomllib.loads(f"x = {raw}")["x"] == "ab"
    offsets = string_offsets(raw)
    assert offsets is not None
    assert [raw[place] for place in offsets[:2]] == ["a", "b"]
