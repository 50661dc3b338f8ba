"""DESIGN.md and DECISIONS.md: what they name exists, rules have guards, decisions have dates."""

import importlib
import re

from tests.tidy.calls import calls, fault
from tests.tidy.guards import GUARD, missing_guards, rules
from tests.tidy.tree import PACKAGES, ROOT, python_files

SECTION = "One data flow"
REFERENCE = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:[.:][A-Za-z_][A-Za-z0-9_]*)+)`")
FILE_ENDINGS = (".py", ".toml", ".md", ".avsc", ".lock")


def flow() -> str:
    """The section that walks from poll to tensor."""
    design = ROOT / "DESIGN.md"
    assert design.is_file(), 'DESIGN.md is missing: it holds the data flow under "## One data flow"'
    sections = re.split(r"^## ", design.read_text(), flags=re.MULTILINE)
    flows = [section for section in sections if section.startswith(SECTION)]
    assert len(flows) == 1, f'DESIGN.md has {len(flows)} sections "## {SECTION}", expected one'
    return flows[0]


def walk() -> list[str]:
    """What the walk names in backticks, in order: `module.function` or `module.Class.method`."""
    return [name for name in REFERENCE.findall(flow()) if not name.endswith(FILE_ENDINGS)]


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


def test_everything_on_the_walk_exists() -> None:
    absent = {reference: missing_part(reference) for reference in walk()}
    assert not {reference: part for reference, part in absent.items() if part}


def test_the_walk_names_functions_and_not_just_modules() -> None:
    modules = [name for name in walk() if importable(name)]
    assert not modules, f"name the function that is called in {', '.join(modules)}"


def test_the_walk_goes_from_the_worker_through_the_core_to_the_reader() -> None:
    passed = {reference.split(".")[0].split(":")[0] for reference in walk()}
    assert passed >= {"app", "topics", "operators", "gpu_sink"}


def test_a_reference_to_nothing_is_seen() -> None:
    assert missing_part("schemas.frame.encode_frame") is None
    assert missing_part("schemas.frame:FrameHeaders.to_kafka") is None
    assert missing_part("schemas.frame.FrameHeaders.nowhere") == "nowhere"
    assert missing_part("schemas.nothing.here") == "nothing"


def test_each_call_on_the_walk_is_made() -> None:
    faults = {f"{caller} -> {callee}": fault(ROOT, caller, callee) for caller, callee in calls(flow())}
    assert not {call: wrong for call, wrong in faults.items() if wrong}


def test_every_surprising_rule_has_a_reason_and_a_guard() -> None:
    found = rules((ROOT / "DESIGN.md").read_text())
    assert len(found) > 80
    bare = [
        rule
        for rule in found
        if not re.fullmatch(r"\*\*.+\.\*\* .+\. `tests/.+`", rule) or not GUARD.search(rule)
    ]
    assert not bare, "write: **The rule.** Its reason. `tests/file.py::test_name`"


def test_every_guard_of_a_surprising_rule_is_a_test() -> None:
    found = "\n".join(rules((ROOT / "DESIGN.md").read_text()))
    assert missing_guards(found, python_files("tests")) == []


def test_a_guard_that_moved_is_named_with_its_new_home() -> None:
    here = "tests/tidy/test_design.py"
    rule = (
        "`tests/tidy/test_elsewhere.py::test_everything_on_the_walk_exists` `tests/tidy/tree.py::test_none`"
    )
    assert missing_guards(rule, [here]) == [
        f"tests/tidy/test_elsewhere.py::test_everything_on_the_walk_exists (it is in {here})",
        "tests/tidy/tree.py::test_none",
    ]
    assert missing_guards(f"`{here}::test_everything_on_the_walk_exists`", [here]) == []


def test_every_decision_has_a_date() -> None:
    essays = re.findall(
        r"^\*\*.*?(?=^\*\*|^## |\Z)", (ROOT / "DECISIONS.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(essays) > 50
    undated = [essay for essay in essays if not re.match(r"\*\*[^*]+\*\*\s\(\d{4}-\d\d-\d\d", essay)]
    assert not undated
