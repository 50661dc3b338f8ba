"""DESIGN.md and DECISIONS.md: what they name exists, rules have guards, decisions have dates."""

import importlib
import re
from functools import cache

from tests.tidy.calls import Walk, walk
from tests.tidy.guards import GUARD, missing_guards, rules
from tests.tidy.tree import PACKAGES, ROOT, python_files

SECTION = "One data flow"
REFERENCE = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:[.:][A-Za-z_][A-Za-z0-9_]*)+)`")
FILE_ENDINGS = (".py", ".toml", ".md", ".avsc", ".lock", ".png")


def flow() -> str:
    """The section that walks from poll to tensor."""
    design = ROOT / "DESIGN.md"
    assert design.is_file(), 'DESIGN.md is missing: it holds the data flow under "## One data flow"'
    sections = re.split(r"^## ", design.read_text(), flags=re.MULTILINE)
    flows = [section for section in sections if section.startswith(SECTION)]
    assert len(flows) == 1, f'DESIGN.md has {len(flows)} sections "## {SECTION}", expected one'
    return flows[0]


@cache
def the_walk() -> Walk:
    """What the section names in backticks, followed through the source."""
    return walk(ROOT, flow())


def missing_part(reference: str) -> str | None:
    """The first part of a reference that does not exist, or None where all of it does."""
    parts = re.split(r"[.:]", reference)
    thing: object = importlib.import_module(parts[0])
    for depth, part in enumerate(parts[1:], start=2):
        if not hasattr(thing, part) and importable(".".join(parts[:depth])):
            importlib.import_module(".".join(parts[:depth]))
        if not hasattr(thing, part):
            return part
        thing = getattr(thing, part)
    return None


def importable(name: str) -> bool:
    """Whether there is a module of that name."""
    folder = ROOT.joinpath(*name.split("."))
    return folder.is_dir() or folder.with_suffix(".py").is_file()


def test_each_call_on_the_walk_is_made_and_each_file_opened_once() -> None:
    assert the_walk().faults == []


def test_the_walk_goes_from_the_worker_through_the_core_to_the_reader() -> None:
    opened = the_walk().opened
    assert len(opened) > 30
    assert {module.split(".")[0] for module in opened} >= {"app", "topics", "operators", "gpu_sink"}


def test_everything_that_a_page_names_exists() -> None:
    pages = [(ROOT / page).read_text() for page in ("DESIGN.md", "README.md", "DECISIONS.md")]
    names = {name for page in pages for name in REFERENCE.findall(page) if not name.endswith(FILE_ENDINGS)}
    absent = {name: part for name in names if (part := missing_part(name))}
    assert not absent


def test_a_reference_to_nothing_is_seen() -> None:
    assert missing_part("schemas.frame.encode_frame") is None
    assert missing_part("schemas.frame:FrameHeaders.to_kafka") is None
    assert missing_part("schemas.frame.FrameHeaders.nowhere") == "nowhere"
    assert missing_part("schemas.nothing.here") == "nothing"


def test_every_surprising_rule_has_a_reason_and_a_guard() -> None:
    items = rules((ROOT / "DESIGN.md").read_text())
    assert len(items) > 80
    bare = [
        rule
        for rule in items
        if not re.fullmatch(r"\*\*.+\.\*\* .+\. `tests/.+`", rule) or not GUARD.search(rule)
    ]
    assert not bare, "write: **The rule.** Its reason. `tests/file.py::test_name`"


def test_every_guard_of_a_surprising_rule_is_a_test() -> None:
    text = "\n".join(rules((ROOT / "DESIGN.md").read_text()))
    assert missing_guards(text, python_files("tests")) == []


def test_a_guard_that_moved_is_named_with_its_new_home() -> None:
    here = "tests/tidy/test_design.py"
    rule = (
        "`tests/tidy/test_elsewhere.py::test_a_reference_to_nothing_is_seen` `tests/tidy/tree.py::test_none`"
    )
    assert missing_guards(rule, [here]) == [
        f"tests/tidy/test_elsewhere.py::test_a_reference_to_nothing_is_seen (it is in {here})",
        "tests/tidy/tree.py::test_none",
    ]
    assert missing_guards(f"`{here}::test_a_reference_to_nothing_is_seen`", [here]) == []


def test_every_decision_has_a_date() -> None:
    essays = re.findall(
        r"^\*\*.*?(?=^\*\*|^## |\Z)", (ROOT / "DECISIONS.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(essays) > 50
    undated = [essay for essay in essays if not re.match(r"\*\*[^*]+\*\*\s\(\d{4}-\d\d-\d\d", essay)]
    assert not undated
