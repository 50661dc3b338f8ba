"""Pages lead to what is there: every link has its file or its heading, and pictures stay small."""

import re
from pathlib import Path

from tests.tidy.tree import ROOT, files

LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE_SIZE_MAX = 200_000


def anchors(page: Path) -> set[str]:
    """The names under which the headings of a page can be linked."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page, out of the net, that lead nowhere."""
    wrong = []
    for link in LINK.findall(page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            wrong.append(f"{page.name}: {link}")
    return wrong


def test_every_link_of_a_page_leads_somewhere() -> None:
    pages = [ROOT / name for name in files() if name.endswith(".md")]
    assert len(pages) > 3
    assert [link for page in pages for link in broken(page)] == []


def test_a_link_to_nothing_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading: two\n[a](page.md) [b](#a-heading-two) [c](gone.md) [d](#gone) [e](http://x/y)\n"
    )
    assert broken(page) == ["page.md: gone.md", "page.md: #gone"]


def test_pictures_of_pages_are_small() -> None:
    pictures = [ROOT / name for name in files() if name.endswith(".png")]
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size > PICTURE_SIZE_MAX] == []
