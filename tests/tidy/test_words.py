"""One word for one thing: the names that the style page bans are not given to anything."""

import ast
from collections.abc import Iterator

from tests.tidy.exemptions import EXEMPT
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

# Participles that stand for a thing.  A test's name is a sentence, and may have them.
PARTICIPLES = {
    "told": "report, message or words",
    "found": "match, result, actual, or what it is",
    "asked": "wanted, options or places",
    "said": "message, text or words",
    "given": "value, choice or parameter",
}


def names_in(name: str) -> Iterator[str]:
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


def bad_words(name: str, banned: dict[str, str]) -> Iterator[str]:
    """What is wrong with a name, in words that say what to call it instead."""
    bare = name.strip("_").lower()
    if bare in CLOCKLESS:
        yield f"{name} (say event_ns, known_ns, now_ns or time_ns)"
    for word in bare.split("_"):
        if word in banned:
            yield f"{name} (say {banned[word]})"


def room_of(name: str) -> str:
    """The folder of a file, as far as its second part."""
    return "/".join(name.split("/")[:-1][:2])


def test_no_name_uses_a_banned_word() -> None:
    offenders = set()
    for name in python_files():
        banned = BANNED | (BANNED_IN_CORE if name.startswith("operators/") else {})
        offenders |= {f"{name}: {bad}" for one in names_in(name) for bad in bad_words(one, banned)}
    assert_none_but_exempt("banned words", offenders)


def test_no_participle_stands_for_a_thing() -> None:
    """Rooms that are exempt still have some; the list may only shrink."""
    exempt = EXEMPT["rooms with participles"]
    offenders = set()
    for name in python_files():
        nouns = [one for one in names_in(name) if not one.startswith("test_")]
        bad = {f"{name}: {bad}" for one in nouns for bad in bad_words(one, PARTICIPLES)}
        offenders |= {room_of(name)} if bad and room_of(name) in exempt else bad
    assert_none_but_exempt("rooms with participles", offenders)


def test_the_rule_sees_names_wherever_they_are_given() -> None:
    assert list(bad_words("ts_ns", BANNED)) == ["ts_ns (say event_ns, known_ns, now_ns or time_ns)"]
    assert list(bad_words("_timestamp", BANNED)) == ["_timestamp (say event_ns, known_ns, now_ns or time_ns)"]
    assert list(bad_words("next_chunk", BANNED)) == ["next_chunk (say batch, block, frame or tile)"]
    assert list(bad_words("_found", PARTICIPLES)) == ["_found (say match, result, actual, or what it is)"]
    for good in ("timestamp_ms", "time_ns", "counts", "saved_by", "runtime"):
        assert list(bad_words(good, BANNED)) == []
