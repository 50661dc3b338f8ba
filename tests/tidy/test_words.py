"""One word for one thing: the names that the style page bans are not given to anything."""

import ast
from collections.abc import Iterator

from tests.tidy.tree import Function, assert_none_but_exempt, parsed, python_files

# Alone these say neither which clock nor which unit; `time_ns` and Kafka's own `timestamp_ms` say both.
CLOCKLESS = {"time", "timestamp", "timestamps"}

# Banned as any word of a name.  `flush` is left to clients of Kafka, where it is Kafka's word.
BANNED = {
    "ts": "event_ns, known_ns, now_ns or time_ns",
    "chunk": "batch, block, frame or tile",
    "chunks": "batches, blocks, frames or tiles",
    "finalize": "seal",
    "staleness": "age_ns",
    "delay": "lateness_ns",
    "probe": "left",
    "save": "commit or checkpoint",
    "utils": "the noun it is about",
}
BANNED_IN_CORE = {"flush": "seal"}


def given_names(name: str) -> Iterator[str]:
    """The names that a file gives: to variables, parameters, fields, functions, classes, and to itself."""
    yield name.removesuffix(".py").rsplit("/", 1)[-1]
    for node in ast.walk(parsed(name)):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def bad_words(given: str, banned: dict[str, str]) -> Iterator[str]:
    """What is wrong with a name, in words that say what to call it instead."""
    bare = given.strip("_").lower()
    if bare in CLOCKLESS:
        yield f"{given} (say event_ns, known_ns, now_ns or time_ns)"
    for word in bare.split("_"):
        if word in banned:
            yield f"{given} (say {banned[word]})"


def test_no_name_uses_a_banned_word() -> None:
    found = set()
    for name in python_files():
        banned = BANNED | (BANNED_IN_CORE if name.startswith("operators/") else {})
        found |= {f"{name}: {bad}" for given in given_names(name) for bad in bad_words(given, banned)}
    assert_none_but_exempt("banned words", found)


def test_the_rule_sees_names_wherever_they_are_given() -> None:
    assert list(bad_words("ts_ns", BANNED)) == ["ts_ns (say event_ns, known_ns, now_ns or time_ns)"]
    assert list(bad_words("_timestamp", BANNED)) == ["_timestamp (say event_ns, known_ns, now_ns or time_ns)"]
    assert list(bad_words("next_chunk", BANNED)) == ["next_chunk (say batch, block, frame or tile)"]
    for good in ("timestamp_ms", "time_ns", "counts", "saved_by", "runtime"):
        assert list(bad_words(good, BANNED)) == []
