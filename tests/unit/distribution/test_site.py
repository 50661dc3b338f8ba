"""The site has all pages, those that the program writes among them, and no link that leads nowhere."""

import re
from pathlib import Path

import pytest

from app.cli import MODULES
from distribution.site import ROOT, build_site, commands_page, lay_out_pages, settings_page, within_site

INDEX = ROOT / "docs" / "site" / "index.md"


def test_every_page_is_in_the_index(tmp_path: Path) -> None:
    lay_out_pages(tmp_path)
    listed = re.findall(r"^([\w-]+)$", INDEX.read_text(), re.MULTILINE)
    pages = {page.stem for page in tmp_path.glob("*.md")} - {"index"}
    assert pages == set(listed)


def test_every_command_is_there_with_its_options() -> None:
    page = commands_page()
    headings = re.findall(r"^## `(.+)`$", page, re.MULTILINE)
    assert headings == sorted(headings)
    assert {"align", "graph check", "topics apply", "serve"} <= set(headings)
    assert len(headings) >= len(MODULES)
    assert "`--take-over`" in page
    assert "\n```sh\npython -m app watermarks" in page


def test_the_settings_are_those_that_the_repository_keeps() -> None:
    assert (ROOT / "tidemark.toml").read_text() in settings_page()


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[g](graph.md#look-back)", "[g](graph.md#look-back)"),
        ("[r](../gpu_sink/README.md)", "[r](gpu_sink.md)"),
        ("[r](docs/graph.md)", "[r](graph.md)"),
        ("[d](../DESIGN.md)", "d"),
        ("[a](https://example.org/x)", "[a](https://example.org/x)"),
        ("[h](#here)", "[h](#here)"),
    ],
)
def test_links_lead_within_the_site(link: str, expected: str, tmp_path: Path) -> None:
    assert within_site(link, {"graph.md", "gpu_sink.md"}, tmp_path) == expected


def test_every_notebook_is_in_the_index_and_checks_what_it_says() -> None:
    notebooks = sorted((ROOT / "docs/notebooks").glob("*.py"))
    listed = re.findall(r"^notebooks/([\w-]+)$", INDEX.read_text(), re.MULTILINE)
    assert sorted(listed) == [notebook.stem for notebook in notebooks]
    for notebook in notebooks:
        text = notebook.read_text()
        assert text.count("plt.show()") >= 1, f"{notebook.name} shows no picture"
        assert text.count("\nassert ") >= 2, f"{notebook.name} checks nothing"


@pytest.mark.slow
@pytest.mark.takes_s(90)
@pytest.mark.timeout(600)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    assert build_site(tmp_path / "site") == 0
    for page in ("index", "commands", "settings", "functions", "graph", "how-it-works"):
        assert (tmp_path / "site" / f"{page}.html").stat().st_size > 5_000
    for notebook in (ROOT / "docs/notebooks").glob("*.py"):
        shown = (tmp_path / "site/notebooks" / f"{notebook.stem}.html").read_text()
        assert shown.count("<img") == notebook.read_text().count("plt.show()")
    assert not re.search(
        r'(?:src|href)="(?:https?:)?//(?!pradyunsg|github|www\.sphinx)',
        (tmp_path / "site/index.html").read_text(),
    )
