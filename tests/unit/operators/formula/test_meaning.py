"""The meaning of a feature changes with what is computed, and with nothing else."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula import meaning
from operators.formula.features import Features, read_features, root_source

LAYOUT = pa.schema({"bid": pa.float64(), "ask": pa.float64(), "size": pa.int64()})


def features(
    formulas: dict[str, str], *, node: str = "tick", join: str = "", layout: pa.Schema = LAYOUT
) -> Features:
    read, errors = read_features(node, root_source("aligned", layout, join), formulas)
    assert read is not None, errors
    return read


def meaning_of(formula: str, *, join: str = "", layout: pa.Schema = LAYOUT) -> str:
    return features({"x": formula}, join=join, layout=layout).meanings["x"]


SPREAD = "1e4 * (ask - bid) / ((bid + ask) / 2)"
WRITTEN = ["1e4", "*", "(", "ask", "-", "bid", ")", "/", "(", "(", "bid", "+", "ask", ")", "/", "2", ")"]


@given(st.lists(st.sampled_from(["", " ", "\n", "\t ", " # a comment\n"]), min_size=17, max_size=17))
def test_white_space_and_comments_do_not_matter(blanks: list[str]) -> None:
    text = "".join(blank + word for blank, word in zip(blanks, WRITTEN, strict=True))
    assert meaning_of(text) == meaning_of(SPREAD)


@pytest.mark.parametrize(
    "same",
    [
        "(((1e4) * ((ask) - bid))) / (((bid + ask)) / 2)",
        "10000.0 * (ask - bid) / ((bid + ask) / 2.0)",
        "10_000 * (ask - bid) / ((bid + ask) / 0x2)",
    ],
)
def test_parentheses_and_how_a_constant_is_written_do_not_matter(same: str) -> None:
    assert meaning_of(same) == meaning_of(SPREAD)


def test_a_comparison_of_texts_means_what_it_reads_and_says() -> None:
    layout = pa.schema({"tape": pa.string(), "venue": pa.string(), "z": pa.string()})
    formulas = ["tape == 'z'", "tape == 'y'", "tape != 'z'", "venue == 'z'", "tape == venue", "tape == z"]
    assert len({meaning_of(formula, layout=layout) for formula in formulas}) == len(formulas)
    assert meaning_of("'z' < tape", layout=layout) == meaning_of('(tape) > "z"', layout=layout)


@pytest.mark.parametrize(
    "other",
    [
        "1.0000000000000002e4 * (ask - bid) / ((bid + ask) / 2)",
        "1e4 * ((ask - bid) / ((bid + ask) / 2))",
        "1e4 * (bid - ask) / ((bid + ask) / 2)",
        "1e4 * (ask - bid) / ((bid + ask) / 3)",
        "abs(1e4 * (ask - bid) / ((bid + ask) / 2))",
    ],
)
def test_another_computation_means_something_else(other: str) -> None:
    assert meaning_of(other) != meaning_of(SPREAD)


def test_names_of_nodes_and_features_do_not_matter() -> None:
    one = features({"mid": "(bid + ask) / 2", "spread": "1e4 * (ask - bid) / mid"})
    other = features({"m": "(bid + ask) / 2", "x": SPREAD}, node="other")
    assert one.meanings["mid"] == other.meanings["m"]
    assert one.meanings["spread"] == other.meanings["x"] == meaning_of(SPREAD)
    assert features({"x": SPREAD}, node="a").meaning == features({"x": SPREAD}, node="b").meaning


def test_a_greater_b_means_b_less_a() -> None:
    assert meaning_of("ask > bid") == meaning_of("bid < ask")
    assert meaning_of("ask >= bid") == meaning_of("bid <= ask") != meaning_of("bid < ask")


def test_types_the_join_and_the_kernels_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = meaning_of("size + 1")
    floats = pa.schema({"size": pa.float64()})
    narrow = pa.schema({"size": pa.int32()})
    assert len({plain, meaning_of("size + 1.0"), meaning_of("size + 1", layout=floats)}) == 3
    assert meaning_of("size + 1", layout=narrow) != plain
    assert meaning_of("size + 1", join="another tolerance") != plain
    monkeypatch.setattr(meaning, "KERNELS_VERSION", 2)
    assert meaning_of("size + 1") != plain


def test_a_feature_read_by_another_node_keeps_its_meaning() -> None:
    first = features({"mid": "(bid + ask) / 2"})
    source = root_source("tick", first.layout)._replace(meanings=first.meanings)
    second, _ = read_features("next", source, {"double": "2 * mid"})
    assert second is not None
    changed = features({"mid": "(bid + ask) / 3"})
    source = root_source("tick", changed.layout)._replace(meanings=changed.meanings)
    third, _ = read_features("next", source, {"double": "2 * mid"})
    assert third is not None
    assert second.meanings["mid"] == first.meanings["mid"]
    assert second.meanings["double"] != third.meanings["double"]


def test_the_meaning_of_a_node_is_of_its_features_and_their_names() -> None:
    one = features({"a": "bid", "b": "ask"})
    assert one.meaning == features({"a": "(bid)", "b": "ask"}).meaning
    assert one.meaning != features({"a": "bid", "c": "ask"}).meaning
    assert one.meaning != features({"b": "ask", "a": "bid"}).meaning
    assert len(one.meaning) == 16
    assert int(one.meaning, 16) >= 0


def test_the_meaning_of_today_is_the_meaning_of_tomorrow() -> None:
    assert meaning_of(SPREAD) == "3f5011a0261c3653"


@pytest.mark.parametrize(
    ("formula", "meaning"),
    [
        ("where(bid < size, -bid, abs(ask))", "02c7dac04e9f470a"),
        ("sign(log(size)) > 0 and not bid == ask", "dd3c6f869e080bfc"),
    ],
)
def test_formulas_from_before_there_were_settings_mean_what_they_meant(formula: str, meaning: str) -> None:
    assert meaning_of(formula) == meaning


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("power(bid, 1.5)", "power(bid, k=1.50)"),
        ("power(size, 3)", "power(size, 3.0)"),
        ("power(bid, 3)", "(bid * bid) * bid"),
        ("min(bid, ask)", "min(bid, ask, skip_null=False)"),
        ("clip(bid, 0, 5)", "clip(bid, hi=5, lo=0)"),
        ("mid(bid, ask)", "mid(bid, ask, crossed='null')"),
        ("quote_age(size, output='stale', max_age_ns='5us')", "size > 5000"),
    ],
)
def test_how_a_setting_is_written_does_not_matter(one: str, other: str) -> None:
    assert meaning_of(one) == meaning_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("power(bid, 1.5)", "power(bid, 1.5000000000000002)"),
        ("min(bid, ask)", "min(bid, ask, skip_null=True)"),
        ("min(bid, ask)", "max(bid, ask)"),
        ("clip(bid, lo=5)", "clip(bid, hi=5)"),
        ("mid(bid, ask)", "mid(bid, ask, crossed='use')"),
        ("relative_spread(bid, ask)", "relative_spread(bid, ask, unit='bps')"),
        ("relative_spread(bid, ask)", "relative_spread(bid, ask, log=True)"),
        ("effective_spread(bid, bid, ask, size)", "effective_spread(bid, bid, ask, size, half=True)"),
    ],
)
def test_a_setting_is_part_of_the_meaning(one: str, other: str) -> None:
    assert meaning_of(one) != meaning_of(other)
