"""DESIGN.md walks from poll to frame through things that exist."""

import importlib
import re

from tests.tidy.tree import PACKAGES, ROOT

SECTION = "One data flow"
REFERENCE = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:[.:][A-Za-z_][A-Za-z0-9_]*)+)`")
FILE_ENDINGS = (".py", ".toml", ".md", ".avsc", ".lock")


def walk() -> list[str]:
    """What the section names in backticks, in order: `module.function` or `module.Class.method`."""
    design = ROOT / "DESIGN.md"
    assert design.is_file(), 'DESIGN.md is missing: it holds the data flow under "## One data flow"'
    sections = re.split(r"^## ", design.read_text(), flags=re.MULTILINE)
    flows = [section for section in sections if section.startswith(SECTION)]
    assert len(flows) == 1, f'DESIGN.md has {len(flows)} sections "## {SECTION}", expected one'
    return [name for name in REFERENCE.findall(flows[0]) if not name.endswith(FILE_ENDINGS)]


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


def test_every_guard_of_a_surprising_rule_is_a_file() -> None:
    section = (ROOT / "DESIGN.md").read_text().split("## Surprising rules")[1].split("\n## ")[0]
    guards = re.findall(r"\| `(tests/[^`]+)` \|", section)
    assert len(guards) == section.count("\n| ") - 1, "each rule names its guard"
    assert [guard for guard in guards if not (ROOT / guard).exists()] == []
